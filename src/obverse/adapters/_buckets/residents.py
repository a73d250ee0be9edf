"""The profiles that live in one bucket: in memory, and on its shelf."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from obverse.adapters._buckets.items import Row, Shown
from obverse.adapters._buckets.shelves import PROFILE, UNKEPT, Dues, Shelf, put_or_remove
from obverse.core import profiles
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.profile_rows import ProfileRow

AWAKE: Final = 5_000
"""Profiles that are kept at hand; beyond, those that moved the longest ago are let go, and read again."""


class _Unkept(msgspec.Struct, array_like=True, gc=False):
    """What of a profile has moved since its row was told."""

    number: int
    """Of the last item that moved it."""
    known: bool = False
    standing: bool = False
    claims: tuple[str, ...] = ()


_NOBODY: Final = b"\x80"
_encoder = msgspec.msgpack.Encoder()
_unkept = msgspec.msgpack.Decoder(dict[bytes, _Unkept])


class Residents:
    """
    Shows each profile that has moved at once, as bytes; tells its row, in full, when it is to be kept.

    The shelf has them as they were when `put` was called last.
    """

    def __init__(self, shelf: Shelf, people: People, awake: int) -> None:
        self._shelf = shelf
        self._people = people
        self._awake = awake
        self._moved: dict[bytes, int] = {}
        """Whom the record at hand has moved, and the number of the last item that did."""
        self._unkept: dict[bytes, _Unkept] = _unkept.decode(shelf.get(UNKEPT) or _NOBODY)
        self._unput: dict[bytes, bytes] = {}
        """Who is not on the shelf as they are, packed."""
        self._gone: set[bytes] = set()
        """Who is on the shelf and no more here."""
        self._dues = Dues(shelf)

    def find(self, one: bytes) -> Profile | None:
        """Have a profile in memory, if it lives here."""
        people = self._people
        if one in people.profiles:
            return people.profiles[one]
        packed = None if one in self._gone else self._shelf.get(PROFILE + one)
        if packed is None:
            return None
        people.adopt(profiles.unpack(packed, people.definitions))
        return people.profiles[one]

    def moved(self, one: bytes, number: int) -> None:
        """Note that an item has moved a profile which is in memory."""
        self._moved[one] = number

    def come(self, packed: bytes) -> None:
        """Take in a profile that was kept elsewhere, as it is."""
        profile = profiles.unpack(packed, self._people.definitions)
        self._people.adopt(profile)
        self._is(profile, packed)

    def clear(self) -> None:
        """Have nobody live here."""
        self._gone.update(key[1:] for key, _ in self._shelf.scan() if key[:1] == PROFILE)
        for profile in list(self._people.profiles.values()):
            self._people.release(profile)
        for known in (self._moved, self._unkept, self._unput):
            known.clear()

    def leave(self, one: bytes) -> None:
        """Have a profile live here no more."""
        self._moved.pop(one, None)
        self._unkept.pop(one, None)
        self._unput.pop(one, None)
        self._gone.add(one)

    def due(self, now: int) -> Iterator[bytes]:
        """Take out who may be due by then."""
        people = self._people.profiles
        # Shown or not: a machine made anew does the same again and shows nobody meanwhile, and one that is behind shows
        # them later.
        moved, unput = (people[one] for one in self._moved), (people[one] for one in self._unput)
        return self._dues.by(now, moved, unput)

    def look_at_again(self, profile: Profile) -> None:
        """Have a profile that was taken out as due be so again, when it is."""
        self._dues.note(profile)

    def shown(self) -> Iterator[Shown]:
        """Everybody whom the record at hand has moved and who was not shown since, as they are now."""
        for one in list(self._moved):
            yield from self.shown_of(one)

    def shown_of(self, one: bytes) -> Iterator[Shown]:
        """A profile as it is now, unless it was shown since it moved."""
        number = self._moved.pop(one, None)
        if number is not None:
            profile = self._people.profiles[one]
            self._note(profile, number)
            packed = profiles.pack(profile, self._people.definitions)
            self._is(profile, packed)
            yield Shown(number, one, tuple(profile.identifiers), packed)

    def _is(self, profile: Profile, packed: bytes) -> None:
        self._unput[profile.id] = packed
        self._gone.discard(profile.id)
        self._dues.note(profile)

    def _note(self, profile: Profile, number: int) -> None:
        """Remember what has moved of a profile beside it, so that what is known is packed once, however often shown."""
        unkept = self._unkept.get(profile.id)
        if unkept is None:
            unkept = self._unkept[profile.id] = _Unkept(number)
        unkept.number = number
        if profile.known_moved or profile.standing_moved or profile.claims:
            unkept.known |= profile.known_moved
            unkept.standing |= profile.standing_moved
            unkept.claims += profile.claims
            profile.kept(profile.packed_known() if profile.known_moved else None)

    @property
    def unkept(self) -> Collection[bytes]:
        """Whose row was not told since they moved; whoever was not shown since is not among them."""
        return self._unkept.keys()

    def row_of(self, one: bytes) -> Iterator[Row]:
        """The row of a profile as it was shown last, unless it was told."""
        unkept = self._unkept.pop(one, None)
        if unkept is not None:
            profile = self.find(one)
            assert profile is not None  # noqa: S101 - whoever leaves is forgotten
            profile.known_moved, profile.standing_moved = unkept.known, unkept.standing
            # Those that it has lost meanwhile are somebody else's.
            profile.claims = tuple(dict.fromkeys(name for name in unkept.claims if name in profile.identifiers))
            definitions = self._people.definitions
            yield Row(unkept.number, ProfileRow.of(profile, definitions, packed=self._unput.get(one)))

    @property
    def crowded(self) -> bool:
        """Whether some are to be let go."""
        return len(self._people.profiles) > self._awake

    def put(self) -> None:
        """Have the shelf hold everybody as they are now."""
        shelf, people = self._shelf, self._people
        for one, packed in self._unput.items():
            shelf.put(PROFILE + one, packed)
        for one in self._gone:
            shelf.remove(PROFILE + one)
        put_or_remove(shelf, UNKEPT, _encoder.encode(self._unkept) if self._unkept else None)
        self._unput.clear()
        self._gone.clear()
        if self.crowded:
            surplus = len(people.profiles) - self._awake + self._awake // 10
            for profile in list(people.profiles.values())[:surplus]:
                people.release(profile)
