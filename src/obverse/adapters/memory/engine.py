"""The simplest engine: everybody in memory, folded anew from the log's beginning at each start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from obverse.core import codec, profiles
from obverse.core.changes import Change
from obverse.core.events import Event
from obverse.core.identity import Decision
from obverse.core.people import Folded, People
from obverse.core.profiles import Profile
from obverse.ports.engine import Engine, EngineParts, Progress
from obverse.ports.event_log import Appender, Batch, Records, Stream
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_store import Checkpoint, ProfileRow, StoredEvent, StoreWriter

_events = codec.Decoder(Event)
_decisions = codec.Decoder(Decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEngineSettings:
    """There is nothing to set."""


async def open_engine(settings: MemoryEngineSettings, parts: EngineParts) -> Engine:  # noqa: ARG001 - as its kind
    """Entry point `obverse.engine:memory`."""
    return MemoryEngine(parts)


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
        writer = await self._parts.store.open_writer("unify")
        decided = await log.open_appender(Stream.DECISIONS)
        changed = await log.open_appender(Stream.CHANGES)
        shown = await self._parts.cache.open_writer(lambda profile: profiles.pack(profile, definitions))
        reader = await log.open_reader(Stream.EVENTS, dict.fromkeys(range(log.partitions), 0))
        try:
            await self._recall()
            self.progress.folded, self.progress.kept = {}, dict(writer.marks.get(Stream.EVENTS, {}))
            while True:
                for batch in await reader.next():
                    await self._take(batch, writer, decided, changed, shown)
        finally:
            for opened in (reader, shown, changed, decided, writer):
                await opened.close()

    async def _recall(self) -> None:
        """Carry out what was decided before, so that no decision is taken anew."""
        end = (await self._parts.log.bounds(Stream.DECISIONS))[0][1]
        reader = await self._parts.log.open_reader(Stream.DECISIONS, {0: 0})
        at = 0
        while at < end:
            for batch in await reader.next():
                for decision in _decisions.decode(batch.count, batch.body):
                    self._people.carry_out(decision)
                at = batch.end
        await reader.close()

    async def _take(
        self, batch: Batch, writer: StoreWriter, decided: Appender, changed: Appender, shown: CacheWriter
    ) -> None:
        known = self.progress.kept.get(batch.partition, 0)
        done: list[tuple[int, Event, Folded]] = []
        try:
            events = [] if batch.damage else _events.decode(batch.count, batch.body)
        except codec.UnreadableRecord:
            events = []
        self.progress.damaged += batch.count - len(events)
        for place, event in enumerate(events, batch.first):
            folded = self._people.fold(event, (batch.partition, place))
            if place >= known:
                done.append((place, event, folded))
        decisions = [folded.decision for _, _, folded in done if folded.decision is not None]
        if decisions:
            await decided.append(0, Records(len(decisions), codec.encode(decisions)))
        touched = {folded.profile.id: folded.profile for _, _, folded in done if folded.profile is not None}
        present = [self._people.profiles[one] for one in touched if one in self._people.profiles]
        await shown.publish(present)
        self.progress.events += len(events)
        self.progress.repeated += sum(folded.repeated for _, _, folded in done)
        self.progress.decisions += len(decisions)
        self.progress.folded = {**self.progress.folded, batch.partition: batch.end}
        moved: list[Change] = [change for _, _, folded in done for change in folded.changes]
        if moved:
            await changed.append(0, Records(len(moved), codec.encode(moved)))
            self.progress.changes += len(moved)
        await self._keep(batch, done, present, writer)

    async def _keep(
        self,
        batch: Batch,
        done: Sequence[tuple[int, Event, Folded]],
        present: Sequence[Profile],
        writer: StoreWriter,
    ) -> None:
        fresh = [(place, event, folded.profile) for place, event, folded in done if not folded.repeated]
        await writer.commit(
            Checkpoint(
                marks={Stream.EVENTS: {batch.partition: batch.end}},
                profiles=[ProfileRow.of(profile, self._people.definitions) for profile in present],
                absorbed=dict(self._people.absorbed),
                events=[
                    StoredEvent(profile.id, batch.partition, place, event)
                    for place, event, profile in fresh
                    if profile is not None
                ],
                rejected=[
                    People.unidentified(event, batch.partition, place)
                    for place, event, profile in fresh
                    if profile is None
                ],
            )
        )
        async with self._kept:
            self.progress.kept = {**self.progress.kept, batch.partition: batch.end}
            self.progress.checkpointed_at = self._parts.runtime.now()
            self._kept.notify_all()

    async def drain(self) -> None:
        """See `Engine.drain`."""
        ends = {partition: end for partition, (_, end) in (await self._parts.log.bounds(Stream.EVENTS)).items()}
        async with self._kept:
            await self._kept.wait_for(
                lambda: all(self.progress.kept.get(partition, 0) >= end for partition, end in ends.items())
            )
