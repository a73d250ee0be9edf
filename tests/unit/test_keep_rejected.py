"""Rejected events are kept, whatever happens to the log or the store in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as replaced

import pytest
from msgspec.structs import replace

from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core.events import RejectedEvent
from obverse.flows.keep_rejected import KeepRejected
from obverse.ports.event_log import Batch, LogGap, Reader, Records, Stream, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Fenced

REJECTED = RejectedEvent(
    source="web", received_at=1, code="bad_type", reason="a test", message_id="m", type="track", body=b"{}"
)


class Failing(MemoryEventLog):
    """A log that fails whoever reads it first, and works from then on."""

    def __init__(self, runtime: SimulatedRuntime, failure: Exception) -> None:
        super().__init__(MemoryLogSettings(), runtime)
        self.failures = [failure]

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        if self.failures:
            raise self.failures.pop()
        return await super().open_reader(stream, marks)


class Intruded(MemoryEventLog):
    """A log into whose stream of rejected events others wrote: it is read each time, for it moves no mark."""

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        reader = await super().open_reader(stream, marks)
        damage = "topic t, partition 0, Kafka offset 7 holds no record of ours"
        foreign = Batch(partition=0, first=marks[0], count=0, body=b"", appended_at=0, damage=damage)
        return Preceded(reader, [foreign])


class Preceded:
    """A reader that brings something else first."""

    def __init__(self, reader: Reader, before: Sequence[Batch]) -> None:
        self._reader = reader
        self._before = before

    async def next(self) -> Sequence[Batch]:
        before, self._before = self._before, ()
        return before or await self._reader.next()

    async def close(self) -> None:
        await self._reader.close()


async def kept_twice(runtime: SimulatedRuntime) -> list[tuple[str, bool]]:
    log, store = Intruded(MemoryLogSettings(), runtime), await open_profile_store(MemoryStoreSettings(), runtime)
    await (await log.open_appender(Stream.REJECTED)).append(0, Records.of([REJECTED])[0])
    for _ in range(2):
        work = runtime.spawn("keep rejected", KeepRejected(log, store, runtime).run())
        await runtime.sleep(10)
        await work.stop()
    return [(one.event.code, "Kafka offset 7" in one.event.reason) for one in await store.rejected(limit=10)]


def test_what_others_wrote_is_kept_once_and_holds_nothing_up() -> None:
    assert simulate(1, kept_twice)[0] == [("bad_type", False), ("foreign_record", True)]


class Damaged(MemoryEventLog):
    """A log of whose rejected events the second batch was damaged."""

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        return Flipped(await super().open_reader(stream, marks))


class Flipped:
    """A reader of a damaged log."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def next(self) -> Sequence[Batch]:
        return [
            replaced(one, body=b"", damage="the checksum does not fit", stored=b"bits") if one.first == 1 else one
            for one in await self._reader.next()
        ]

    async def close(self) -> None:
        await self._reader.close()


async def kept_of_damaged(runtime: SimulatedRuntime) -> tuple[list[tuple[str, str, bytes]], list[int]]:
    log, store = Damaged(MemoryLogSettings(), runtime), await open_profile_store(MemoryStoreSettings(), runtime)
    collector = await log.open_appender(Stream.REJECTED)
    for records in (Records.of([REJECTED])[0], Records.of([REJECTED] * 2)[0], Records(2, b"\xc1\xc1")):
        await collector.append(0, records)
    counted: list[int] = []
    for _ in range(2):
        flow = KeepRejected(log, store, runtime)
        work = runtime.spawn("keep rejected", flow.run())
        await runtime.sleep(10)
        await work.stop()
        counted.append(flow.vitals.records["damaged"])
    kept = [(one.event.code, one.event.reason, one.event.body) for one in await store.rejected(limit=10)]
    return kept[::-1], counted


def test_a_damaged_batch_leaves_one_row_that_says_where_it_stands() -> None:
    (first, second, third), counted = simulate(1, kept_of_damaged)[0]
    assert first == ("bad_type", "a test", b"{}")
    what = "it stays in the log: see docs/logs.md for what to do"
    assert second == (
        "damaged_record",
        f"rejected partition 0, offsets 1 to 2: the checksum does not fit; {what}",
        b"bits",
    )
    assert third[0] == "damaged_record"
    assert third[1].startswith("rejected partition 0, offsets 3 to 4: 2 records in 2 bytes cannot be read")
    assert third[2] == b"\xc1\xc1"
    assert counted == [4, 0]


async def kept_of_two(runtime: SimulatedRuntime) -> list[list[str]]:
    log = MemoryEventLog(MemoryLogSettings(partitions=2), runtime)
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    collectors = [await log.open_appender(Stream.REJECTED, [number]) for number in (0, 1)]
    found: list[list[str]] = []
    for turn in range(2):
        for number, collector in enumerate(collectors):
            event = replace(REJECTED, message_id=f"{number}-{turn}")
            await collector.append(number, Records.of([event])[0])
        flow = KeepRejected(log, store, runtime)
        work = runtime.spawn("keep rejected", flow.run())
        await runtime.sleep(10)
        await work.stop()
        assert flow.marks == {0: turn + 1, 1: turn + 1}
        found.append(sorted(one.event.message_id or "" for one in await store.rejected(limit=10)))
    return found


def test_those_of_every_collector_are_kept_once() -> None:
    first, second = simulate(1, kept_of_two)[0]
    assert first == ["0-0", "1-0"]
    assert second == ["0-0", "0-1", "1-0", "1-1"]


async def kept_after(runtime: SimulatedRuntime, failure: Exception) -> list[str | None]:
    log, store = Failing(runtime, failure), await open_profile_store(MemoryStoreSettings(), runtime)
    await (await log.open_appender(Stream.REJECTED)).append(0, Records.of([REJECTED])[0])
    work = runtime.spawn("keep rejected", KeepRejected(log, store, runtime).run())
    for _ in range(100):
        await runtime.sleep(0.1)
    await work.stop()
    return [one.event.message_id for one in await store.rejected(limit=10)]


@pytest.mark.parametrize(
    "failure", [LogGap("a gap"), UnknownMark("a mark"), Unreachable("down"), AccessRefused("no"), Fenced("another")]
)
def test_a_log_that_fails_is_tried_again(failure: Exception) -> None:
    assert simulate(1, lambda runtime: kept_after(runtime, failure))[0] == ["m"]
