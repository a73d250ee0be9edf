"""Changed traits and audiences, computed from history while events go on being folded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.adapters.embedded.clock import Bring, Clock
from obverse.core import profiles
from obverse.core.changes import Change
from obverse.core.definitions import Definitions, Trait, arriving
from obverse.core.history import PastEvent
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.backfills import Backfill, Phase
from obverse.ports.engine import Arriving, EngineParts
from obverse.ports.profile_cache import CacheWriter

LOOK: Final = 0.25
"""Seconds between two looks at whether definitions have changed."""
_PAGE: Final = 200
"""Profiles whose history is read at once."""
_EVENTS: Final = 5000
"""Events that are read at once."""
_SLICE: Final = 50
"""Profiles that are computed before others get their turn."""
_MOST_OWED: Final = 20_000
"""Profiles that are not in the store as they are, beyond which no more are brought from there."""
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Folded:
    """What an engine folds with: what everybody sees, and while definitions are on their way, those to come beside."""

    shown: Callable[[], Definitions]
    to_come: Sequence[Trait] = ()
    version: int = 0
    _seen: Definitions | None = None
    _folding: Definitions | None = None

    def current(self) -> Definitions:
        """The definitions to fold with now."""
        now = self.shown()
        if not self.to_come:
            return now
        if self._folding is None or now is not self._seen:
            self._seen, self._folding = now, arriving.folding(now, self.to_come, self.version)
        return self._folding

    def begin(self, to_come: Sequence[Trait], version: int) -> None:
        """Have these folded beside from now on; none of them once they are seen."""
        self.to_come, self.version, self._folding = to_come, version, None


@dataclass(slots=True, kw_only=True)
class Backfilling:
    """
    Computes what is to come from history, for one page of people after another; then everybody follows it.

    From `Backfill.marks` on, events are folded into what is to come as they come. What is before is read from the
    store, once a checkpoint has brought all of it there. Nobody sees anything of it until everybody has it, in the
    store too.
    """

    parts: EngineParts
    folded: Folded
    people: People
    checkpoints: Checkpoints
    changes: ChangesOut
    cache: CacheWriter[Profile]
    clock: Clock
    bring: Bring
    going: asyncio.Event
    """Cleared while nothing may be folded."""
    _unsettled: dict[bytes, int] = field(default_factory=dict)
    """Who became one with others meanwhile, and the number of the checkpoint that brings that to the store."""

    async def resume(self) -> None:
        """Go on where the last run stood, before anything is folded."""
        store = self.parts.store
        known, coming = await store.backfill(), self.parts.arriving()
        self.people.filled = 0 if known is None else known.version
        if known is None or coming is None or known.version != coming.version:
            return
        if known.phase is Phase.FILLING:
            kept = self.checkpoints.marks
            if any(kept.get(part, 0) < offset for part, offset in known.marks.items()):
                # The checkpoint is older: what it holds was folded without them.
                known = Backfill(known.version, dict(kept), known.phase, known.names)
                await store.note_backfill(known)
            self._begin(coming)
        else:
            await self.parts.arrived(coming.version)
            self.people.definitions = self.folded.current()

    async def run(self) -> None:
        """
        Compute what is on its way, for ever.

        Raises:
            Unreachable: the store or the log failed while something was done.
        """
        known = await self.parts.store.backfill()
        if known is not None and known.phase is Phase.TURNING:
            await self._turn(known, None)
        while True:
            coming = self.parts.arriving()
            if coming is not None and not self.parts.obstacle():
                await self._bring_in(coming, await self.parts.store.backfill())
            await self.parts.runtime.sleep(LOOK)

    async def _bring_in(self, coming: Arriving, known: Backfill | None) -> None:
        if known is None or known.version != coming.version:
            known = await self._start(coming)
        before = self.parts.definitions()
        if self.folded.to_come:
            await self._stored(known.marks)
            await self._fill(coming, known)
            await self._durable()
        turning = Backfill(known.version, known.marks, Phase.TURNING, known.names)
        await self.parts.store.note_backfill(turning)
        await self.parts.announce(coming.version)
        await self.parts.arrived(coming.version)
        async with self.checkpoints.turn:
            self.folded.begin((), coming.version)
            self.people.definitions = self.folded.current()
        await self._turn(turning, before)

    async def _start(self, coming: Arriving) -> Backfill:
        now = self.parts.definitions()
        changed = {one.name for one in arriving.changed(coming.definitions, now)}
        await self.going.wait()
        async with self.checkpoints.turn:
            known = Backfill(coming.version, dict(self.checkpoints.marks), Phase.FILLING, sorted(changed))
            await self.parts.store.note_backfill(known)
            self._begin(coming)
        _log.info("definitions are computed from history", version=coming.version, traits=sorted(changed))
        return known

    def _begin(self, coming: Arriving) -> None:
        self.folded.begin(arriving.fresh(coming.definitions, self.parts.definitions()), coming.version)
        self.people.filled = coming.version
        self.people.definitions = self.folded.current()

    async def _stored(self, marks: Mapping[int, int]) -> None:
        """Wait until a checkpoint holds all that is before these marks."""
        while any(self.checkpoints.kept.get(part, 0) < offset for part, offset in marks.items()):
            await self.parts.runtime.sleep(LOOK)

    async def _durable(self) -> None:
        """Wait until all that has been computed is in the store."""
        holding = self.checkpoints.holding
        while self.checkpoints.done < holding:
            await self.parts.runtime.sleep(LOOK)

    async def _fill(self, coming: Arriving, known: Backfill) -> None:
        alone = arriving.only(self.folded.to_come, coming.definitions)
        async for ids in self._everybody():
            await self._fill_some(ids, known, alone)
        while self._unsettled or self.people.lacking:
            self._note_merged()
            await self._fill_some([self.people.keeper(one) for one in self._unsettled], known, alone)
            await self.parts.runtime.sleep(LOOK)

    async def _everybody(self) -> AsyncIterator[Sequence[bytes]]:
        """The ids of people in the store, a page at a time."""
        after: bytes | None = None
        while True:
            page = await self.parts.store.people(limit=_PAGE, after=after)
            if not page:
                return
            yield page
            after = page[-1]
            while self.checkpoints.profiles_owed > _MOST_OWED:
                await self.parts.runtime.sleep(LOOK)

    async def _fill_some(self, ids: Collection[bytes], known: Backfill, alone: Definitions) -> None:
        people = self.people
        stood = await self._stand(ids, known)
        if not stood:
            return
        told = await self._told(stood, alone)
        waiting = list(stood.items())
        for at in range(0, len(waiting), _SLICE):
            async with self.checkpoints.turn:
                await self.bring((), [one for one, _ in waiting[at : at + _SLICE]])
                for one, merges in waiting[at : at + _SLICE]:
                    profile = people.profiles.get(one)
                    if profile is None or profile.filled == known.version:
                        self._unsettled.pop(one, None)
                        continue  # one with another now, who is visited too; or split off, and computed anew
                    if profile.merges != merges:
                        continue  # it is noted as lacking
                    history = profiles.history_of(profile, told.get(one, ()), known.marks, alone)
                    self.checkpoints.before_profiles([profile])
                    profiles.fill(profile, history, alone, known.version)
                    self.checkpoints.touch(one)
                    self._unsettled.pop(one, None)
            await self.parts.runtime.sleep(0)

    def _note_merged(self) -> None:
        """Note who has become one with others since: the next checkpoint that begins brings that to the store."""
        lacking, self.people.lacking = self.people.lacking, {}
        self._unsettled.update(dict.fromkeys(lacking, self.checkpoints.begun + 1))

    async def _stand(self, ids: Collection[bytes], known: Backfill) -> dict[bytes, int]:
        """Those of these who lack history, and how many others have become part of each by now."""
        people = self.people
        async with self.checkpoints.turn:
            await self.bring((), ids)
            self._note_merged()
            for one in ids:
                if one not in people.profiles:
                    self._unsettled.pop(one, None)  # it was merged away, and whoever holds it now is noted
            some = [people.profiles[one] for one in dict.fromkeys(ids) if one in people.profiles]
            self._unsettled = {one: number for one, number in self._unsettled.items() if not self._is_filled(one)}
            return {one.id: one.merges for one in some if one.filled != known.version and self._is_stored(one)}

    def _is_filled(self, one: bytes) -> bool:
        """Whether nothing is to be done for somebody: an unmerge computed them anew."""
        profile = self.people.profiles.get(one)
        return profile is not None and profile.filled == self.people.filled

    def _is_stored(self, profile: Profile) -> bool:
        """Whether the store has all of what is history to this profile, under its name."""
        if profile.since is None:
            return True
        needed = self._unsettled.setdefault(profile.id, self.checkpoints.begun + 1)
        return self.checkpoints.done >= needed or not self.checkpoints.owes(profile.id)

    async def _told(self, people: Collection[bytes], alone: Definitions) -> Mapping[bytes, Sequence[PastEvent]]:
        calls = list(dict.fromkeys((one.type, one.event) for one in alone.trait_of_key.values()))
        told: dict[bytes, list[PastEvent]] = {}
        after = 0
        while True:
            page = await self.parts.store.told_of(people, calls, limit=_EVENTS, after=after)
            for one in page:
                told.setdefault(one.profile, []).append(one)
            if len(page) < _EVENTS:
                return told
            after = page[-1].id
            await self.parts.runtime.sleep(0)

    async def _turn(self, known: Backfill, before: Definitions | None) -> None:
        """Have everybody follow what is seen now; `before` is what was, None if another run knew it."""
        _log.info("definitions are live", version=known.version)
        # Some of these may not be in the store yet.
        await self._turn_some(self.checkpoints.owed_ids(), known, before)
        async for ids in self._everybody():
            await self._turn_some(ids, known, before)
        await self._durable()
        await self.parts.store.note_backfill(Backfill(known.version, known.marks, Phase.DONE, known.names))

    async def _turn_some(self, ids: Sequence[bytes], known: Backfill, before: Definitions | None) -> None:
        for at in range(0, len(ids), _SLICE):
            await self._turn_few(ids[at : at + _SLICE], known, before)

    async def _turn_few(self, ids: Collection[bytes], known: Backfill, before: Definitions | None) -> None:
        now = await self._now()
        await self.going.wait()
        async with self.checkpoints.turn:
            people = self.people
            people.definitions = after = self.folded.current()
            await self.bring((), ids)
            some = [people.profiles[one] for one in ids if one in people.profiles]
            self.checkpoints.before_profiles(some)
            told = list[Change]()
            for profile in some:
                told += self._follow(profile, before, after, known.names, now)
                profile.filled = known.version
                self.checkpoints.touch(profile.id)
            self.clock.note(some)
            held = self.changes.hold(told)
        with held:
            await self.cache.publish(some)
        await self.changes.make_room()
        await self.parts.runtime.sleep(0)

    @staticmethod
    def _follow(
        profile: Profile, before: Definitions | None, after: Definitions, names: Iterable[str], now: int
    ) -> list[Change]:
        # Whoever does not know what it was says of all that may have changed that it has: it is looked at, no more.
        return profiles.go_live(profile, before or arriving.without(after, names), after, now)

    async def _now(self) -> int:
        """What time it is, as far as the log is folded."""
        while (now := await self.clock.now()) is None:
            await self.parts.runtime.sleep(LOOK)
        return now


def parts_with(parts: EngineParts, folded: Folded) -> EngineParts:
    """The same parts, but that they fold what is on its way too."""
    return replace(parts, definitions=folded.current)
