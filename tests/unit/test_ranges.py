"""Ranges: a time is found in a log that knows none, and a range that is none is refused in words."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.runtime.system import SystemRuntime
from obverse.core.replays import Span, Wanted
from obverse.flows.ranges import BadRange, batches_in, offset_at, spans_of
from obverse.ports.event_log import EventLog, Records, Stream

Result = TypeVar("Result")
ALL = Wanted(flows=("unify",))


@dataclass
class SetRuntime(SystemRuntime):
    """A runtime whose clock stands still until it is set."""

    at: int = field(default=1000)

    def now(self) -> int:
        return self.at


async def log_of(batches: list[tuple[int, int]], *, partitions: int = 1, partition: int = 0) -> EventLog:
    """A log with batches of so many records, each so many microseconds after the one before."""
    runtime = SetRuntime()
    log = await open_event_log(MemoryLogSettings(partitions=partitions), runtime)
    appender = await log.open_appender(Stream.EVENTS)
    for count, later in batches:
        runtime.at += later
        await appender.append(partition, Records(count, b"." * count))
    return log


def do(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), max_size=12), st.integers(0, 40), st.integers(0, 40))
def test_the_first_record_of_a_time_is_found(batches: list[tuple[int, int]], after: int, trimmed: int) -> None:
    async def found() -> tuple[int, int]:
        log = await log_of(batches)
        await log.trim(Stream.EVENTS, 1000 + trimmed)
        return await offset_at(log, Stream.EVENTS, 0, 1000 + after), (await log.bounds(Stream.EVENTS))[0][0]

    offset, kept = do(found())
    times = [1000 + later for later in accumulate(later for _, later in batches)]
    ends = list(accumulate((count for count, _ in batches), initial=0))
    expected = [first for (first, _), at in zip(pairwise(ends), times, strict=True) if at >= 1000 + after]
    assert offset == max(kept, *(expected[:1] or [ends[-1]]))


def test_without_times_and_offsets_it_is_all_that_is_kept() -> None:
    async def test() -> None:
        log = await log_of([(3, 1), (2, 10)], partitions=2, partition=1)
        assert await spans_of(log, Stream.EVENTS, ALL) == {0: Span(0, 0), 1: Span(0, 5)}
        assert await spans_of(log, Stream.EVENTS, replace(ALL, since=1002)) == {0: Span(0, 0), 1: Span(3, 5)}
        assert await spans_of(log, Stream.EVENTS, replace(ALL, until=1011)) == {0: Span(0, 0), 1: Span(0, 3)}
        assert await spans_of(log, Stream.EVENTS, replace(ALL, since=1012, until=1002)) == {
            0: Span(0, 0),
            1: Span(5, 5),
        }
        assert await spans_of(log, Stream.EVENTS, replace(ALL, partition=1, first=1)) == {1: Span(1, 5)}
        assert await spans_of(log, Stream.EVENTS, replace(ALL, partition=1, before=4)) == {1: Span(0, 4)}

    do(test())


@pytest.mark.parametrize(
    ("partition", "first", "before", "said"),
    [
        (2, None, None, "has partitions 0 to 1, and no 2"),
        (1, 0, 6, "holds offsets 0 to 5, and not all from 0 to 6"),
        (1, 4, 3, "not all from 4 to 3"),
        (1, -1, 3, "not all from -1 to 3"),
    ],
)
def test_what_is_not_there_is_told(partition: int, first: int | None, before: int | None, said: str) -> None:
    async def test() -> None:
        log = await log_of([(5, 1)], partitions=2, partition=1)
        with pytest.raises(BadRange, match=said):
            await spans_of(log, Stream.EVENTS, replace(ALL, partition=partition, first=first, before=before))

    do(test())


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
def test_the_batches_of_a_span_are_those_that_hold_any_of_it(counts: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, sum(counts)))
    before = data.draw(st.integers(first, sum(counts)))

    async def read() -> list[tuple[int, int]]:
        log = await log_of([(count, 1) for count in counts])
        span = Span(first, before)
        return [(one.first, one.end) async for one in batches_in(log, Stream.EVENTS, 0, span)]

    pairs = list(pairwise(accumulate(counts, initial=0)))
    assert do(read()) == [(begin, end) for begin, end in pairs if begin < before and end > first and first < before]
