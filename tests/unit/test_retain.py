"""The log is trimmed by age, and never under an engine that has not kept what is in it, or a router that reads on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.flows.retain import LOOK, Retain
from obverse.ports.engine import WRITER, Engine, Progress
from obverse.ports.event_log import Records, Stream
from obverse.ports.profile_store import Checkpoint

DAY = 86_400.0


@dataclass
class Standing:
    """An engine of which only the progress is asked."""

    progress: Progress = field(default_factory=Progress)


async def kept_from(
    runtime: SimulatedRuntime, *, days: int, kept: int | None, archived: Mapping[int, int] | None = None
) -> int:
    """The first offset kept, of five records a day apart, after a trim right behind the last."""
    log = await open_event_log(MemoryLogSettings(), runtime)
    appender = await log.open_appender(Stream.EVENTS)
    for _ in range(5):
        await runtime.sleep(DAY)
        await appender.append(0, Records(1, b"\x01"))
    # An engine that started a moment ago says that it has just looked at its checkpoint.
    progress = Progress(kept={} if kept is None else {0: kept}, checkpointed_at=runtime.now())
    engine = cast("Engine", Standing(progress))
    await runtime.sleep(1)
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    told = None if archived is None else lambda: archived
    await Retain(log, engine, store, runtime, days=days, routed_hours=1, archived=told).trim()
    return (await log.bounds(Stream.EVENTS))[0][0]


def test_what_is_older_than_so_many_days_goes() -> None:
    assert simulate(1, lambda runtime: kept_from(runtime, days=2, kept=5))[0] == 3


@pytest.mark.parametrize(("archived", "first"), [({0: 5}, 3), ({0: 2}, 2), ({}, 0)])
def test_what_is_not_archived_yet_stays_where_there_is_an_archive(archived: dict[int, int], first: int) -> None:
    assert simulate(1, lambda runtime: kept_from(runtime, days=2, kept=5, archived=archived))[0] == first


def test_nothing_goes_before_there_was_a_checkpoint() -> None:
    assert simulate(1, lambda runtime: kept_from(runtime, days=2, kept=None))[0] == 0


def test_what_the_store_does_not_hold_yet_stays_however_old() -> None:
    assert simulate(1, lambda runtime: kept_from(runtime, days=1, kept=1))[0] == 1


async def routed_from(runtime: SimulatedRuntime, *, hours: int, mark: int | None, days: int | None = None) -> int:
    """The first offset kept of five records that were routed, ten hours apart, by a flow that runs for two looks."""
    log = await open_event_log(MemoryLogSettings(), runtime)
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    appender = await log.open_appender(Stream.ROUTED)
    for _ in range(5):
        await runtime.sleep(36_000)
        await appender.append(0, Records(1, b"\x01"))
    if mark is not None:
        writer = await store.open_writer(WRITER)
        await writer.commit(Checkpoint(marks={Stream.ROUTED: {0: mark}}))
    retain = Retain(log, cast("Engine", Standing()), store, runtime, days=days, routed_hours=hours)
    work = runtime.spawn("retain", retain.run())
    await runtime.sleep(2 * LOOK)
    await work.stop()
    assert retain.vitals.failure is None
    assert (await log.bounds(Stream.EVENTS))[0] == (0, 0)
    return (await log.bounds(Stream.ROUTED))[0][0]


@pytest.mark.parametrize("days", [None, 1])
def test_of_what_was_routed_so_many_hours_stay_where_the_store_has_it(days: int | None) -> None:
    assert simulate(1, lambda runtime: routed_from(runtime, hours=24, mark=5, days=days))[0] == 2


@pytest.mark.parametrize("mark", [0, 1, 3])
def test_what_a_router_would_read_next_stays_however_old(mark: int) -> None:
    assert simulate(1, lambda runtime: routed_from(runtime, hours=1, mark=mark))[0] == mark


def test_nothing_of_what_was_routed_goes_before_the_store_has_any() -> None:
    assert simulate(1, lambda runtime: routed_from(runtime, hours=1, mark=None))[0] == 0


def test_the_last_of_what_was_routed_stays_so_that_an_engine_sees_what_is_missing() -> None:
    assert simulate(1, lambda runtime: routed_from(runtime, hours=1, mark=5))[0] == 4


def test_while_another_engine_folds_what_was_routed_stays_for_the_one_that_may_come_back() -> None:
    assert simulate(1, lambda runtime: routed_from(runtime, hours=1, mark=4))[0] == 0


async def with_nothing_routed(runtime: SimulatedRuntime) -> tuple[int, int]:
    log = await open_event_log(MemoryLogSettings(), runtime)
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    await Retain(log, cast("Engine", Standing()), store, runtime, days=None, routed_hours=1).trim_routed()
    return (await log.bounds(Stream.ROUTED))[0]


def test_where_one_process_folds_there_is_nothing_to_trim() -> None:
    assert simulate(1, with_nothing_routed)[0] == (0, 0)
