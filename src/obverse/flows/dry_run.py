"""Dry run: hold other rules of identity against the whole log, before they are switched on. Writes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Final, Self

import msgspec

from obverse.core import codec
from obverse.core.definitions import Definitions
from obverse.core.dry_run import Comparison, DryRun
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.identity.differences import Difference, differences
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Batch, EventLog, Reader, Stream
from obverse.ports.profile_store import ProfileStore

SHOWN: Final = 10
"""Entries of each list that are told."""

_events = codec.Decoder(Event)


class LogRead(msgspec.Struct, frozen=True):
    """What was read of the log."""

    events: int
    """Those that belong to somebody."""
    rejected: int
    """Those that a tracking plan blocks."""
    unidentified: int
    """Those that show no identifier which identifies anybody."""
    damaged: int
    """Records that could not be read, or not be decided upon."""
    trimmed: dict[int, int]
    """By partition, the first offset that is kept, if those before it were trimmed. Then their part is not known."""
    waiting: int
    """Events after those that today's profiles were made of; they were not read."""


class DryRunReport(msgspec.Struct, frozen=True):
    """What a dry run tells."""

    differences: list[Difference]
    """The rules that differ from those in force."""
    log: LogRead
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunParts:
    """What a dry run works with."""

    workspace: str
    log: EventLog
    store: ProfileStore
    definitions: Definitions
    """Those in force."""
    show: int = SHOWN
    progress: Callable[[int, int], None] = lambda _done, _all: None
    """Told how many records were read, of how many."""


async def dry_run(parts: DryRunParts, rules: IdentityRules) -> DryRunReport:
    """
    Take every decision anew under these rules, and compare with who is who today.

    Events are taken in the order of `receivedAt`, partition, offset. Within a partition the log's order stands: what
    was sent again has an older `receivedAt`, and the engine too met it only when it came. The log is read as far as
    the engine's last checkpoint, so that like is compared with like.

    Raises:
        Unreachable, AccessRefused: the store or the log cannot be read.
        LogGap, UnknownMark: what is to be read is not there any more.
    """
    owners = await parts.store.owners(WRITER)
    bounds = await parts.log.bounds(Stream.EVENTS)
    marks = owners.marks.get(Stream.EVENTS, {})
    until = {partition: (first, max(first, marks.get(partition, 0))) for partition, (first, _) in bounds.items()}
    run = DryRun(parts.workspace, rules, parts.definitions, owners.undone)
    whole = sum(end - first for first, end in until.values())
    done = damaged = 0
    async with _Merged(parts.log, until) as merged:
        async for events in merged.runs():
            for event in events:
                try:
                    run.take(event)
                except Exception:  # noqa: BLE001 - as in the engine: one event must not stop all others
                    damaged += 1
            done += len(events)
            parts.progress(done, whole)
        damaged += merged.damaged
    run.accept(owners.accepted)
    return DryRunReport(
        differences=differences(parts.definitions.identity, rules),
        log=LogRead(
            events=run.events,
            rejected=run.rejected,
            unidentified=run.unidentified,
            damaged=damaged,
            trimmed={partition: first for partition, (first, _) in bounds.items() if first},
            waiting=sum(max(0, end - until[partition][1]) for partition, (_, end) in bounds.items()),
        ),
        comparison=run.compare(owners.profiles, owners.refused, owners.set_aside, show=parts.show),
    )


class _Merged:
    """The partitions of the log as one sequence, each read ahead by one read at most."""

    def __init__(self, log: EventLog, until: Mapping[int, tuple[int, int]]) -> None:
        self.damaged = 0
        self._log = log
        self._until = until
        self._stack = AsyncExitStack()
        self._partitions: list[_Partition] = []

    async def __aenter__(self) -> Self:
        for number, (first, end) in sorted(self._until.items()):
            if first < end:
                # A reader each: one for all would bring what the others are far from needing.
                reader = await self._log.open_reader(Stream.EVENTS, {number: first})
                self._stack.push_async_callback(reader.close)
                self._partitions.append(_Partition(number, reader, first, end))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def runs(self) -> AsyncIterator[Sequence[Event]]:
        """Runs of events that follow each other."""
        waiting = [(await one.key(), one) for one in self._partitions]
        heads = [(*key, one) for key, one in waiting if key is not None]
        heapify(heads)
        while heads:
            partition = heads[0][-1]
            following = min((head[:2] for head in heads[1:3]), default=None)
            yield partition.take(following)
            key = await partition.key()
            if key is None:
                heappop(heads)
            else:
                heapreplace(heads, (*key, partition))
        self.damaged = sum(one.damaged for one in self._partitions)


class _Partition:
    """One partition, from an offset to another."""

    def __init__(self, number: int, reader: Reader, first: int, end: int) -> None:
        self.damaged = 0
        self._number = number
        self._reader = reader
        self._at = first
        self._end = end
        self._ahead: deque[Batch] = deque()
        self._events: Sequence[Event] = ()
        self._place = 0
        self._latest = 0
        """Of all that were taken, the latest `receivedAt`: it never falls."""

    async def key(self) -> tuple[int, int] | None:
        """Where the next event stands in the order; None at the end."""
        while self._place == len(self._events):
            if self._at >= self._end:
                return None
            if not self._ahead:
                self._ahead.extend(await self._reader.next())
            self._events, self._place = self._read(self._ahead.popleft()), 0
        return max(self._latest, self._events[self._place].received_at), self._number

    def take(self, until: tuple[int, int] | None) -> Sequence[Event]:
        """Return the next event and those after it that come before another partition's next one."""
        events, first = self._events, self._place
        if until is None:
            self._place = len(events)
        else:
            latest, number = self._latest, self._number
            for place in range(first, len(events)):
                latest = max(latest, events[place].received_at)
                if place > first and (latest, number) > until:
                    break
                self._latest, self._place = latest, place + 1
        return events[first : self._place]

    def _read(self, batch: Batch) -> Sequence[Event]:
        first, last = max(self._at, batch.first), min(batch.end, self._end)
        self._at = batch.end
        try:
            if not batch.damage:
                return _events.decode(batch.count, batch.body)[first - batch.first : last - batch.first]
        except codec.UnreadableRecord:
            pass
        self.damaged += last - first
        return ()
