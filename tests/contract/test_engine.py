"""Each engine passes the suite: over memory adapters, and the embedded one over PostgreSQL too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from engine_parts import SettableRuntime, memory_parts
from obverse.adapters.embedded import EmbeddedSettings
from obverse.adapters.embedded import open_engine as open_embedded
from obverse.adapters.local import LocalCacheSettings
from obverse.adapters.local import open_profile_cache as open_local_cache
from obverse.adapters.memory.engine import MemoryEngineSettings
from obverse.adapters.memory.engine import open_engine as open_memory
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.adapters.postgres.event_log import open_event_log as open_postgres_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings
from obverse.adapters.postgres.profile_store import open_profile_store as open_postgres_store
from obverse.contracts.engine import EngineContract
from obverse.contracts.engine_groups import call, groups_kept
from obverse.contracts.engine_steps import PATIENCE, append, until
from obverse.contracts.stories import DEFINITIONS, START, tell
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from services import PostgresServer, fresh_name

QUICK = EmbeddedSettings(
    checkpoint_seconds=0.02,
    checkpoint_events=50,
    idle_seconds=0.01,
    profiles_awake=0,
    rest_after=1,
    profiles_in_memory=5,
    groups_in_memory=1,
    slice_events=7,
)
"""Checkpoints in the midst of everything, and next to nobody stays in memory."""


class TestMemory(EngineContract):
    keeps_what_was_stored = False
    folds_while_it_reads = False

    async def open_parts(self, partitions: int) -> EngineParts:
        return await memory_parts(partitions)

    def set_clock(self, parts: EngineParts, now: int) -> None:
        assert isinstance(parts.runtime, SettableRuntime)
        parts.runtime.set(now)

    async def open_engine(self, parts: EngineParts) -> Engine:
        return await open_memory(MemoryEngineSettings(), parts)


class TestEmbedded(TestMemory):
    keeps_what_was_stored = True
    folds_while_it_reads = True

    async def open_engine(self, parts: EngineParts) -> Engine:
        return await open_embedded(QUICK, parts)


async def test_while_nothing_may_be_written_all_is_folded_and_nothing_stored() -> None:
    full, asked = True, 0

    def obstacle() -> str | None:
        nonlocal asked
        asked += 1
        return "the disk is full" if full else None

    parts = replace(await memory_parts(1), obstacle=obstacle)
    await append(parts, tell(seed=1, people=5, events=90), batch=10)
    engine = await open_embedded(QUICK, parts)
    running = asyncio.ensure_future(engine.run())

    await until(parts, lambda: engine.progress.folded.get(0, 0) == 90)
    seen = asked
    await until(parts, lambda: asked > seen + 3)
    assert (await parts.store.overview()).events == 0
    full = False
    await engine.drain()
    assert (await parts.store.overview()).events > 0
    running.cancel()


class Watched:
    """A store, and which groups were asked of it."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store
        self.asked: list[str] = []

    async def load_groups(self, ids: Collection[str]) -> Sequence[bytes]:
        self.asked += ids
        return await self._store.load_groups(ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize(("in_memory", "asked"), [(1, ["acme", "initech", "acme"]), (2, ["acme", "initech"])])
async def test_groups_that_were_told_nothing_lately_are_let_go(in_memory: int, asked: list[str]) -> None:
    parts = await memory_parts(1)
    watched = Watched(parts.store)
    parts = replace(parts, store=cast("ProfileStore", watched))
    engine = await open_embedded(replace(QUICK, groups_in_memory=in_memory), parts)
    work = parts.runtime.spawn("engine", engine.run())
    for number, group in enumerate(("acme", "initech", "initech", "acme")):
        await append(parts, [call(number, group, user_id="ada")], batch=1)
        await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()

    assert watched.asked == asked
    acme = (await groups_kept(parts))["acme"]
    assert acme.first is not None
    assert (acme.first.message_id, acme.changed_at) == ("group-0", START + 3)


class TestEmbeddedWithLocalCache(TestEmbedded):
    """The pair that an installation runs: the cache keeps the engine's own profiles, not copies."""

    @pytest.fixture(autouse=True)
    async def socket_folder(self) -> AsyncIterator[None]:
        self.caches = list[ProfileCache]()
        with TemporaryDirectory(prefix="obv-") as folder:
            self.folder = Path(folder)
            yield
            for cache in self.caches:
                await cache.close()

    async def open_parts(self, partitions: int) -> EngineParts:
        parts = await super().open_parts(partitions)
        socket = self.folder / f"{len(self.caches)}.sock"
        self.caches.append(await open_local_cache(LocalCacheSettings(socket=str(socket)), parts.runtime))
        return replace(parts, cache=self.caches[-1])


@pytest.mark.service
class TestEmbeddedOverPostgres(TestEmbedded):
    @pytest.fixture(autouse=True)
    async def fresh_databases(self, postgres_server: PostgresServer) -> AsyncIterator[None]:
        self.server, self.opened, self.names = postgres_server, list[Any](), list[str]()
        yield
        for one in self.opened:
            await one.close()
        for name in self.names:
            await postgres_server.drop(name)

    async def open_parts(self, partitions: int) -> EngineParts:
        runtime, name = SettableRuntime(), fresh_name()
        await self.server.create(name)
        dsn = self.server.dsn(name, "obverse_worker")
        log = await open_postgres_log(PostgresLogSettings(dsn=dsn, partitions=partitions), runtime)
        store = await open_postgres_store(PostgresStoreSettings(dsn=dsn), runtime)
        self.names.append(name)
        self.opened += [log, store]
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        return EngineParts(
            workspace="main", log=log, store=store, cache=cache, definitions=lambda: DEFINITIONS, runtime=runtime
        )
