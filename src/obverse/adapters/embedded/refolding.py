"""People folded anew beside those who are live, and swapped in once they have caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from obverse.adapters._changes_out import ChangesOut, Held
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.core import profiles
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import TYPES
from obverse.core.people import People, keeper_of
from obverse.core.profiles import Profile
from obverse.core.refolding import REPLAY, Difference, difference, for_refold, refold, swap_in, with_moves
from obverse.ports.engine import EngineParts
from obverse.ports.profile_cache import CacheWriter

_TRIES: Final = 3
"""How often somebody may have moved meanwhile, before the fold is made to wait for them."""
_AT_ONCE: Final = 50
"""People who are folded anew beside each other."""
_EVENTS: Final = 2000
"""Events that are read at once."""
_SLICE: Final = 200
"""Events that are folded before others get their turn."""
_CALLS: Final = [(one, None) for one in sorted(TYPES)]
_log = structlog.get_logger(__name__)

Bring = Callable[[Iterable[str], Iterable[bytes]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Stood:
    """How somebody stood when their history began to be read: as the store knew them."""

    kept_in: int
    events: int
    merges: int

    @staticmethod
    def of(profile: Profile) -> _Stood:
        return _Stood(profile.kept_in, profile.events, profile.merges)


@dataclass(slots=True, kw_only=True)
class Refolding:
    """
    Folds people from nothing out of the store, while events go on being folded into those who are live.

    Whoever has not moved since the checkpoint that holds their history has been caught up with, and is swapped. Who
    moves all the time is folded while the fold waits, as in an unmerge.
    """

    parts: EngineParts
    people: People
    checkpoints: Checkpoints
    changes: ChangesOut
    cache: CacheWriter[Profile]
    bring: Bring
    note: Callable[[Iterable[Profile]], None]
    """Takes in when profiles are due."""
    going: asyncio.Event
    """Cleared while the fold is to wait."""
    _found: dict[bytes, Difference | None] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fold_anew(self, ids: Collection[bytes], replay: str) -> Mapping[bytes, Difference | None]:
        """See `FoldsAnew.fold_anew`."""
        async with self._turn:
            self._found = {}
            waiting = list(dict.fromkeys(ids))
            for at in range(0, len(waiting), _AT_ONCE):
                left: Collection[bytes] = waiting[at : at + _AT_ONCE]
                for _ in range(_TRIES):
                    left = await self._beside(left, replay)
                    if not left:
                        break
                    await self.checkpoints.written()
                if left:
                    await self._while_others_wait(left, replay)
            if any(one is not None and one.is_any for one in self._found.values()):
                await self.checkpoints.written()
            return self._found

    async def _beside(self, ids: Collection[bytes], replay: str) -> Collection[bytes]:
        """Fold those of these whose history the store has, and swap them; return who has to be tried again."""
        async with self.checkpoints.turn:
            stood = await self._stand(ids)
        definitions = self.parts.definitions()
        fresh = await self._fold([one for one, there in stood.items() if there is not None], definitions)
        async with self.checkpoints.turn:
            caught_up, left = list[bytes](), list[bytes]()
            for one, there in stood.items():
                profile = self.people.profiles.get(one)
                if (
                    profile is not None
                    and self.checkpoints.stores(profile)
                    and there == _Stood.of(profile)
                    and self.parts.definitions() is definitions
                ):
                    caught_up.append(one)
                else:
                    left.append(one)
            swapped, held = self._swap(caught_up, fresh, definitions, replay)
        await self._publish(swapped, held)
        return left

    async def _while_others_wait(self, ids: Collection[bytes], replay: str) -> None:
        """Fold and swap these while nobody else is folded: they move too often to be caught up with."""
        self.going.clear()
        try:
            while True:
                await self.checkpoints.quiet()
                async with self.checkpoints.turn:
                    if not self.checkpoints.is_quiet:
                        continue  # something was folded while we waited for the turn
                    stood, definitions = await self._stand(ids), self.parts.definitions()
                    fresh = await self._fold(list(stood), definitions)
                    swapped, held = self._swap(list(stood), fresh, definitions, replay)
                    break
        finally:
            self.going.set()
        await self._publish(swapped, held)

    async def _stand(self, ids: Collection[bytes]) -> dict[bytes, _Stood | None]:
        """How these, or who holds them now, stand; None of those who are not as the store knows them."""
        people = self.people
        keepers = dict.fromkeys(map(self._keeper, ids))
        await self.bring((), keepers)
        # Who was merged away before the last checkpoint: only the store knows with whom they are.
        gone = [one for one in keepers if one not in people.profiles]
        if gone:
            held = [profiles.unpack_briefly(packed).id for packed in await self.parts.store.load((), gone)]
            keepers |= dict.fromkeys(map(self._keeper, held))
            await self.bring((), keepers)
        stood: dict[bytes, _Stood | None] = {}
        for one in keepers:
            profile = people.profiles.get(one)
            if profile is not None:
                stood[one] = _Stood.of(profile) if self.checkpoints.stores(profile) else None
        return stood

    def _keeper(self, one: bytes) -> bytes:
        """Who holds this one, as far as is known since the last checkpoint: it may be just being written."""
        return keeper_of({**self.checkpoints.absorbing, **self.people.absorbed}, one)

    async def _fold(self, ids: Collection[bytes], definitions: Definitions) -> Mapping[bytes, Profile]:
        fresh = {one: Profile(one, filled=self.people.filled) for one in ids}
        alone, after = for_refold(definitions), 0
        while fresh:
            page = await self.parts.store.told_of(ids, _CALLS, limit=_EVENTS, after=after)
            for at in range(0, len(page), _SLICE):
                for told in page[at : at + _SLICE]:
                    refold(fresh[told.profile], told, alone)
                await self.parts.runtime.sleep(0)
            if len(page) < _EVENTS:
                break
            after = page[-1].id
        return fresh

    def _swap(
        self, ids: Collection[bytes], fresh: Mapping[bytes, Profile], definitions: Definitions, replay: str
    ) -> tuple[list[Profile], Held]:
        """Swap those who are otherwise than their history says. The turn is held; the store has them as they are."""
        people, swapped, told = self.people, list[Profile](), list[Change]()
        people.definitions = definitions
        for one in ids:
            profile, made = people.profiles[one], fresh[one]
            if made.events < profile.events:
                missing = profile.events - made.events
                _log.warning("not all events of a person are kept", profile=one.hex(), missing=missing)
                self._found.setdefault(one, None)
                continue
            turns = profile.due <= profile.now
            told += profiles.advance(profile, profile.now, definitions)
            found = difference(profile, made, definitions)
            if found.is_any:
                stamp = Stamp(profile.now, REPLAY, f"{REPLAY}:{replay}")
                done = swap_in(profile, made, found, definitions, stamp=stamp, filled=people.filled)
                told += done
                found = with_moves(found, done)
            # Who was mended before comes again, if somebody became a part of them before it was their turn.
            before = self._found.get(one)
            self._found[one] = found if before is None else before | found
            if found.is_any or turns:
                self.checkpoints.touch(one)
                swapped.append(profile)
        self.note(swapped)
        return swapped, self.changes.hold(told)

    async def _publish(self, some: Collection[Profile], held: Held) -> None:
        with held:
            if some:
                await self.cache.publish(some)
        if some:
            await self.changes.make_room()
        await self.parts.runtime.sleep(0)
