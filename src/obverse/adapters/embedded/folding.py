"""The fold of a running engine: reads the log, brings the profiles, decides, folds and tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters._decisions import decided
from obverse.adapters._foreign import Foreign
from obverse.adapters.embedded.backfill import Backfilling, Folded
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.adapters.embedded.clock import Clock
from obverse.adapters.embedded.refolding import Refolding
from obverse.adapters.embedded.requests import Requests
from obverse.core import codec, groups, profiles
from obverse.core.changes import Change
from obverse.core.events import Event, RejectedEvent, unfoldable
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Appender, Batch, Records, Stream
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_store import StoredEvent

_events = codec.Decoder(Event)
_log = structlog.get_logger(__name__)

GATHER: Final = 0.008
"""Seconds that the fold lets events gather after it has met only a few."""


@dataclass(slots=True, kw_only=True)
class Folding:
    """One run's fold, and what it writes to."""

    parts: EngineParts
    """With the definitions that are folded with (`Folded.current`)."""
    given: EngineParts
    """With those that everybody sees."""
    folded: Folded
    people: People
    progress: Progress
    decisions: Appender
    cache: CacheWriter[Profile]
    checkpoints: Checkpoints
    changes: ChangesOut
    slice_events: int
    turn_events: int
    foreign: Foreign = field(init=False)
    going: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the fold is to wait."""
    requests: Requests = field(init=False)
    clock: Clock = field(init=False)
    backfilling: Backfilling = field(init=False)
    refolding: Refolding = field(init=False)

    def __post_init__(self) -> None:
        """Make ready for requests, and for what time does."""
        self.going.set()
        self.foreign = Foreign(self.parts.store)
        self.clock = Clock(
            parts=self.parts,
            people=self.people,
            progress=self.progress,
            checkpoints=self.checkpoints,
            changes=self.changes,
            cache=self.cache,
            bring=self._bring,
            going=self.going,
        )
        self.requests = Requests(
            parts=self.parts,
            people=self.people,
            checkpoints=self.checkpoints,
            decisions=self.decisions,
            changes=self.changes,
            cache=self.cache,
            bring=self._bring,
            note=self.clock.note,
            going=self.going,
        )
        self.backfilling = Backfilling(
            parts=self.given,
            folded=self.folded,
            people=self.people,
            checkpoints=self.checkpoints,
            changes=self.changes,
            cache=self.cache,
            clock=self.clock,
            bring=self._bring,
            going=self.going,
        )

        self.refolding = Refolding(
            parts=self.parts,
            people=self.people,
            checkpoints=self.checkpoints,
            changes=self.changes,
            cache=self.cache,
            bring=self._bring,
            note=self.clock.note,
            going=self.going,
        )

    async def recall(self, at: int) -> None:
        """Carry out what was decided after the last checkpoint, from this mark on: no decision is taken anew."""
        end = (await self.parts.log.bounds(Stream.DECISIONS))[0][1]
        self.checkpoints.decisions = at
        people = self.people.profiles
        moved, touched, aside = list[Change](), dict[bytes, None](), list[str]()
        async for first, decisions in decided(self.parts.log, at, end):
            for place, decision in enumerate(decisions, first):
                if decision.is_asked:
                    await self.requests.carry_out(place, decision)
                    continue
                concerned = (decision.profile, *decision.absorbed, *decision.beside)
                await self._bring(decision.identifiers, concerned)
                moved += self.people.recall(decision)
                touched |= dict.fromkeys(concerned)
                aside += [one.identifier for one in decision.set_aside]
                for one in concerned:
                    self.checkpoints.touch(one)
                self.clock.note(self.people.profiles[one] for one in concerned if one in self.people.profiles)
                self.checkpoints.decided(place, [decision])
        # What is decided is told once more, and not by the fold: whoever acts on it finds it in no store yet.
        with self.changes.hold(moved):
            await self.cache.publish([people[one] for one in touched if one in people], aside)

    async def run(self) -> None:
        """
        Fold what the log holds and what comes, for ever.

        Raises:
            Unreachable, LogGap, UnknownMark: see `Engine.run`.
        """
        log = self.parts.log
        marks = {partition: self.checkpoints.marks.get(partition, 0) for partition in range(log.partitions)}
        reader = await log.open_reader(Stream.EVENTS, marks)
        try:
            while True:
                before, batches = self.progress.events, await reader.next()
                await self.foreign.recall(batches, marks)
                for work in self._turns(batches):
                    await self.going.wait()
                    await self._fold(work)
                    await self.checkpoints.make_room()
                if self.progress.events - before < self.slice_events:
                    # Few at a time cost much each; a moment later there are more.
                    await self.parts.runtime.sleep(GATHER)
        finally:
            await reader.close()

    def _turns(self, batches: Sequence[Batch]) -> Iterable[_Turn]:
        """Cut what was read into turns; batches that follow each other in one partition share one."""
        waiting: _Turn | None = None
        for batch in batches:
            if not batch.count:
                if waiting is not None:
                    yield waiting
                waiting = None
                yield _Turn(batch.partition, batch.first, [], self.foreign.kept_of(batch, self.parts.runtime.now()))
                continue
            for first, events in self._readable(batch):
                if waiting is not None and (waiting.partition, waiting.end) == (batch.partition, first):
                    waiting.events.extend(events)
                else:
                    if waiting is not None:
                        yield waiting
                    waiting = _Turn(batch.partition, first, list(events))
                if len(waiting.events) >= self.turn_events:
                    yield waiting
                    waiting = None
        if waiting is not None:
            yield waiting

    def _readable(self, batch: Batch) -> Iterable[tuple[int, Sequence[Event]]]:
        try:
            events = [] if batch.damage else _events.decode(batch.count, batch.body)
        except codec.UnreadableRecord as error:
            events, batch = [], replace(batch, damage=str(error))
        if batch.damage:
            self.progress.damaged += batch.count
            _log.error(
                "damaged batch set aside",
                partition=batch.partition,
                first_offset=batch.first,
                records=batch.count,
                damage=batch.damage,
                what_to_do="it stays in the log; restore it from a backup, then replay it",
            )
            yield batch.end, ()
        for at in range(0, len(events), self.turn_events):
            yield batch.first + at, events[at : at + self.turn_events]

    async def _fold(self, work: _Turn) -> None:
        """Fold some events; decisions are in the log before anything shows them."""
        began, arrived = self.parts.runtime.elapsed(), work.arrived
        people = self.people
        people.definitions = self.parts.definitions()
        if people.definitions.held:
            self._admit(work)
        shown = [() if event is None else people.shown(event) for event in work.events]
        async with self.checkpoints.turn:
            # With the turn held, so that no checkpoint lets go of a profile between its coming and its fold.
            await self._bring(identifier for one in shown for identifier in one)
            self.checkpoints.rejected.extend(work.rejected)
            for at in range(0, len(shown), self.slice_events):
                if at:
                    await self.parts.runtime.sleep(0)
                self._fold_slice(work, at, shown[at : at + self.slice_events])
            if work.groups:
                await self._bring_groups(work.groups)
            present = {one: profile for one, profile in work.touched.items() if one in people.profiles}
            self.checkpoints.fold_reached(work.partition, work.end, present, work.stored)
            if work.decisions:
                first, *_ = [await self.decisions.append(0, records) for records in Records.of(work.decisions)]
                self.checkpoints.decided(first, work.decisions)
            # Only now, so that no change is in the log before the decision that it follows from.
            held = self.changes.hold(work.changes)
            self.clock.note(present.values())
            if work.arrives is not None:
                self.clock.arrived(work.partition, work.arrives)
        aside = [one.identifier for decision in work.decisions for one in decision.set_aside]
        with held:
            await self.cache.publish(present.values(), aside)
        self.progress.folded = {**self.progress.folded, work.partition: work.end}
        self.progress.events += len(work.events)
        self.progress.decisions += len(work.decisions)
        self.progress.folding.note(self.parts.runtime.elapsed() - began)
        if arrived is not None:
            self.progress.delay.note((self.parts.runtime.now() - arrived) / 1_000_000)
        await self.changes.make_room()

    def _admit(self, work: _Turn) -> None:
        """Hold the events against their sources' tracking plans."""
        for place, event in enumerate(work.events):
            if event is not None:
                admitted: Event | RejectedEvent
                try:
                    admitted = self.people.admit(event)
                except Exception as error:  # noqa: BLE001 - as in `_fold_slice`
                    _log.error("event set aside", message_id=event.message_id, error=repr(error))
                    admitted = unfoldable(event, error)
                if isinstance(admitted, RejectedEvent):
                    work.rejected.append(admitted)
                    work.events[place] = None
                else:
                    work.events[place] = admitted

    def _fold_slice(self, work: _Turn, at: int, shown: Sequence[tuple[str, ...]]) -> None:
        for place, identifiers in enumerate(shown, at):
            event, offset = work.events[place], work.first + place
            if event is None:
                continue
            self.checkpoints.before(identifiers)
            try:
                self._fold_one(work, offset, event, identifiers)
            except Exception as error:  # noqa: BLE001 - one event that cannot be folded must not stop all others
                _log.error("event set aside", partition=work.partition, offset=offset, error=repr(error))
                self.checkpoints.rejected.append(unfoldable(event, error))
        if work.decisions:
            self.cache.hold()  # until they are in the log, and the profiles published

    def _fold_one(self, work: _Turn, offset: int, event: Event, identifiers: tuple[str, ...]) -> None:
        folded = self.people.fold(event, (work.partition, offset), identifiers)
        if folded.profile is None:
            self.checkpoints.rejected.append(People.unidentified(event, work.partition, offset))
            return
        work.touched[folded.profile.id] = folded.profile
        if folded.decision is not None:
            work.decisions.append(folded.decision)
            work.touched.update((other.id, other) for other in folded.others)
        if folded.repeated:
            self.progress.repeated += 1
        else:
            work.stored.append(StoredEvent(folded.profile.id, work.partition, offset, event))
        if folded.group is not None:
            work.groups[folded.group] = None
        work.changes.extend(folded.changes)

    async def _bring_groups(self, told: Iterable[str]) -> None:
        """
        Unite groups that were told something with what the store knows of them, before anybody sees them.

        Afterwards, since of a lattice it does not matter; so that other events need not be looked at for it.
        """
        fresh = {one: group for one in told if not (group := self.people.groups[one]).whole}
        if fresh:
            for packed in await self.parts.store.load_groups(fresh):
                known = groups.unpack(packed)
                groups.merge(fresh[known.id], known)
            for group in fresh.values():
                group.whole = True
        self.checkpoints.told(told)

    async def _bring(self, identifiers: Iterable[str], ids: Iterable[bytes] = ()) -> None:
        """Have the profiles that own these identifiers, or have these ids, in memory."""
        people = self.people
        unknown = {identifier for identifier in identifiers if identifier not in people.owners}
        missing = {one for one in ids if one not in people.profiles}
        if not unknown and not missing:
            return
        # As of now: a checkpoint may end, and the store answer as of before it.
        gone = {**self.checkpoints.absorbing, **people.absorbed}
        missing -= gone.keys()
        for packed in await self.parts.store.load(unknown, missing):
            profile = profiles.unpack(packed, people.definitions)
            # What is in memory is newer than what is in the store.
            if profile.id not in people.profiles and profile.id not in gone:
                people.adopt(profile)
                self.clock.note([profile])


@dataclass(slots=True)
class _Turn:
    """Some events that follow each other in one partition, and what their fold brings about."""

    partition: int
    first: int
    events: list[Event | None]
    """None for those that go no further."""
    rejected: list[RejectedEvent] = field(default_factory=list)
    touched: dict[bytes, Profile] = field(default_factory=dict)
    stored: list[StoredEvent] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    groups: dict[str, None] = field(default_factory=dict)
    """Those that were told something."""

    @property
    def end(self) -> int:
        return self.first + len(self.events)

    @property
    def arrived(self) -> int | None:
        """When the first of them arrived, in microseconds since 1970; None if there is none."""
        return next((event.received_at for event in self.events if event is not None), None)

    @property
    def arrives(self) -> int | None:
        """The same of the last one."""
        return next((event.received_at for event in reversed(self.events) if event is not None), None)
