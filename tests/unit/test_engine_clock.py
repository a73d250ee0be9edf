"""The engines' clock in virtual time: how soon it tells, and that it waits for a log that is slow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from obverse.adapters.embedded import EmbeddedSettings
from obverse.adapters.embedded import open_engine as open_embedded
from obverse.adapters.memory.engine import MemoryEngineSettings
from obverse.adapters.memory.engine import open_engine as open_memory
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import START, SimulatedRuntime, simulate
from obverse.contracts.engine_clock import WINDOWED, bought
from obverse.contracts.engine_steps import append, read
from obverse.core import profiles, spans, times
from obverse.core.changes import ENTERED, LEFT, Change
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import Batch, EventLog, Reader, Stream

SOON = 2.0
"""Seconds after its instant within which a change is told and seen."""


async def open_parts(runtime: SimulatedRuntime) -> EngineParts:
    return EngineParts(
        workspace="main",
        log=await open_event_log(MemoryLogSettings(), runtime),
        store=await open_profile_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=lambda: WINDOWED,
        runtime=runtime,
    )


async def open_engine(name: str, parts: EngineParts, **settings: Any) -> Engine:
    if name == "memory":
        return await open_memory(MemoryEngineSettings(), parts)
    return await open_embedded(EmbeddedSettings(**settings), parts)


def simulated(run: Callable[[SimulatedRuntime], Awaitable[None]]) -> None:
    simulate(5, run)


async def sleep_until(runtime: SimulatedRuntime, instant: int) -> None:
    await runtime.sleep((instant - runtime.now()) / 1_000_000)


async def left(parts: EngineParts) -> list[Change]:
    return [one for one in await read(parts, Stream.CHANGES, Change) if one.kind == LEFT]


@pytest.mark.parametrize("engine", ["memory", "embedded"])
def test_within_two_seconds_of_its_instant_it_is_told_and_seen(engine: str) -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        parts = await open_parts(runtime)
        work = runtime.spawn("engine", (await open_engine(engine, parts)).run())
        for number in range(40):
            # Not in step with anybody who looks.
            await sleep_until(runtime, START + number * 61 * spans.SECOND + number * 37_003)
            await append(parts, [bought(number, runtime.now(), user_id=f"u{number}")], batch=1)
        for number in range(40):
            happened = START + number * 61 * spans.SECOND + number * 37_003
            gone = (happened // spans.MINUTE + 1) * spans.MINUTE + spans.HOUR
            await sleep_until(runtime, gone - spans.SECOND)
            profile = await seen(parts, f"user_id:u{number}")
            assert profile.audiences["active"].member, "nothing changes before its instant"
            await sleep_until(runtime, gone + round(SOON * spans.SECOND))
            profile = await seen(parts, f"user_id:u{number}")
            assert not profile.audiences["active"].member
            assert profile.audiences["active"].since == gone
            assert profiles.computed_traits(profile, WINDOWED)["bought_1h"] == 0
            assert (profile.id, f"clock:{times.to_text(gone)}") in {
                (one.profile, one.event) for one in await left(parts)
            }
        assert len(await left(parts)) == 40
        await work.stop()

    simulated(run)


async def seen(parts: EngineParts, identifier: str) -> profiles.Profile:
    """Return a profile as whoever reads sees it: from the cache, else from the store."""
    packed = await parts.cache.get(identifier)
    if packed is None:
        (packed,) = await parts.store.load([identifier])
    return profiles.unpack(packed, WINDOWED)


def test_so_it_is_for_profiles_that_only_the_store_has_and_after_a_restart() -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        parts = await open_parts(runtime)
        # Two remain in memory, of which each is let go with the next checkpoint.
        few = {"profiles_in_memory": 2, "checkpoint_seconds": 0.5}
        work = runtime.spawn("engine", (await open_engine("embedded", parts, **few)).run())
        people = 450
        await append(parts, [bought(number, START, user_id=f"u{number}") for number in range(people)], batch=50)
        await runtime.sleep(10)
        await work.stop()
        work = runtime.spawn("engine", (await open_engine("embedded", parts, **few)).run())
        gone = START + spans.MINUTE + spans.HOUR
        await sleep_until(runtime, gone - spans.SECOND)
        assert await left(parts) == []
        await sleep_until(runtime, gone + round(SOON * spans.SECOND))
        told = await left(parts)
        assert len(told) == len({one.profile for one in told}) == people
        assert {one.number for one in told} == {1}
        await runtime.sleep(5)
        assert (await parts.store.overview()).audiences.get("active", 0) == 0
        await work.stop()
        # The day ends for everybody at once, and once more nobody is told twice.
        work = runtime.spawn("engine", (await open_engine("embedded", parts, **few)).run())
        await sleep_until(runtime, START + spans.DAY + 5 * spans.SECOND)
        midnight = f"clock:{times.to_text(START + spans.DAY)}"
        ended = [one for one in await read(parts, Stream.CHANGES, Change) if one.event == midnight]
        assert len(ended) == len({(one.profile, one.name) for one in ended}) == people
        assert len(await left(parts)) == people
        await work.stop()

    simulated(run)


class SlowLog:
    """A log of which events are read one batch at a time, and slowly."""

    def __init__(self, log: EventLog, runtime: SimulatedRuntime, pause: float) -> None:
        self._log, self._runtime, self._pause = log, runtime, pause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        reader = await self._log.open_reader(stream, marks)
        return cast("Reader", _SlowReader(reader, self._runtime, self._pause)) if stream == Stream.EVENTS else reader


class _SlowReader:
    def __init__(self, reader: Reader, runtime: SimulatedRuntime, pause: float) -> None:
        self._reader, self._runtime, self._pause = reader, runtime, pause
        self._waiting: list[Batch] = []

    async def next(self) -> Sequence[Batch]:
        if not self._waiting:
            self._waiting = [*await self._reader.next()]
        await self._runtime.sleep(self._pause)
        return [self._waiting.pop(0)]

    async def close(self) -> None:
        await self._reader.close()


@pytest.mark.parametrize("engine", ["memory", "embedded"])
def test_while_the_log_lags_nobody_leaves_whom_it_keeps_in(engine: str) -> None:
    """Somebody bought every half hour for a day; the engine was down, and reads what came three seconds apart."""

    async def run(runtime: SimulatedRuntime) -> None:
        parts = await open_parts(runtime)
        work = runtime.spawn("engine", (await open_engine(engine, parts)).run())
        await append(parts, [bought(0, START)], batch=1)
        await runtime.sleep(10)
        await work.stop()
        await sleep_until(runtime, START + spans.DAY)
        story = [bought(number, START + number * 30 * spans.MINUTE) for number in range(1, 48)]
        await append(parts, story, batch=1)
        slow = replace(parts, log=cast("EventLog", SlowLog(parts.log, runtime, 3.0)))
        work = runtime.spawn("engine", (await open_engine(engine, slow)).run())
        await runtime.sleep(3 * 48 + 30)

        told = {(one.kind, one.name, one.number) for one in await read(parts, Stream.CHANGES, Change)}
        assert {one for one in told if one[0] in {ENTERED, LEFT}} == {("entered", "active", 1)}
        await sleep_until(runtime, START + spans.DAY + spans.HOUR)
        assert [one.number for one in await left(parts)] == [1]
        await work.stop()

    simulated(run)


def test_of_a_backlog_what_time_changed_meanwhile_is_told_as_it_is_folded() -> None:
    """Another's events lag; who left long before is told at the latest when the log has come to that time."""

    async def run(runtime: SimulatedRuntime) -> None:
        parts = await open_parts(runtime)
        work = runtime.spawn("engine", (await open_engine("embedded", parts)).run())
        await append(parts, [bought(0, START)], batch=1)
        await runtime.sleep(10)
        await work.stop()
        await sleep_until(runtime, START + spans.DAY)
        story = [bought(number, START + number * 30 * spans.MINUTE, user_id="bob") for number in range(1, 48)]
        await append(parts, story, batch=1)
        slow = replace(parts, log=cast("EventLog", SlowLog(parts.log, runtime, 3.0)))
        work = runtime.spawn("engine", (await open_engine("embedded", slow)).run())
        # Bob's third event came half an hour after Ada left.
        await runtime.sleep(3 * 3 + SOON)
        assert [one.event for one in await left(parts)] == [f"clock:{times.to_text(START + spans.HOUR + spans.MINUTE)}"]
        await work.stop()

    simulated(run)
