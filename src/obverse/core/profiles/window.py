"""The window of recent message ids, by which a profile knows an event that comes again."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, Self

from obverse.core.events import Event

SECONDS: Final = 24 * 3600
"""Message ids are remembered for this long after they arrived …"""
LEAST: Final = 4096
"""… and in any case the latest so many."""

_HASH: Final = 8
_ENTRY: Final = _HASH + 4
"""Packed bytes of a message id: those of its hash, and 4 of the second of arrival."""
_MANY: Final = 1024
"""Keys of which it takes too long to search all: 2.5 µs."""
_FEW: Final = 16
"""Keys that are taken in one by one, as whoever is merged in a storm has."""


def message_key(event: Event) -> bytes:
    """8 bytes that stand for an event's message id within its source."""
    return blake2b(f"{event.source}\0{event.message_id}".encode(), digest_size=_HASH).digest()


class Window:
    """
    The message ids that a profile has seen, as keys (`message_key`), and the second in which each arrived.

    Kept as they are packed, for a profile wakes, rests and is written down far oftener than it is asked for one of
    many: to search some hundreds of keys takes a fraction of a microsecond, and each takes 12 bytes in place of the 150
    of a dictionary. Of more than `_MANY` there is a set beside, once it is asked.
    """

    __slots__ = ("_hashes", "_many", "_seconds")

    def __init__(self, packed: bytes = b"") -> None:
        """
        Make the window that was packed.

        Raises:
            ValueError: these bytes are none.
        """
        self._many: set[bytes] | None = None
        if not packed:  # of everybody who is new
            self._hashes, self._seconds = bytearray(), array("I")
            return
        count, rest = divmod(len(packed), _ENTRY)
        if rest:
            raise ValueError(f"{len(packed)} bytes are no window of message ids, which has {_ENTRY} for each")
        self._hashes = bytearray(packed[: _HASH * count])
        self._seconds = array("I", packed[_HASH * count :])
        if sys.byteorder == "big":
            self._seconds.byteswap()

    @classmethod
    def of(cls, seconds: Mapping[bytes, int]) -> Self:
        """Make one of these keys, each with its second of arrival."""
        made = cls()
        made._become(seconds)
        return made

    def __len__(self) -> int:
        """How many message ids it knows."""
        return len(self._seconds)

    def __contains__(self, key: bytes) -> bool:
        """Whether it knows this one."""
        if len(self._seconds) > _MANY:
            if self._many is None:
                self._many = set(self._keys())
            return key in self._many
        return self._find(key) >= 0

    def __eq__(self, other: object) -> bool:
        """Whether both know the same, in whatever order."""
        return isinstance(other, Window) and self.seconds() == other.seconds()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        """What is in it."""
        return f"Window.of({self.seconds()})"

    def note(self, key: bytes, second: int) -> bool:
        """Note one that arrived in this second, and return True; False if it is known."""
        # Nearly always it is new, and this says so; where it may be known, it is looked at closely.
        if (len(self._seconds) > _MANY or self._hashes.find(key) >= 0) and key in self:
            return False
        self._hashes += key
        self._seconds.append(second)
        if self._many is not None:
            self._many.add(key)
        count = len(self._seconds)
        if count > LEAST and count & (count - 1) == 0:  # at each doubling, for it looks at all of them
            self.trim()
        return True

    def forget(self, key: bytes) -> None:
        """Know nothing of this one."""
        if key in self:
            self._become({one: second for one, second in self.seconds().items() if one != key})

    def take(self, other: Window) -> None:
        """Know what the other one knows, too; of what both do, the later arrival."""
        if not self._seconds:
            self._hashes[:], self._seconds[:] = other._hashes, other._seconds
            return
        if len(other._seconds) <= _FEW and len(self._seconds) <= _MANY:
            for place, second in enumerate(other._seconds):
                one = bytes(other._hashes[_HASH * place : _HASH * place + _HASH])
                found = self._find(one)
                if found < 0:
                    self._hashes += one
                    self._seconds.append(second)
                elif second > self._seconds[found // _HASH]:
                    self._seconds[found // _HASH] = second
            return
        # As numbers, in whatever order this machine reads them: that is twice as fast as slices.
        known = dict(zip(memoryview(self._hashes).cast("Q"), self._seconds, strict=True))
        for key, second in zip(memoryview(other._hashes).cast("Q"), other._seconds, strict=True):
            if second > known.get(key, -1):
                known[key] = second
        self._hashes, self._seconds = bytearray(array("Q", [*known])), array("I", [*known.values()])
        self._many = None

    def trim(self) -> None:
        """Forget what is older than `SECONDS` and not among the latest `LEAST`."""
        if len(self._seconds) > LEAST:
            self._become(self.recent())

    def recent(self) -> dict[bytes, int]:
        """Return what is left once it is trimmed: the second of arrival by key."""
        known = self.seconds()
        if len(known) <= LEAST:
            return known
        latest = sorted(((second, key) for key, second in known.items()), reverse=True)
        horizon = latest[0][0] - SECONDS
        return {key: second for place, (second, key) in enumerate(latest) if place < LEAST or second >= horizon}

    def seconds(self) -> dict[bytes, int]:
        """Return the second of arrival by key, of all."""
        return dict(zip(self._keys(), self._seconds, strict=True))

    def packed(self) -> bytes:
        """Return all hashes, then all seconds of arrival as 4 bytes in little-endian order."""
        seconds = self._seconds
        if sys.byteorder == "big":
            seconds = seconds[:]
            seconds.byteswap()
        return b"".join((self._hashes, seconds))

    def _find(self, key: bytes) -> int:
        """Where its hash begins, by searching all; -1 if it is not known."""
        found = self._hashes.find(key)
        while found > 0 and found % _HASH:  # the end of one and the beginning of the next, as it happens
            found = self._hashes.find(key, found + 1)
        return found

    def _keys(self) -> list[bytes]:
        hashes = bytes(self._hashes)
        return [hashes[at : at + _HASH] for at in range(0, len(hashes), _HASH)]

    def _become(self, seconds: Mapping[bytes, int]) -> None:
        self._hashes, self._seconds, self._many = bytearray().join(seconds), array("I", [*seconds.values()]), None
