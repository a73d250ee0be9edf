"""A log in memory: for tests, for trying things out, and for runs that repeat from a seed."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from obverse.ports.event_log import (
    TAKEN,
    Appender,
    Batch,
    EventLog,
    Overtaken,
    Reader,
    Records,
    Stream,
    UnknownMark,
    check_most,
    partitions_of,
)
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

NEXT_BYTES = 4 * 1024 * 1024
"""Bytes that one call of `next` returns, or one batch if that is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLogSettings:
    """The `[event_log.memory]` table of the settings file."""

    shared: ClassVar[bool] = False
    """Whether several processes can append to it."""

    workspace: str = "main"
    partitions: int = 1
    """Partitions of the streams of events and of rejected events. The other streams have one."""


async def open_event_log(settings: MemoryLogSettings, runtime: Runtime) -> EventLog:
    """Entry point `obverse.event_log:memory`. Each call opens an empty log of its own."""
    return MemoryEventLog(settings, runtime)


@dataclass(slots=True)
class _Shelf:
    """One partition of one stream."""

    batches: list[Batch] = field(default_factory=list)
    kept: int = 0
    end: int = 0
    appended_at: int = 0

    def put(self, partition: int, records: Records, now: int) -> int:
        """Add a batch, and return where it begins."""
        first = self.end
        # The clock may have been set back; time within a partition never falls.
        self.appended_at = max(self.appended_at, now)
        self.batches.append(
            Batch(
                partition=partition,
                first=first,
                count=records.count,
                body=records.body,
                appended_at=self.appended_at,
            )
        )
        self.end = first + records.count
        return first

    def drop(self, before: int) -> None:
        """Forget the batches that are older."""
        cut = bisect_left(self.batches, before, key=lambda batch: batch.appended_at)
        if cut:
            self.kept = self.batches[cut - 1].end
            del self.batches[:cut]

    def after(self, mark: int, most: int) -> list[Batch]:
        """Return the batches from the one that holds `mark`, up to so many bytes but one if there is one."""
        start = bisect_right(self.batches, mark, key=lambda batch: batch.end)
        found: list[Batch] = []
        for index in range(start, len(self.batches)):
            batch = self.batches[index]
            if found and most < len(batch.body):
                break
            found.append(batch)
            most -= len(batch.body)
        return found


@dataclass(slots=True)
class _Disk:
    """What outlives a crash."""

    shelves: dict[Stream, dict[int, _Shelf]]


class MemoryEventLog:
    """See `EventLog`. Durable for as long as somebody holds it."""

    def __init__(self, settings: MemoryLogSettings, runtime: Runtime, disk: _Disk | None = None) -> None:
        self._settings = settings
        self._runtime = runtime
        self._disk = disk or _Disk(
            {stream: {number: _Shelf() for number in range(_count(settings, stream))} for stream in Stream}
        )
        self._taken: dict[tuple[Stream, int], object] = {}
        """Whose each partition is that somebody appends to."""
        self._let_go = asyncio.Event()
        """Set, and replaced, whenever some partition is nobody's any more."""
        self._opened: list[Appender | Reader] = []
        self._readers: list[_MemoryReader] = []
        self.crashed = False
        """Whether its process is thought dead: nothing can be appended through it any more."""

    @property
    def partitions(self) -> int:
        """See `EventLog.partitions`."""
        return self._settings.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        wanted = self._known(stream, range(_count(self._settings, stream)) if partitions is None else partitions)
        check_most(most)
        appender = _MemoryAppender(self, stream)
        try:
            appender.partitions = await self._take(stream, list(wanted), most, appender)
        except asyncio.CancelledError:
            self.let_go(appender)
            raise
        self._opened.append(appender)
        return appender

    async def _take(self, stream: Stream, wanted: Sequence[int], most: int | None, who: object) -> list[int]:
        if most is not None:
            while not (free := [one for one in wanted if (stream, one) not in self._taken][:most]):
                await self._let_go.wait()
            self._taken.update({(stream, one): who for one in free})
            return free
        # In order of number, so that two who want several never wait for each other.
        for number in wanted:
            while (stream, number) in self._taken:
                await self._let_go.wait()
            self._taken[stream, number] = who
        return list(wanted)

    def let_go(self, who: object) -> None:
        """Have what was somebody's be nobody's."""
        self._taken = {place: one for place, one in self._taken.items() if one is not who}
        woken, self._let_go = self._let_go, asyncio.Event()
        woken.set()

    def overtake(self, stream: Stream, partition: int) -> None:
        """Have a partition be nobody's, as if whoever appends to it had been silent for too long."""
        self._taken.pop((stream, partition), None)
        self.let_go(None)

    def is_of(self, who: object, stream: Stream, partition: int) -> bool:
        """Whether a partition is somebody's still."""
        return self._taken.get((stream, partition)) is who

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """See `EventLog.open_reader`."""
        reader = _MemoryReader(self, stream, self._known(stream, list(marks)), marks)
        self._opened.append(reader)
        self._readers.append(reader)
        return reader

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        return {number: (shelf.kept, shelf.end) for number, shelf in self._disk.shelves[stream].items()}

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """See `EventLog.begin`."""
        shelves = self._known(stream, list(offsets))
        used = next((number for number, shelf in shelves.items() if shelf.end), None)
        if used is not None:
            raise ValueError(f"{stream} partition {used} ends at {shelves[used].end}: only an empty one begins anew")
        for number, shelf in shelves.items():
            shelf.kept = shelf.end = offsets[number]

    async def trim(self, stream: Stream, before: int) -> None:
        """See `EventLog.trim`. Nothing older stays."""
        for shelf in self._disk.shelves[stream].values():
            shelf.drop(before)

    async def close(self) -> None:
        """See `EventLog.close`."""
        opened, self._opened = self._opened, []
        for one in opened:
            await one.close()

    def crash(self) -> MemoryEventLog:
        """Return the log as the next process finds it after the one that held this was killed."""
        self.crashed = True
        for reader in self._readers:
            reader.stop()
        return MemoryEventLog(self._settings, self._runtime, self._disk)

    async def put(self, stream: Stream, partition: int, records: Records) -> int:
        """Write a batch and wake who reads."""
        # Others have their turn before anything is durable, as with a disk.
        await self._runtime.sleep(0)
        if self.crashed:
            raise Unreachable("the process of this log was killed")
        first = self._disk.shelves[stream][partition].put(partition, records, self._runtime.now())
        for reader in self._readers:
            reader.wake(stream)
        return first

    def forget(self, reader: _MemoryReader) -> None:
        """Wake this reader no more."""
        if reader in self._readers:
            self._readers.remove(reader)

    def _known(self, stream: Stream, partitions: Sequence[int]) -> dict[int, _Shelf]:
        shelves = self._disk.shelves[stream]
        unknown = sorted(set(partitions) - shelves.keys())
        if unknown:
            raise KeyError(f"{stream} has no partition {unknown[0]}: it has {len(shelves)}, from 0")
        return {number: shelves[number] for number in sorted(set(partitions))}


class _MemoryAppender:
    """See `Appender`."""

    def __init__(self, log: MemoryEventLog, stream: Stream) -> None:
        self._log = log
        self._stream = stream
        self.partitions: Sequence[int] = ()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def append(self, partition: int, records: Records) -> int:
        """See `Appender.append`."""
        if partition not in self.partitions:
            raise KeyError(f"partition {partition} is not one of this appender's: {list(self.partitions)}")
        if records.count < 1 or len(records.body) > TAKEN:
            raise ValueError(
                f"one call takes at least 1 record and at most {TAKEN} bytes, "
                f"not {records.count} and {len(records.body)}: split it, or leave it out"
            )
        if self._closed:
            raise Unreachable("this appender of the log is closed")
        if not self._log.is_of(self, self._stream, partition):
            raise Overtaken(f"{self._stream} partition {partition}: another appender has taken over")
        self._busy += 1
        self._idle.clear()
        try:
            return await self._log.put(self._stream, partition, records)
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def close(self) -> None:
        """See `Appender.close`."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        self._log.let_go(self)


class _MemoryReader:
    """See `Reader`."""

    def __init__(
        self, log: MemoryEventLog, stream: Stream, shelves: Mapping[int, _Shelf], marks: Mapping[int, int]
    ) -> None:
        self._log = log
        self._stream = stream
        self._shelves = shelves
        self._marks = dict(marks)
        self._woken: asyncio.Future[None] | None = None
        self._closed = False

    async def next(self) -> Sequence[Batch]:
        """See `Reader.next`."""
        while not self._closed:
            batches = self._look()
            if batches:
                self._marks.update({batch.partition: batch.end for batch in batches})
                return batches
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        raise asyncio.CancelledError("this reader of the log was closed")

    async def close(self) -> None:
        """See `Reader.close`."""
        self.stop()
        self._log.forget(self)

    def stop(self) -> None:
        """Cancel a waiting `next`, and refuse the following ones."""
        self._closed = True
        if self._woken is not None:
            self._woken.cancel()

    def wake(self, stream: Stream) -> None:
        """Look again, if it was this stream that grew."""
        if stream is self._stream and self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _look(self) -> list[Batch]:
        """Read what follows in every partition, the same share of each."""
        batches: list[Batch] = []
        for number, shelf in self._shelves.items():
            mark = self._marks[number]
            if not shelf.kept <= mark <= shelf.end:
                raise UnknownMark(
                    f"{self._stream} partition {number} holds offsets {shelf.kept} to {shelf.end}, and nothing at "
                    f"{mark}: begin at {shelf.kept} to read all that is kept"
                )
            batches += shelf.after(mark, NEXT_BYTES // len(self._shelves))
        return batches


def _count(settings: MemoryLogSettings, stream: Stream) -> int:
    return partitions_of(stream, settings.partitions)
