"""What a writer has published and the store does not hold yet; and what of it Redis does not know."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic

from obverse.adapters.redis.values import LONGEST, coded, first_of, owner_value, profile_value
from obverse.ports.profile_cache import P, Packer


@dataclass(slots=True)
class _Kept:
    packed: bytes
    names: tuple[str, ...]
    known: bool = False
    """Whether Redis knows to whom its identifiers lead."""
    settled: bool = False


@dataclass(slots=True)
class Piece:
    """A part of what Redis is to be told, with one call."""

    sent: list[tuple[bytes, _Kept]] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    """Keys."""
    expiring: list[bytes] = field(default_factory=list)
    """Keys."""
    pairs: list[bytes] = field(default_factory=list)
    """Keys, each with its value behind it."""


class Shelf(Generic[P]):
    """
    Profiles that are not settled, packed; and what Redis is still to be told.

    `before` is what keys begin with.
    """

    def __init__(self, before: bytes, pack: Packer[P]) -> None:
        self.away = True
        """While Redis is, nobody needs to be told what it is to forget."""
        self._profile, self._identifier = before + b"p:", before + b"i:"
        self._pack = pack
        self._kept: dict[bytes, _Kept] = {}
        self._owners: dict[str, bytes] = {}
        """Who owns the identifiers of those."""
        self._untold: dict[bytes, None] = {}
        """Who of them is not in Redis as they are."""
        self._gone: dict[bytes, None] = {}
        """Keys that are to go."""
        self._resting: deque[tuple[bytes, tuple[str, ...]]] = deque()
        """Who is settled, and does not expire yet."""

    def __len__(self) -> int:
        return len(self._kept)

    def holds_all(self, piece: Piece) -> bool:
        """Whether this piece is all that Redis does not know."""
        return len(piece.sent) == len(self._untold) and len(piece.gone) == len(self._gone)

    @property
    def all_told(self) -> bool:
        """Whether Redis knows of everything that was published; of what expires it may hear later."""
        return not self._untold and not self._gone

    def put(self, profiles: Iterable[P], lost: Iterable[str]) -> None:
        """Note profiles under all of their identifiers, whoever had them before; `lost` ones are nobody's."""
        for name in lost:
            self._owners.pop(name, None)
            self._gone[self._key(name)] = None
        published, robbed = set[bytes](), set[bytes]()
        for profile in profiles:
            published.add(profile.id)
            robbed |= self._put(profile.id, tuple(profile.identifiers), self._pack(profile))
        for one in robbed - published:
            kept = self._kept.get(one)
            if kept is not None and not any(self._owners.get(name) == one for name in kept.names):
                self._drop(one)  # merged away: nobody can ask for it any more
                self._gone[self._profile + one] = None
        if self.away:
            self._gone.clear()

    def _put(self, one: bytes, names: tuple[str, ...], packed: bytes) -> set[bytes]:
        former, robbed = self._kept.get(one), set[bytes]()
        kept = self._kept[one] = _Kept(packed, names)
        self._untold[one] = None
        self._gone.pop(self._profile + one, None)
        if former is not None and former.names == names and all(self._owners.get(name) == one for name in names):
            # Nearly always: a profile gains identifiers seldom.
            kept.known = former.known
            return robbed
        for name in names:
            owner = self._owners.get(name)
            self._owners[name] = one
            if self._gone:
                self._gone.pop(self._key(name), None)
            if owner is not None and owner != one:
                robbed.add(owner)
        if former is not None:
            for name in set(former.names).difference(names):
                if self._owners.get(name) == one:
                    del self._owners[name]
                    self._gone[self._key(name)] = None
        return robbed

    def settle(self, profiles: Iterable[P]) -> None:
        """Note that the store holds these."""
        for profile in profiles:
            kept = self._kept.get(profile.id)
            if kept is None:
                continue
            if self.away:
                self._drop(profile.id)
            elif profile.id in self._untold:
                kept.settled = True  # it goes once Redis has it, for an older state is there
            else:
                self._rest(profile.id)

    def _rest(self, one: bytes) -> None:
        names = self._drop(one)
        self._resting.append((one, names))

    def _drop(self, one: bytes) -> tuple[str, ...]:
        names = self._kept.pop(one).names
        self._untold.pop(one, None)
        for name in names:
            if self._owners.get(name) == one:
                del self._owners[name]
        return names

    def begin_anew(self) -> None:
        """Redis has forgotten everything: it is to be told of all again."""
        self._gone.clear()
        self._resting.clear()
        for one in [one for one, kept in self._kept.items() if kept.settled]:
            self._drop(one)
        for kept in self._kept.values():
            kept.known = False
        self._untold = dict.fromkeys(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._owners.clear()
        self.begin_anew()

    def piece(self, tag: bytes, *, profiles: int, size: int) -> Piece:
        """What is to be told next: of so many profiles at most, and about so many bytes."""
        piece = Piece(gone=list(islice(self._gone, 8 * profiles)))
        pairs, left = piece.pairs, size
        for one in islice(self._untold, profiles):
            kept = self._kept[one]
            names = [coded(name) for name in kept.names]
            key = self._profile + one
            pairs += (key, profile_value(key, tag, first_of(names), kept.packed))
            piece.sent.append((one, kept))
            left -= len(kept.packed)
            if not kept.known:
                for name, text in zip(kept.names, names, strict=True):
                    # Another may have it by now, of whom Redis hears in a moment.
                    if self._owners.get(name) == one and len(text) <= LONGEST:
                        key = self._identifier + text
                        pairs += (key, owner_value(key, tag, one))
                        left -= len(text)
            if left <= 0:
                break
        return piece

    def told(self, piece: Piece) -> None:
        """Redis knows of this piece."""
        for key in piece.gone:
            self._gone.pop(key, None)
        for one, kept in piece.sent:
            kept.known = True
            if self._kept.get(one) is kept:
                self._untold.pop(one, None)
                if kept.settled:
                    self._rest(one)

    def expiring(self, profiles: int) -> Piece:
        """Who is to expire next: so many profiles at most. What is on no other way to Redis is renewed alone."""
        piece = Piece()
        for _ in range(min(profiles, len(self._resting))):
            one, names = self._resting.popleft()
            if one not in self._kept:
                piece.expiring.append(self._profile + one)
            piece.expiring += [self._key(name) for name in names if name not in self._owners]
        return piece

    @property
    def rests(self) -> int:
        """How many are to expire."""
        return len(self._resting)

    def _key(self, name: str) -> bytes:
        return self._identifier + coded(name)
