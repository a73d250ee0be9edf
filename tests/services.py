"""Real servers for tests: started once a session, with a database of its own for each test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
import pytest

from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.postgres.schema import migrate
from obverse.adapters.postgres.server import DATABASE, EmbeddedServer, ServerFailed
from obverse.adapters.postgres.server.cluster import SUPERUSER
from obverse.adapters.postgres.server.logins import OWNER, dsn_of, password_of
from obverse.adapters.postgres.server.places import places_of
from obverse.adapters.runtime.system import SystemRuntime
from obverse.ports.event_log import EventLog
from obverse.ports.runtime import Runtime

TEMPLATE = "obverse_template"

Ask = Callable[..., Awaitable[list[asyncpg.Record]]]
"""A connection's `fetch`."""


class ShiftedRuntime(SystemRuntime):
    """The system's runtime with a wall clock that a test can set."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = 0.0
        """Seconds by which `now` differs from the real time."""

    def now(self) -> int:
        """See `Runtime.now`."""
        return super().now() + round(self.shift * 1_000_000)


@dataclass(frozen=True, slots=True)
class Database:
    """A database with our schema and nothing in it."""

    server: PostgresServer
    name: str

    @property
    def admin(self) -> str:
        """Its address for the superuser."""
        return self.server.admin(self.name)

    def dsn(self, role: str = OWNER) -> str:
        """Its address for one of our roles."""
        return self.server.dsn(self.name, role)


class PostgresServer:
    """The embedded server, or the one that OBVERSE_TEST_SERVER names with a superuser's DSN."""

    def __init__(self, data: Path) -> None:
        self._foreign = os.environ.get("OBVERSE_TEST_SERVER", "")
        self._data = data
        self.embedded = EmbeddedServer(data)

    @property
    def foreign(self) -> bool:
        """Whether it is somebody else's, with one login for everything and none of our roles."""
        return bool(self._foreign)

    def admin(self, name: str = "postgres") -> str:
        """Address of one of its databases for the superuser."""
        if self._foreign:
            return urlunsplit(urlsplit(self._foreign)._replace(path=f"/{quote(name)}"))
        # Whatever the role, the address leads to the same sockets.
        ours = urlsplit(self.embedded.dsn(OWNER))
        sockets = dict(pair.split("=", 1) for pair in ours.query.split("&"))["host"]
        password = password_of(SUPERUSER, places_of(self._data).secrets)
        return dsn_of(SUPERUSER, password, Path(sockets)).replace(f"/{DATABASE}?", f"/{name}?")

    def dsn(self, name: str, role: str) -> str:
        """Address of one of its databases for one of our roles."""
        if self._foreign:
            return self.admin(name)
        return self.embedded.dsn(role).replace(f"/{DATABASE}?", f"/{name}?")

    async def start(self) -> None:
        """Start it, and lay our schema down once, to be copied for each test."""
        if not self._foreign:
            await self.embedded.start()
        await self.drop(TEMPLATE)
        await self.create(TEMPLATE, like="template1")
        await migrate(self.dsn(TEMPLATE, OWNER))

    async def stop(self) -> None:
        """Stop it, and leave nothing behind."""
        if self._foreign:
            await self.drop(TEMPLATE)
        else:
            await self.embedded.erase()

    async def create(self, name: str, *, like: str = TEMPLATE) -> None:
        """Make a database by copying another one."""
        owner = "" if self._foreign else f"owner {OWNER}"
        await self._command(f"create database {name} template {like} {owner}")

    async def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        await self._command(f"drop database if exists {name} with (force)")

    async def _command(self, sql: str) -> None:
        connection = await asyncpg.connect(self.admin())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@asynccontextmanager
async def opened(settings: PostgresLogSettings, runtime: Runtime) -> AsyncIterator[EventLog]:
    """Open a log in PostgreSQL for a while."""
    log = await open_event_log(settings, runtime)
    try:
        yield log
    finally:
        await log.close()


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what happens in a server cannot set an event here
            await asyncio.sleep(0.01)


def start_postgres(data: Path) -> PostgresServer:
    """Start a server for this session; where that is impossible its tests are skipped, but not in CI."""
    server = PostgresServer(data)
    try:
        asyncio.run(server.start())
    except ServerFailed as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL: {error}")
    return server


def fresh_name() -> str:
    """Return a name for a database that nobody else uses."""
    return f"t_{secrets.token_hex(6)}"


class Wire:
    """A socket between us and a database, which a test can cut and mend."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        query = dict(pair.split("=", 1) for pair in self._parts.query.split("&"))
        self._behind = f"{unquote(query['host'])}/.s.PGSQL.{query.get('port', '5432')}"
        # Not pytest's folder: the name of a socket may not be long.
        self._folder = tempfile.TemporaryDirectory(prefix="wire-")
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def dsn(self) -> str:
        """The address of the database by this way."""
        return urlunsplit(self._parts._replace(query=f"host={quote(self._folder.name)}&port=5432&sslmode=disable"))

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        self._folder.cleanup()

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_unix_server(self._join, f"{self._folder.name}/.s.PGSQL.5432")

    async def cut(self) -> None:
        """Cut all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):  # from Python 3.13 on, closing removes it
                os.unlink(f"{self._folder.name}/.s.PGSQL.5432")  # noqa: PTH108 - one call, in a test
            self._server = None
        for end in list(self._ends):
            end.transport.abort()

    def announce_end(self) -> None:
        """Tell everybody that the server ends, and leave the connections as they are."""
        said = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"
        for client in self._clients:
            client.write(b"E" + (len(said) + 4).to_bytes(4) + said)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
        await asyncio.gather(self._pass_on(reader, behind_writer), self._pass_on(behind_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        self._ends.discard(writer)
        self._clients.discard(writer)
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()
