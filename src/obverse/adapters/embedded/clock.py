"""The engine's clock: profiles that time alone changes, though no event comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.core import profiles
from obverse.core.changes import Change
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter

LOOK: Final = 0.25
"""Seconds between two looks at who in memory is due."""
LOOK_IN_STORE: Final = 1.0
"""Seconds between two looks at who is due of those that only the store has."""
PATIENCE: Final = 300_000
"""Microseconds that an event may take from its arrival into the log, and still come before what time changes."""
_SLICE: Final = 200
"""Profiles that are evaluated before others get their turn."""
_MOST_OWED: Final = 20_000
"""Profiles that are not in the store as they are, beyond which no more are brought from there."""

Bring = Callable[[Iterable[str], Iterable[bytes]], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Clock:
    """
    Evaluates profiles at the instants at which they are due.

    Nothing is evaluated ahead of what the log still holds: while a partition lags, it is as late as the arrival of what
    was folded of it last. So a backlog, a restart or a replay makes nobody leave and come back.
    """

    parts: EngineParts
    people: People
    progress: Progress
    checkpoints: Checkpoints
    changes: ChangesOut
    cache: CacheWriter[Profile]
    bring: Bring
    going: asyncio.Event
    """Cleared while nothing may be folded."""
    _heap: list[tuple[int, bytes]] = field(default_factory=list)
    """Who is due when; some of it is out of date."""
    _queued: dict[bytes, int] = field(default_factory=dict)
    """When each profile in the heap is due, as far as the heap knows."""
    _arrivals: dict[int, int] = field(default_factory=dict)
    """By partition, the latest arrival of what was folded in this run."""

    def note(self, some: Iterable[Profile]) -> None:
        """Take in when these are due, after they have moved or were brought into memory."""
        queued = self._queued
        for profile in some:
            due = profile.due
            if due < queued.get(profile.id, profiles.NEVER):
                queued[profile.id] = due
                heappush(self._heap, (due, profile.id))

    def arrived(self, partition: int, at: int) -> None:
        """Note the arrival of something that was folded."""
        if at > self._arrivals.get(partition, 0):
            self._arrivals[partition] = at

    async def run(self) -> None:
        """
        Evaluate whoever is due, for ever.

        Raises:
            Unreachable: the store or the log failed while something was done.
        """
        runtime, heap = self.parts.runtime, self._heap
        looked = runtime.elapsed() - LOOK_IN_STORE
        while True:
            await runtime.sleep(LOOK)
            in_store = runtime.elapsed() - looked >= LOOK_IN_STORE
            in_memory = heap and heap[0][0] <= runtime.now()
            if not (in_store or in_memory) or not self.parts.definitions().timed or self.parts.obstacle():
                continue
            now = await self.now()
            if now is not None:
                await self._look_in_memory(now)
                if in_store:
                    await self._look_in_store(now)
                    looked = runtime.elapsed()

    async def now(self) -> int | None:
        """What time it is, as far as the log is folded, in microseconds since 1970; None if that is not known."""
        now = self.parts.runtime.now() - PATIENCE
        try:
            bounds = await self.parts.log.bounds(Stream.EVENTS)
        except Unreachable:
            return None  # whoever folds will say so
        folded, arrivals = self.progress.folded, self._arrivals
        lagging = [partition for partition, (_, end) in bounds.items() if folded.get(partition, 0) < end]
        if any(partition not in arrivals for partition in lagging):
            return None
        return min([now, *(arrivals[partition] for partition in lagging)])

    async def _look_in_memory(self, now: int) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now:
            due: dict[bytes, None] = {}
            while heap and heap[0][0] <= now and len(due) < _SLICE:
                at, one = heappop(heap)
                if self._queued.get(one) == at:
                    del self._queued[one]
                    due[one] = None
            await self._turn(due, now)

    async def _look_in_store(self, now: int) -> None:
        after: tuple[int, bytes] | None = None
        people = self.people
        while True:
            try:
                page = await self.parts.store.due(now, limit=_SLICE, after=after)
            except Unreachable:
                return  # whoever writes will say so
            # What is in memory is newer than what is in the store.
            missing = [one for _, one in page if one not in people.profiles and one not in people.absorbed]
            if missing:
                await self._turn(missing, now, bring=True)
            if len(page) < _SLICE:
                return
            after = page[-1]
            while self.checkpoints.profiles_owed > _MOST_OWED:
                await self.parts.runtime.sleep(LOOK)

    async def _turn(self, ids: Collection[bytes], now: int, *, bring: bool = False) -> None:
        """Have time go on for these, as far as they are in memory, or are to be brought there."""
        people = self.people
        await self.going.wait()
        async with self.checkpoints.turn:
            people.definitions = self.parts.definitions()
            if bring:
                await self.bring((), ids)
            some = [people.profiles[one] for one in ids if one in people.profiles]
            moved = [one for one in some if one.due <= now]
            self.checkpoints.before_profiles(moved)
            told = list[Change]()
            for profile in moved:
                told += profiles.advance(profile, now, people.definitions)
                self.checkpoints.touch(profile.id)
            held = self.changes.hold(told)
            self.note(some)
        with held:
            await self.cache.publish(moved)
        await self.changes.make_room()
        await self.parts.runtime.sleep(0)
