"""Whom a router knows: as much of each as identity needs, as of what was routed last."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import Decision
from obverse.core.people import People, forward
from obverse.ports.profile_store import ProfileStore


class RoutedPeople(People):
    """`People` out of a store that is behind; who was routed since then is kept in memory."""

    def __init__(self, workspace: str, definitions: Definitions, store: ProfileStore) -> None:
        super().__init__(workspace, definitions)
        self._store = store
        self._last: dict[bytes, int] = {}
        """By profile, where it was routed last."""

    def routed(self, ids: Iterable[bytes], at: int) -> None:
        """Note that something of these was routed there in the stream."""
        self._last.update(dict.fromkeys(ids, at))

    def concern(self, decision: Decision, at: int) -> None:
        """Note the same of all whom a decision concerns."""
        self.routed((decision.profile, *decision.absorbed, *decision.beside), at)

    def note(self, event: Event, profile: profiles.Profile, place: tuple[int, int]) -> None:
        """Know of an event that was routed before what identity needs of it."""
        profiles.notice(profile, event, event.stamp, place, self.shown(event))

    def replace(self, became: Iterable[bytes], at: int) -> None:
        """Know people as they are from here on."""
        some = [profiles.unpack(packed, self.definitions) for packed in became]
        for one in some:
            if one.id in self.profiles:
                self.release(self.profiles[one.id])
        for one in some:
            self.absorbed.pop(one.id, None)
            self.adopt(one)
            self._last[one.id] = at

    def part(self, decisions: Iterable[Decision], nobodys: Iterable[str]) -> None:
        """Know who was parted from whom; called before it is known what they became (`replace`)."""
        for decision in decisions:
            for part in decision.parts:
                forward(self.absorbed, decision.profile, part)
        for identifier in nobodys:
            self.owners.pop(identifier, None)

    async def bring(self, identifiers: Iterable[str], ids: Iterable[bytes] = ()) -> None:
        """Have the profiles that own these identifiers, or have these ids, in memory."""
        unknown = {identifier for identifier in identifiers if identifier not in self.owners}
        missing = {one for one in ids if one not in self.profiles and one not in self.absorbed}
        if not unknown and not missing:
            return
        for packed in await self._store.load(unknown, missing):
            profile = profiles.unpack(packed, self.definitions)
            # What is in memory is newer than what is in the store.
            if profile.id not in self.profiles and profile.id not in self.absorbed:
                self.adopt(profile)
                self._last.setdefault(profile.id, 0)  # else whoever is looked at and never routed would stay for ever

    @property
    def many(self) -> int:
        """How many are in memory, with those who were absorbed, of whom the store may not know yet."""
        return len(self.profiles) + len(self.absorbed)

    def let_go(self, surplus: int, kept: int) -> None:
        """Let so many go, of those of whom nothing was routed from this place of the stream on."""
        settled: Collection[bytes] = [one for one, at in self._last.items() if at < kept]
        for one in list(settled)[:surplus]:
            del self._last[one]
            self.absorbed.pop(one, None)
            if one in self.profiles:
                self.release(self.profiles[one])
