"""The fold of a running engine: reads the log, brings the profiles, decides, folds and tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters._decisions import decided
from obverse.adapters.embedded.backfill import Backfilling, Folded
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.adapters.embedded.clock import Clock
from obverse.adapters.embedded.coming import Coming, Turn
from obverse.adapters.embedded.refolding import Refolding
from obverse.adapters.embedded.requests import Requests
from obverse.core import groups, profiles
from obverse.core.changes import Change
from obverse.core.events import Event, unfoldable
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Appender, Records, Stream
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_store import StoredEvent

_log = structlog.get_logger(__name__)


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
    going: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the fold is to wait."""
    requests: Requests = field(init=False)
    clock: Clock = field(init=False)
    backfilling: Backfilling = field(init=False)
    refolding: Refolding = field(init=False)

    def __post_init__(self) -> None:
        """Make ready for requests, and for what time does."""
        self.going.set()
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
        coming = Coming(
            parts=self.parts,
            people=self.people,
            checkpoints=self.checkpoints,
            progress=self.progress,
            reader=reader,
            marks=marks,
            turn_events=self.turn_events,
            few=self.slice_events,
        )
        try:
            while True:
                work = await coming.next()
                await self.going.wait()
                await self._fold(work, coming.look_ahead)
                await self.checkpoints.make_room()
        finally:
            await coming.close()
            await reader.close()

    async def _fold(self, work: Turn, look_ahead: Callable[[], None]) -> None:
        """
        Fold some events; decisions are in the log before anything shows them.

        Once they are folded, the log and the store are asked for what comes next while they write: the fold waits for
        either as little as it can.
        """
        began, arrived = self.parts.runtime.elapsed(), work.arrived
        people = self.people
        people.definitions = self.parts.definitions()
        work.make_ready(people, people.definitions)
        async with self.checkpoints.turn:
            # With the turn held, so that no checkpoint lets go of a profile between its coming and its fold.
            await self._bring_near(work)
            self.checkpoints.rejected.extend(work.rejected)
            for at in range(0, len(work.events), self.slice_events):
                if at:
                    await self.parts.runtime.sleep(0)
                self._fold_slice(work, at)
            look_ahead()
            await self._write_down(work)
            present = {one: profile for one, profile in work.touched.items() if one in people.profiles}
            self.checkpoints.fold_reached(work.partition, work.end, present)
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

    async def _write_down(self, work: Turn) -> None:
        """Append the decisions of a turn; pack meanwhile what is to be stored of it."""
        first: list[int] = []
        appending = self.parts.runtime.spawn("unify decisions", self._append(work.decisions, first))
        try:
            for at in range(0, len(work.stored), self.slice_events):
                await self.parts.runtime.sleep(0)
                self.checkpoints.store(work.stored[at : at + self.slice_events])
            if work.groups:
                await self._bring_groups(work.groups)
            await appending.wait()
        finally:
            await appending.stop()
        if first:
            self.checkpoints.decided(first[0], work.decisions)

    async def _append(self, decisions: Sequence[Decision], first: list[int]) -> None:
        """Append decisions; `first` is given the offset of each part of them."""
        if decisions:
            first += [await self.decisions.append(0, records) for records in Records.of(decisions)]

    async def _bring_near(self, work: Turn) -> None:
        """Have whom a turn shows in memory; what the store said ahead is taken, if it would still say so."""
        near, shown = work.near, (identifier for one in work.shown for identifier in one)
        if near is None or near.standing != self.checkpoints.standing:
            await self._bring(shown)
            return
        self._adopt(near.packed)
        # Whoever had one of them then may have lost it since.
        await self._bring(one for one in shown if one not in near.asked)

    def _fold_slice(self, work: Turn, at: int) -> None:
        for place, identifiers in enumerate(work.shown[at : at + self.slice_events], at):
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

    def _fold_one(self, work: Turn, offset: int, event: Event, identifiers: tuple[str, ...]) -> None:
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
        self._adopt(await self.parts.store.load(unknown, missing - gone.keys()), gone)

    def _adopt(self, some: Iterable[bytes], gone: Mapping[bytes, bytes] | None = None) -> None:
        """Take in what the store has of these; `gone` was merged away when it was asked."""
        people = self.people
        if gone is None:
            gone = {**self.checkpoints.absorbing, **people.absorbed}
        for packed in some:
            profile = profiles.unpack(packed, people.definitions)
            # What is in memory is newer than what is in the store.
            if profile.id not in people.profiles and profile.id not in gone:
                people.adopt(profile)
                self.clock.note([profile])
