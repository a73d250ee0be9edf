"""Connections of a pool, lent while the server stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest

from obverse.adapters.postgres.connection import FAILURES, Link, borrowed
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.runtime.system import SystemRuntime
from obverse.apps.bench.holding import held
from obverse.ports.outcomes import Unreachable

pytestmark = pytest.mark.service
LIMIT = 0.2
Asking = Callable[[asyncpg.Pool], Awaitable[int]]


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    made = await asyncpg.create_pool(postgres_dsn, min_size=0, max_size=1)
    yield made
    await made.close()


async def backend(pool: asyncpg.Pool) -> int:
    async with borrowed(pool, limit=20) as connection:
        return int(await connection.fetchval("select pg_backend_pid()"))


async def ask(pool: asyncpg.Pool) -> int:
    async with borrowed(pool, limit=LIMIT) as connection:
        return int(await connection.fetchval("select 1", timeout=LIMIT))


async def ask_in_a_transaction(pool: asyncpg.Pool) -> int:
    async with asyncio.timeout(LIMIT), borrowed(pool, limit=LIMIT) as connection, connection.transaction():
        return int(await connection.fetchval("select 1"))


@pytest.mark.parametrize("asking", [ask, ask_in_a_transaction])
async def test_who_waits_for_a_server_that_stands_still_is_told_and_the_next_one_gets_another(
    pool: asyncpg.Pool, asking: Asking
) -> None:
    with held(await backend(pool)):
        async with asyncio.timeout(20):
            with pytest.raises(FAILURES):
                await asking(pool)
            assert await ask(pool) == 1
    assert await ask(pool) == 1


async def test_what_takes_too_long_is_called_off_and_the_connection_kept(pool: asyncpg.Pool) -> None:
    before = await backend(pool)
    with pytest.raises(TimeoutError):
        async with borrowed(pool, limit=20) as connection:
            await connection.execute("select pg_sleep(60)", timeout=LIMIT)
    assert await backend(pool) == before


async def test_who_has_to_wait_for_one_too_long_is_told(pool: asyncpg.Pool) -> None:
    async with borrowed(pool, limit=20):
        with pytest.raises(TimeoutError):
            await ask(pool)


class Between:
    """Passes on what is said to a server until the words come that it is to keep to itself."""

    def __init__(self, dsn: str, words: bytes) -> None:
        self.dsn = dsn
        self._words: bytes | None = words
        self._unsaid: list[tuple[asyncio.StreamWriter, bytes]] = []
        self.kept = asyncio.Event()
        """They have come."""
        self.gone = asyncio.Event()
        """Whoever said them has hung up."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        (host,), (port,) = (parse_qs(urlsplit(self.dsn).query)[one] for one in ("host", "port"))
        # Sockets have short names: the folder must be near the root.
        self._folder = TemporaryDirectory(prefix="between-")
        name = f".s.PGSQL.{port}"
        self._to = f"{host}/{name}"
        self._server = await asyncio.start_unix_server(self._meet, f"{self._folder.name}/{name}")
        self.dsn = self.dsn.replace(f"host={quote(host, safe='/')}", f"host={quote(self._folder.name, safe='/')}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.cleanup()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_unix_connection(self._to)
        for task in (self._pass_on(reader, server), self._pass_on(answers, writer)):
            self._tasks.add(asyncio.create_task(task))

    def go_on(self) -> None:
        """Say what was kept, and keep nothing more."""
        self._words = None
        while self._unsaid:
            writer, said = self._unsaid.pop(0)
            writer.write(said)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = False
        try:
            while said := await reader.read(65536):
                held = held or (self._words is not None and self._words in said)
                if held and self._words is not None:
                    self._unsaid.append((writer, said))
                    self.kept.set()
                else:
                    writer.write(said)
            if held:
                self.gone.set()
        finally:
            writer.close()


Opening = Callable[[str], Awaitable[object]]


async def read_a_profile(dsn: str) -> None:
    store = await open_profile_store(PostgresStoreSettings(dsn=dsn), SystemRuntime())
    try:
        await store.load(["anonymous_id:one"])
    finally:
        await store.close()


async def fetch_over_a_link(dsn: str) -> None:
    await Link(dsn, "asks", setup="set plan_cache_mode = force_custom_plan").fetch("select 1")


@pytest.mark.parametrize("opening", [read_a_profile, fetch_over_a_link])
async def test_who_is_cancelled_while_it_opens_a_connection_leaves_none(postgres_dsn: str, opening: Opening) -> None:
    async with asyncio.timeout(20), Between(postgres_dsn, b"plan_cache_mode") as between:
        asking = asyncio.ensure_future(opening(between.dsn))
        await between.kept.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await between.gone.wait()


async def test_a_link_that_is_closed_while_it_opens_its_connection_keeps_none(postgres_dsn: str) -> None:
    async with asyncio.timeout(20), Between(postgres_dsn, b"plan_cache_mode") as between:
        link = Link(between.dsn, "asks", setup="set plan_cache_mode = force_custom_plan")
        asking = asyncio.ensure_future(link.fetch("select 1"))
        await between.kept.wait()
        await link.close()
        between.go_on()
        with pytest.raises(Unreachable):
            await asking
        await between.gone.wait()
