"""The log is trimmed by age, and never under an engine that has not kept what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.flows.retain import Retain
from obverse.ports.engine import Engine, Progress
from obverse.ports.event_log import Records, Stream

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
    await Retain(log, engine, runtime, days=days, archived=None if archived is None else lambda: archived).trim()
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
