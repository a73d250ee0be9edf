"""With what definitions a bucket folds: those in force, those of before, and traits on their way beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from obverse.adapters._buckets.items import Defined, Fill, Follow
from obverse.adapters._buckets.shelves import DOCUMENTS, FORMER, Shelf, put_or_remove
from obverse.core import profiles
from obverse.core.changes import Change
from obverse.core.definitions import Definitions, arriving
from obverse.core.people import People
from obverse.core.profiles import Profile

Reading = Callable[[int, bytes], Definitions]
"""Makes definitions of a version and its documents."""


class Defining:
    """Has a bucket's people be folded with what the router has told; `put` has the next machine know it."""

    def __init__(self, shelf: Shelf, read: Reading, people: People, version: int) -> None:
        """`version`: of the definitions that the bucket was told last; 0: of none."""
        self._shelf = shelf
        self._read = read
        self._people = people
        self._beside = Definitions()
        """Of traits to come alone."""
        self._documents = shelf.get(DOCUMENTS)
        self._former = shelf.get(FORMER)
        if version:
            self._use(read(version, self._documents or b""))
        self._before = read(version, self._former) if self._former else None

    def define(self, item: Defined) -> None:
        """
        Fold with other definitions from here on, and remember those of before, for whoever is to follow.

        Those of before the latest that have other traits or audiences: else whoever follows later would follow nothing.
        """
        known, before = self._documents, self._people.definitions
        self._documents = item.documents
        self._use(self._read(item.version, item.documents))
        if known is not None and not arriving.is_live(self._people.definitions, before):
            self._before, self._former = before, known

    def _use(self, definitions: Definitions) -> None:
        self._people.definitions = definitions
        self._beside = arriving.only(definitions.beside, definitions)
        # Whoever is new lacks nothing of what is folded beside.
        self._people.filled = max(self._people.filled, definitions.beside_version)

    def begin_anew(self) -> None:
        """Know of none."""
        self._documents = self._former = self._before = None
        self._use(Definitions())
        self._people.filled = 0

    def follow(self, profile: Profile, item: Follow) -> Sequence[Change]:
        """Have a profile follow definitions that have become live; what that changes."""
        after = self._people.definitions
        changes = profiles.go_live(profile, self._before or arriving.without(after, item.names), after, item.now)
        profile.filled = item.version
        return changes

    def fill(self, profile: Profile, item: Fill) -> bool:
        """Join a profile with its history, unless that is of other definitions or of less than the profile is now."""
        beside = self._beside
        if item.version != self._people.definitions.beside_version or profile.filled == item.version:
            return False
        if (profile.merges, profile.since) != (item.merges, item.since):
            return False
        profiles.fill(profile, profiles.read_traits(item.history, beside.trait_of_code), beside, item.version)
        return True

    def put(self) -> None:
        """Have the shelf hold it."""
        put_or_remove(self._shelf, DOCUMENTS, self._documents)
        put_or_remove(self._shelf, FORMER, self._former)
