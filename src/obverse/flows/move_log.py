"""Move: the records of one log copied into another one, which then takes its place, while events go on arriving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from obverse.core import codec
from obverse.ports.event_log import Appender, Batch, EventLog, Records, Stream
from obverse.ports.log_places import RENEW_SECONDS, LogMover, TooLate
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

NEAR: Final = 5000
"""Records that may be missing when everybody is asked to let go: they are copied in a moment."""
PATIENCE: Final = 60.0
"""Seconds for which others may take to let go."""
GRACE: Final = 3.0
"""Seconds for which nobody may append to the former log yet: by then all have looked where the log is."""
_LOOK: Final = 0.2
_RENEW: Final = RENEW_SECONDS / 4

Counts = Mapping[Stream, int]


class BadMove(ValueError):
    """The log cannot be moved there; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """From where to where; each is named by its adapter."""

    source: EventLog
    target: EventLog
    source_name: str
    target_name: str


@dataclass(slots=True)
class Moved:
    """What came of it."""

    copied: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(Stream, 0))
    """Records by stream."""
    damaged: int = 0
    """Of them those that could not be read: they keep their offsets, and say so where they are read."""
    held_seconds: float = 0.0
    """How long everybody had let go."""


class MoveLog:
    """
    Copies all streams, each record to the same offset, and goes on until hardly any is missing.

    Then all others are asked to let go of the log. Once they have, which having become its appender proves, the rest
    is copied and the other log is in force. Whoever is killed in the middle leaves everything as it was, and can be
    started again.
    """

    def __init__(
        self,
        logs: Logs,
        mover: LogMover,
        runtime: Runtime,
        *,
        tell: Callable[[Counts, Counts], None] = lambda *_: None,
        patience: float = PATIENCE,
        grace: float = GRACE,
    ) -> None:
        """`tell` is told now and then how many records of each stream are copied, and how many are missing."""
        self._logs = logs
        self._mover = mover
        self._runtime = runtime
        self._tell = tell
        self._patience = patience
        self._grace = grace
        self._appenders: dict[Stream, Appender] = {}
        self._ends: dict[Stream, dict[int, int]] = {}
        self._moved = Moved()

    async def run(self) -> Moved:
        """
        Move it.

        Raises:
            BadMove: the other log holds something else, or somebody does not let go.
            Unreachable, AccessRefused: one of the logs, or the store, is away. Nothing has changed for the others.
        """
        logs = self._logs
        await self._check()
        await self._mover.begin(logs.target_name)
        async with AsyncExitStack() as stack:
            for stream in Stream:
                appender = await self._within(logs.target.open_appender(stream), logs.target_name)
                stack.push_async_callback(appender.close)
                self._appenders[stream] = appender
            # What was appended before we were the appender counts too.
            self._ends = {stream: _ends(await logs.target.bounds(stream)) for stream in Stream}
            while sum((await self._missing()).values()) > NEAR:
                await self._copy()
            await self._switch()
        return self._moved

    async def _check(self) -> None:
        """See that the other log is empty, or holds the beginning of this one."""
        logs = self._logs
        for stream in Stream:
            here, there = await logs.source.bounds(stream), await logs.target.bounds(stream)
            if here.keys() != there.keys():
                raise BadMove(
                    f"{stream} has {len(here)} partitions in {logs.source_name} and {len(there)} in "
                    f"{logs.target_name}: a record keeps its partition, so make as many there"
                )
            begins = {one: first for one, (first, _) in here.items() if first and there[one] == (0, 0)}
            if begins:
                await logs.target.begin(stream, begins)
            for one in here.keys() - begins.keys():
                await self._compare(stream, one, here[one], there[one])

    async def _compare(self, stream: Stream, partition: int, here: tuple[int, int], there: tuple[int, int]) -> None:
        (first, end), (_, copied) = here, there
        place = f"{stream} partition {partition}"
        other = f"{self._logs.target_name} holds records of another log at {place}: empty it, or name an empty place"
        if copied > end:
            raise BadMove(other)
        if copied < first:
            raise BadMove(
                f"{self._logs.target_name} ends at {copied} of {place}, but {self._logs.source_name} keeps nothing "
                f"before {first}: empty it, or name an empty place"
            )
        if there[0] < copied and first < copied:
            last = [await _record(log, stream, partition, copied - 1) for log in (self._logs.source, self._logs.target)]
            if last[0] != last[1]:
                raise BadMove(other)

    async def _missing(self) -> dict[Stream, int]:
        missing = {}
        for stream in Stream:
            ends, copied = _ends(await self._logs.source.bounds(stream)), self._ends[stream]
            missing[stream] = sum(end - copied[one] for one, end in ends.items())
        self._tell(self._moved.copied, missing)
        return missing

    async def _copy(self) -> None:
        """Copy what is there now."""
        for stream in Stream:
            ends = _ends(await self._logs.source.bounds(stream))
            # One partition after another: a reader of several may wait for one that has ended.
            for partition, end in ends.items():
                await self._copy_up_to(stream, partition, end)

    async def _copy_up_to(self, stream: Stream, partition: int, end: int) -> None:
        mark = self._ends[stream][partition]
        if mark == end:
            return
        reader = await self._logs.source.open_reader(stream, {partition: mark})
        try:
            while mark < end:
                batches = [_from(one, mark) for one in await reader.next() if one.count]
                self._moved.damaged += sum(one.count for one in batches if one.damage)
                appender = self._appenders[stream]
                firsts = await asyncio.gather(*(appender.append(partition, _records(one)) for one in batches))
                if firsts != [one.first for one in batches]:
                    raise BadMove(
                        f"somebody else appends to {stream} partition {partition} of {self._logs.target_name}: "
                        "stop it, empty that place, and move the log again"
                    )
                mark = max([mark, *(one.end for one in batches)])
                self._ends[stream][partition] = mark
                self._moved.copied[stream] += sum(one.count for one in batches)
                await self._runtime.sleep(0)
        finally:
            await reader.close()

    async def _switch(self) -> None:
        """Have everybody let go, copy the rest, and put the other log in force."""
        source, name, began = self._logs.source, self._logs.source_name, self._runtime.elapsed()
        await self._mover.hold()
        try:
            async with self._renewing(), AsyncExitStack() as stack:
                for stream in Stream:
                    appender = await self._within(source.open_appender(stream), name)
                    stack.push_async_callback(appender.close)
                while any((await self._missing()).values()):
                    await self._copy()
                await self._mover.finish()
                self._moved.held_seconds = self._runtime.elapsed() - began
                # Whoever lost its connection meanwhile may be waiting to become the appender again.
                await self._runtime.sleep(self._grace)
        except TooLate as error:
            await self._mover.give_up(forget=False)
            raise BadMove(f"others have gone on using {name} meanwhile ({error}); move the log again") from error
        except BaseException:
            await self._mover.give_up(forget=False)
            raise

    @asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        """Renew the hold meanwhile. If that fails, `finish` will say so."""

        async def renew() -> None:
            while True:
                await self._runtime.sleep(_RENEW)
                await self._mover.renew()

        work = self._runtime.spawn("hold the log", renew())
        try:
            yield
        finally:
            await work.stop()

    async def _within(self, opening: Awaitable[Appender], name: str) -> Appender:
        """The appender, once the former one has let go."""
        try:
            async with asyncio.timeout(self._patience):
                return await opening
        except TimeoutError:
            raise Unreachable(
                f"somebody has appended to the log of {name} for {self._patience:.0f} seconds and does not let go: see "
                "that all roles run this release and reach the same database, and that nobody else moves the log; then "
                "move it again"
            ) from None


def _ends(bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    return {partition: end for partition, (_, end) in bounds.items()}


def _from(batch: Batch, mark: int) -> Batch:
    """The batch, without the records before a mark."""
    if batch.first >= mark:
        return batch
    skipped = mark - batch.first
    body = b"" if batch.damage else b"".join(codec.split(batch.count, batch.body)[skipped:])
    return replace(batch, first=mark, count=batch.count - skipped, body=body)


def _records(batch: Batch) -> Records:
    # What cannot be read keeps its place, so that what follows keeps its own.
    return Records(batch.count, codec.UNREADABLE * batch.count if batch.damage else batch.body)


async def _record(log: EventLog, stream: Stream, partition: int, offset: int) -> bytes:
    """One record as the log holds it; empty if it is damaged."""
    reader = await log.open_reader(stream, {partition: offset})
    try:
        while True:
            for one in await reader.next():
                if one.first <= offset < one.end:
                    return _bytes_of(one, offset - one.first)
    finally:
        await reader.close()


def _bytes_of(batch: Batch, at: int) -> bytes:
    try:
        records: Sequence[bytes] = [] if batch.damage else codec.split(batch.count, batch.body)
    except codec.UnreadableRecord:
        records = []
    return records[at] if records else b""
