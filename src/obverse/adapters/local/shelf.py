"""What a worker has published: its own profiles, by identifier."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic

from obverse.core.identity import id_named
from obverse.core.profiles import Profile
from obverse.ports.profile_cache import P


class Shelf(Generic[P]):
    """Profiles by identifier. Beyond its capacity it lets go of settled ones, the least recently published first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._owners: dict[str, P] = {}
        self._unsettled: dict[bytes, tuple[int, P, int]] = {}
        """With the how-manieth publication it was, and how many identifiers it had ever had."""
        self._settled: OrderedDict[bytes, P] = OrderedDict()
        self._published = 0

    def __len__(self) -> int:
        return len(self._unsettled) + len(self._settled)

    def find(self, identifier: str) -> P | None:
        """Who owns this identifier, or has this id (`id_name`)."""
        one = id_named(identifier)
        if one is None:
            return self._owners.get(identifier)
        entry = self._unsettled.get(one)
        return self._settled.get(one) if entry is None else entry[1]

    def put(self, profile: P) -> None:
        """Keep the profile under all its identifiers, whoever had them before, until it is settled."""
        self._published += 1
        known, shown = self._unsettled.get(profile.id), _ever(profile)
        if known is not None and known[1] is profile and known[2] == shown:
            # Nearly always: a profile gains identifiers seldom.
            self._unsettled[profile.id] = (self._published, profile, shown)
            return
        before = self._remove(profile.id)
        if before is not None and before is not profile:
            self._forget(before)  # the engine let go of it, and loaded it anew
        self._unsettled[profile.id] = (self._published, profile, shown)
        owners, robbed = self._owners, []
        for identifier in profile.identifiers:
            owner = owners.get(identifier)
            if owner is not profile:
                owners[identifier] = profile
                if owner is not None:
                    robbed.append(owner)
        for owner in robbed:
            if not any(owners.get(identifier) is owner for identifier in owner.identifiers):
                self._remove(owner.id)  # merged away: nobody can ask for it any more
        self._make_room()

    def forget(self, identifiers: Iterable[str]) -> None:
        """Let these be nobody's."""
        for identifier in identifiers:
            self._owners.pop(identifier, None)

    def settle(self, profiles: Iterable[P]) -> None:
        """Note that these may go."""
        unsettled = self._unsettled
        for _, one in sorted((unsettled[profile.id][0], profile.id) for profile in profiles if profile.id in unsettled):
            self._settled[one] = unsettled.pop(one)[1]
        self._make_room()

    def _make_room(self) -> None:
        while self._settled and len(self) > self._capacity:
            self._forget(self._settled.popitem(last=False)[1])

    def _remove(self, one: bytes) -> P | None:
        entry = self._unsettled.pop(one, None)
        return self._settled.pop(one, None) if entry is None else entry[1]

    def _forget(self, profile: P) -> None:
        """Drop its identifiers, but for those that another profile owns by now."""
        for identifier in profile.identifiers:
            if self._owners.get(identifier) is profile:
                del self._owners[identifier]


def _ever(profile: P) -> int:
    """How many identifiers it has ever had; only a `Profile` can lose one and be the same object."""
    return len(profile.identifiers) + (profile.losses if isinstance(profile, Profile) else 0)
