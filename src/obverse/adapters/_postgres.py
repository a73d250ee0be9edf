"""Connections to PostgreSQL, and what their failures mean to those who asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from obverse.ports.outcomes import AccessRefused, Unreachable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""
All that a call to the server can raise. The last one is what a connection says that has heard of the
server's end, but not yet of its own.
"""

_NEEDS_A_PERSON = {
    asyncpg.InvalidAuthorizationSpecificationError: "check the user and the password of DATABASE_URL",
    asyncpg.InvalidCatalogNameError: "create the database, or correct its name in DATABASE_URL",
    asyncpg.InsufficientPrivilegeError: "grant the role what it lacks, or run `obverse migrate` as the owner",
    asyncpg.UndefinedTableError: "run `obverse migrate`",
    asyncpg.UndefinedFunctionError: "run `obverse migrate`",
}


async def connect(dsn: str, purpose: str, *, setup: str = "", limit: float = 5.0) -> asyncpg.Connection:
    """
    Open a connection that shows its purpose in `pg_stat_activity`, and execute `setup` on it.

    Whoever is cancelled meanwhile leaves none behind.

    Raises:
        one of FAILURES: not within `limit` seconds, or refused.
    """
    async with asyncio.timeout(limit):
        connection = await asyncpg.connect(
            dsn,
            # A statement that was prepared once stays so: preparing again costs a round trip.
            max_cached_statement_lifetime=0,
            server_settings={"application_name": f"obverse {purpose}", "jit": "off"},
        )
        try:
            if setup:
                await connection.execute(setup)
        except BaseException:
            connection.terminate()
            raise
        return connection


def trouble(error: BaseException, doing: str) -> Unreachable | AccessRefused:
    """Say one of FAILURES in the words of the ports, to be raised from it."""
    said = str(error) or type(error).__name__
    for kind, remedy in _NEEDS_A_PERSON.items():
        if isinstance(error, kind):
            return AccessRefused(f"{doing}: {said}; {remedy}")
    return Unreachable(f"{doing}: {said}")


@asynccontextmanager
async def borrowed(pool: asyncpg.Pool, *, limit: float) -> AsyncIterator[asyncpg.Connection]:
    """
    Have a connection of a pool for as long as the block runs.

    One whose statement took too long is cut off if the server does not say within a second that it has called it off: a
    server that stands still never does, and whoever gives a connection back would wait for that.

    Raises:
        one of FAILURES: there was none to be had within `limit` seconds.
    """
    connection = await pool.acquire(timeout=limit)
    try:
        yield connection
    finally:
        with suppress(*FAILURES):
            await pool.release(connection, timeout=_PATIENCE)


_PATIENCE: Final = 1.0
"""Seconds that a server has to say that it has called off what it was doing."""


class Link:
    """One connection, opened when it is first needed and again after it was lost; one query at a time."""

    def __init__(self, dsn: str, purpose: str, *, setup: str = "") -> None:
        self._dsn = dsn
        self._purpose = purpose
        self._setup = setup
        self._turn = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._closed = False

    async def fetch(self, query: str, *args: Any, limit: float = 30.0) -> list[asyncpg.Record]:
        """
        Return all rows of a query.

        Raises:
            Unreachable: no answer within `limit` seconds, or no connection.
            AccessRefused: the server says no.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(limit):
                    connection = await self._open()
                    rows: list[asyncpg.Record] = await connection.fetch(query, *args)
            except FAILURES as error:
                if not isinstance(error, asyncpg.PostgresError) and self._connection is not None:
                    # Whatever it waits for, the next query must not wait for it too.
                    self._connection.terminate()
                raise trouble(error, f"PostgreSQL ({self._purpose})") from error
            return rows

    async def _open(self) -> asyncpg.Connection:
        if self._closed:
            raise asyncpg.InterfaceError("closed")
        if self._connection is None or self._connection.is_closed():
            connection = await connect(self._dsn, self._purpose, setup=self._setup)
            if self._closed:
                connection.terminate()
                raise asyncpg.InterfaceError("closed")
            self._connection = connection
        return self._connection

    async def close(self) -> None:
        """Close the connection. A query that is under way is cut off."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await hang_up(connection)


async def hang_up(connection: asyncpg.Connection) -> None:
    """Close a connection in a second at most, whatever state it is in."""
    try:
        await connection.close(timeout=1.0)
    except FAILURES:
        connection.terminate()


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return _EPOCH + micros * _MICROSECOND
