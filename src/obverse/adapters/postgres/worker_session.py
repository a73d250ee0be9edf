"""The session of the one worker of a name: it holds a lock, and many callers share it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeVar

import asyncpg

from obverse.adapters.postgres.connection import FAILURES, connect, hang_up, trouble
from obverse.ports.runtime import Runtime

Statement = tuple[Any, ...]
"""A query, and its arguments."""

_LOCK: Final = "select pg_try_advisory_lock($1)"
_LOCK_PAUSE: Final = 0.1
_LIMIT: Final = 30.0
"""Seconds after which an answer is not waited for any longer."""
_Result = TypeVar("_Result")


def lock_key(name: str) -> int:
    """The advisory lock of a name: 64 bits, signed, as PostgreSQL wants it."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


class WorkerSession:
    """
    A connection that holds a worker's lock for as long as it lives.

    The lock is the session's, so what it writes nobody else can have overtaken. Its callers take turns; one that is
    cancelled has its turn finished for it, since a transaction that was left open would swallow what the others write.
    """

    def __init__(self, connection: asyncpg.Connection, who: str) -> None:
        self._connection = connection
        self._who = who
        self._turn = asyncio.Lock()

    @staticmethod
    async def open(dsn: str, purpose: str, name: str, runtime: Runtime) -> WorkerSession:
        """
        Become the worker of a name, waiting for the former one to go; `purpose` shows in `pg_stat_activity`.

        Raises:
            Unreachable, AccessRefused: as the server says.
        """
        who = f"the session that {purpose}, which must be opened again"
        try:
            connection = await connect(dsn, purpose)
            try:
                # Asked again and again, because a statement that waits would hold a snapshot all the while.
                while not await connection.fetchval(_LOCK, lock_key(name)):
                    await runtime.sleep(_LOCK_PAUSE)
            except BaseException:
                connection.terminate()
                raise
        except FAILURES as error:
            raise trouble(error, who) from error
        return WorkerSession(connection, who)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """
        Return all rows of a query.

        Raises:
            Unreachable, AccessRefused: the session is at its end.
        """
        rows: list[asyncpg.Record] = await _to_its_end(self._in_turn(self._connection.fetch(query, *args)))
        return rows

    async def write(self, work: Sequence[Statement]) -> None:
        """
        Execute statements in one transaction.

        Raises:
            Unreachable, AccessRefused: the session is at its end.
        """
        await _to_its_end(self._in_turn(self._transact(work)))

    async def close(self) -> None:
        """Let the next worker in."""
        await hang_up(self._connection)

    async def _transact(self, work: Sequence[Statement]) -> None:
        async with self._connection.transaction():
            for query, *args in work:
                await self._connection.execute(query, *args)

    async def _in_turn(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        async with self._turn:
            try:
                async with asyncio.timeout(_LIMIT):
                    return await call
            except FAILURES as error:
                self._connection.terminate()
                raise trouble(error, self._who) from error


async def _to_its_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Wait for work that goes on when its caller is cancelled, who then waits for it too."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # it is nobody's any more
        raise
