"""What comes next is looked for while the turn before is written down, and never taken for what it is no more."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from engine_parts import memory_parts
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.contracts.engine_requests import asked, shown
from obverse.contracts.engine_steps import PATIENCE, append, expected, kept, load
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream


class Around:
    """Another adapter, but for what a subclass says."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class SlowStore(Around):
    """A store whose answers are as of when it was asked, and arrive late."""

    def __init__(self, inner: Any, runtime: SimulatedRuntime) -> None:
        super().__init__(inner)
        self._runtime = runtime

    async def load(self, *asked: Any) -> Any:
        found = await self._inner.load(*asked)
        await self._runtime.sleep(self._runtime.random.random() * 0.1)
        return found


class SlowLog(Around):
    """A log that takes its time for decisions."""

    def __init__(self, inner: Any, runtime: SimulatedRuntime) -> None:
        super().__init__(inner)
        self._runtime = runtime

    async def open_appender(self, stream: Stream, *where: Any, **how: Any) -> Any:
        appender = await self._inner.open_appender(stream, *where, **how)
        return SlowAppender(appender, self._runtime) if stream is Stream.DECISIONS else appender


class SlowAppender(Around):
    def __init__(self, inner: Any, runtime: SimulatedRuntime) -> None:
        super().__init__(inner)
        self._runtime = runtime

    async def append(self, *what: Any) -> Any:
        await self._runtime.sleep(self._runtime.random.random() * 0.05)
        return await self._inner.append(*what)


@pytest.mark.parametrize("seed", range(20))
def test_whoever_moved_meanwhile_is_folded_as_they_are(seed: int) -> None:
    async def story(runtime: SimulatedRuntime) -> None:
        store: Any = SlowStore(await open_profile_store(MemoryStoreSettings(), runtime), runtime)
        log: Any = SlowLog(await open_event_log(MemoryLogSettings(partitions=1), runtime), runtime)
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        parts = EngineParts(
            workspace="main", log=log, store=store, cache=cache, definitions=lambda: DEFINITIONS, runtime=runtime
        )
        settings = EmbeddedSettings(
            slice_events=2, turn_events=3, checkpoint_seconds=0.02, idle_seconds=0.01, profiles_in_memory=2
        )
        engine = await open_engine(settings, parts)
        run = asyncio.ensure_future(engine.run())
        events, placed = tell(seed=runtime.random.randrange(1000), people=8, events=200), []
        for at in range(0, len(events), 4):
            placed += await append(parts, events[at : at + 4], batch=2)
            await runtime.sleep(runtime.random.random() * 0.1)
        await engine.drain()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert await kept(parts, placed) == expected(placed)

    simulate(seed, story)


class OnceSlow(Around):
    """A store whose next answer of somebody is as of when it was asked, and arrives half a minute later."""

    def __init__(self, inner: Any, runtime: SimulatedRuntime) -> None:
        super().__init__(inner)
        self._runtime = runtime
        self.whom = ""

    async def load(self, identifiers: Collection[str], ids: Collection[bytes] = ()) -> Any:
        found, slow = await self._inner.load(identifiers, ids), self.whom in identifiers
        if slow:
            self.whom = ""
            await self._runtime.sleep(30)
        return found


def test_whoever_became_one_with_another_meanwhile_and_was_let_go_of_is_asked_for_anew() -> None:
    async def story(runtime: SimulatedRuntime) -> None:
        inner: Any = await open_profile_store(MemoryStoreSettings(), runtime)
        store: Any = OnceSlow(inner, runtime)
        log = await open_event_log(MemoryLogSettings(partitions=1), runtime)
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        parts = EngineParts(
            workspace="main", log=log, store=store, cache=cache, definitions=lambda: DEFINITIONS, runtime=runtime
        )
        engine = await open_engine(EmbeddedSettings(profiles_in_memory=0), parts)
        run = asyncio.ensure_future(engine.run())
        placed = await append(parts, [shown(place, user_id=one) for place, one in enumerate(("ada", "bob"))], batch=2)
        await engine.drain()
        store.whom = "user_id:ada"
        placed += await append(parts, [shown(2, user_id="ada")], batch=1)
        # Each is done once all before it is in the store, where nobody stays in memory.
        await store.ask_identity(asked("user_id:ada", "user_id:bob", kind="merge"))
        await store.ask_identity(asked("user_id:eve", "user_id:eve", name="r2", kind="merge"))
        await engine.drain()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        (one,) = await load(parts, placed)
        assert (set(one.identifiers), one.events) == ({"user_id:ada", "user_id:bob"}, 3)

    simulate(1, story)


class Asked(Around):
    """A store that says when it is asked for somebody."""

    def __init__(self, inner: Any, whom: str) -> None:
        super().__init__(inner)
        self._whom = whom
        self.asked = asyncio.Event()

    async def load(self, identifiers: Collection[str], ids: Collection[bytes] = ()) -> Sequence[bytes]:
        if self._whom in identifiers:
            self.asked.set()
        found: Sequence[bytes] = await self._inner.load(identifiers, ids)
        return found


class Held(Around):
    """A log that holds decisions back until it is let go."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.waits, self.goes = asyncio.Event(), asyncio.Event()

    async def open_appender(self, stream: Stream, *where: Any, **how: Any) -> Any:
        appender = await self._inner.open_appender(stream, *where, **how)
        return HeldAppender(appender, self) if stream is Stream.DECISIONS else appender


class HeldAppender(Around):
    def __init__(self, inner: Any, log: Held) -> None:
        super().__init__(inner)
        self._log = log

    async def append(self, *what: Any) -> Any:
        self._log.waits.set()
        await self._log.goes.wait()
        return await self._inner.append(*what)


async def test_the_store_is_asked_for_the_next_while_the_log_writes_decisions() -> None:
    parts = await memory_parts(1)
    log, store = Held(parts.log), Asked(parts.store, "user_id:bob")
    parts = replace(parts, log=log, store=store)
    engine = await open_engine(EmbeddedSettings(slice_events=1, turn_events=1), parts)
    placed = await append(parts, [shown(0, user_id="ada"), shown(1, user_id="bob")], batch=1)
    run = parts.runtime.spawn("engine", engine.run())
    async with asyncio.timeout(PATIENCE):
        await log.waits.wait()
        await store.asked.wait()
        assert engine.progress.events == 0
        log.goes.set()
        await engine.drain()
    await run.stop()
    assert await kept(parts, placed) == expected(placed)
