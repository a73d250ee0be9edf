"""The simplest engine: everybody in memory, folded anew from the log's beginning at each start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

from obverse.core import codec, profiles
from obverse.core.changes import Change
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import WRITER, Engine, EngineParts, Progress
from obverse.ports.event_log import Appender, Batch, Records, Stream
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileRow, StoredEvent, StoreWriter

_events = codec.Decoder(Event)
_decisions = codec.Decoder(Decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEngineSettings:
    """There is nothing to set."""


async def open_engine(settings: MemoryEngineSettings, parts: EngineParts) -> Engine:  # noqa: ARG001 - as its kind
    """Entry point `obverse.engine:memory`."""
    return MemoryEngine(parts)


@dataclass(slots=True)
class _Owed:
    """What the store is to be told with the next checkpoint."""

    known: Mapping[int, int]
    """How far the store had it when this run began; until that is reached again, profiles are older than it."""
    reached: dict[int, int] = field(default_factory=dict)
    touched: dict[bytes, None] = field(default_factory=dict)
    events: list[StoredEvent] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    decisions: list[KeptDecision] = field(default_factory=list)
    decided: int = 0
    """How far the stream of decisions is carried out."""

    def decide(self, first: int, decisions: Sequence[Decision]) -> None:
        """Note what was decided, beginning at this offset of the stream."""
        if decisions:
            self.decisions += map(KeptDecision, count(first), decisions)
            self.decided = first + len(decisions)

    @property
    def due(self) -> bool:
        return all(self.reached.get(partition, 0) >= offset for partition, offset in self.known.items())


class MemoryEngine:
    """See `Engine`. Checkpoints after each batch; the log must hold everything from offset 0 on."""

    def __init__(self, parts: EngineParts) -> None:
        self.progress = Progress()
        self._parts = parts
        self._people = People(parts.workspace, parts.definitions())
        self._kept = asyncio.Condition()

    async def run(self) -> None:
        """See `Engine.run`."""
        log, definitions = self._parts.log, self._parts.definitions()
        self._people = People(self._parts.workspace, definitions)
        self.progress.folded, self.progress.kept = {}, {}
        async with AsyncExitStack() as stack:
            writer = await self._parts.store.open_writer(WRITER)
            stack.push_async_callback(writer.close)
            decided = await log.open_appender(Stream.DECISIONS)
            stack.push_async_callback(decided.close)
            changed = await log.open_appender(Stream.CHANGES)
            stack.push_async_callback(changed.close)
            shown = await self._parts.cache.open_writer(lambda profile: profiles.pack(profile, definitions))
            stack.push_async_callback(shown.close)
            owed = _Owed(dict(writer.marks.get(Stream.EVENTS, {})))
            await self._recall(owed)
            reader = await log.open_reader(Stream.EVENTS, dict.fromkeys(range(log.partitions), 0))
            stack.push_async_callback(reader.close)
            while True:
                for batch in await reader.next():
                    await self._take(batch, owed, decided, changed)
                    lost = [one.identifier for kept in owed.decisions for one in kept.decision.set_aside]
                    await shown.publish(self._present(owed), lost)
                    if owed.due:
                        await self._keep(owed, writer)

    async def _recall(self, owed: _Owed) -> None:
        """Carry out what was decided before, so that no decision is taken anew."""
        known = await self._parts.store.decided()
        end = (await self._parts.log.bounds(Stream.DECISIONS))[0][1]
        reader = await self._parts.log.open_reader(Stream.DECISIONS, {0: 0})
        at = 0
        while at < end:
            for batch in await reader.next():
                for offset, decision in enumerate(_decisions.decode(batch.count, batch.body), batch.first):
                    self._people.carry_out(decision)
                    if offset >= known:
                        owed.decisions.append(KeptDecision(offset, decision))
                at = batch.end
        await reader.close()
        owed.decided = at

    async def _take(self, batch: Batch, owed: _Owed, decided: Appender, changed: Appender) -> None:
        """Fold a batch; of what the store knows already, nothing is told again."""
        known = owed.known.get(batch.partition, 0)
        decisions: list[Decision] = []
        moved: list[Change] = []
        events = self._readable(batch)
        for offset, event in enumerate(map(self._people.admit, events), batch.first):
            if isinstance(event, RejectedEvent):
                if offset >= known:
                    owed.rejected.append(event)
                continue
            folded = self._people.fold(event, (batch.partition, offset))
            if folded.profile is not None:
                owed.touched[folded.profile.id] = None
            if folded.decision is not None:
                decisions.append(folded.decision)
                owed.touched.update(dict.fromkeys(other.id for other in folded.others))
            self.progress.repeated += folded.repeated
            if offset < known:
                continue
            moved += folded.changes
            if folded.profile is None:
                owed.rejected.append(People.unidentified(event, batch.partition, offset))
            elif not folded.repeated:
                owed.events.append(StoredEvent(folded.profile.id, batch.partition, offset, event))
        owed.decide(await _append(decided, decisions), decisions)
        await _append(changed, moved)
        owed.reached[batch.partition] = batch.end
        self.progress.events += len(events)
        self.progress.decisions += len(decisions)
        self.progress.changes += len(moved)
        self.progress.folded = {**self.progress.folded, batch.partition: batch.end}

    def _readable(self, batch: Batch) -> Sequence[Event]:
        try:
            events = [] if batch.damage else _events.decode(batch.count, batch.body)
        except codec.UnreadableRecord:
            events = []
        self.progress.damaged += batch.count - len(events)
        return events

    def _present(self, owed: _Owed) -> list[Profile]:
        return [self._people.profiles[one] for one in owed.touched if one in self._people.profiles]

    async def _keep(self, owed: _Owed, writer: StoreWriter) -> None:
        await writer.commit(
            Checkpoint(
                marks={Stream.EVENTS: owed.reached, Stream.DECISIONS: {0: owed.decided}},
                profiles=[ProfileRow.of(profile, self._people.definitions) for profile in self._present(owed)],
                absorbed=dict(self._people.absorbed),
                events=[writer.pack(owed.events)],
                rejected=owed.rejected,
                decisions=owed.decisions,
            )
        )
        owed.touched, owed.events, owed.rejected, owed.decisions = {}, [], [], []
        async with self._kept:
            self.progress.kept = dict(owed.reached)
            self.progress.checkpointed_at = self._parts.runtime.now()
            self._kept.notify_all()

    async def drain(self) -> None:
        """See `Engine.drain`."""
        ends = {partition: end for partition, (_, end) in (await self._parts.log.bounds(Stream.EVENTS)).items()}
        async with self._kept:
            await self._kept.wait_for(
                lambda: all(self.progress.kept.get(partition, 0) >= end for partition, end in ends.items())
            )


async def _append(appender: Appender, items: Sequence[Change] | Sequence[Decision]) -> int:
    """Append all of them and return the offset of the first, 0 of none; nobody else appends to this stream."""
    offsets = [await appender.append(0, records) for records in (Records.of(items) if items else ())]
    return offsets[0] if offsets else 0
