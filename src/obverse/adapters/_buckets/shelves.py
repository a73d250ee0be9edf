"""What a bucket keeps: its shelf, what stands on it, and who is due when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol

import msgspec

from obverse.core import profiles
from obverse.core.profiles import Profile

HEAD: Final = b"h"
DOCUMENTS: Final = b"d"
FORMER: Final = b"f"
"""The documents before these."""
WAITING: Final = b"w"
PROFILE: Final = b"p"
UNKEPT: Final = b"u"
"""What of whom has moved since it was told to be kept."""
_JOURNAL: Final = b"j"
_NUMBER: Final = 8


class Shelf(Protocol):
    """The keyed state of one bucket, as its engine keeps it. Keys have up to 17 bytes."""

    def get(self, key: bytes) -> bytes | None:
        """What stands there; None if nothing does."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Have it stand there."""
        ...

    def remove(self, key: bytes) -> None:
        """Have nothing stand there, whether something did or not."""
        ...

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """Everything."""
        ...


class Outcome(NamedTuple):
    """What comes of one record."""

    folded: bytes
    """A record for the topic of what was folded; empty if there is none."""
    moves: Sequence[tuple[int, bytes]]
    """Bucket, and a record for the topic of moves."""


class Head(msgspec.Struct, array_like=True, gc=False):
    """What a bucket knows beside its profiles."""

    next: int = 0
    """Number of the first item that has not come yet."""
    decided: int = -1
    """The latest decision that it was told of with somebody lent for it."""
    version: int = 0
    """Of the definitions; 0: none were told yet."""
    buckets: int = 1
    """Of how many buckets this is one."""
    journal: int = 0
    """Number of the first record that was taken since."""
    begun: int = 0
    """The last beginning that it was told of; see `Anew`."""
    lent: int = -1
    """The latest decision for which it was told to lend somebody."""


_decoder = msgspec.msgpack.Decoder(Head)
_encoder = msgspec.msgpack.Encoder()


def read_head(shelf: Shelf) -> Head:
    """What the bucket knew last."""
    kept = shelf.get(HEAD)
    return Head() if kept is None else _decoder.decode(kept)


def keep_head(shelf: Shelf, head: Head) -> None:
    """Have the next one know it."""
    shelf.put(HEAD, _encoder.encode(head))


def put_or_remove(shelf: Shelf, key: bytes, value: bytes | None) -> None:
    """Have this stand there; nothing, if it is empty."""
    if value:
        shelf.put(key, value)
    else:
        shelf.remove(key)


class Journal:
    """
    The records that were taken since the shelf was told of everybody: what they did is done again from them.

    One of them is put in one piece, where those whom it moves would be many; and who moves often is put once.
    """

    def __init__(self, shelf: Shelf, first: int) -> None:
        self._shelf = shelf
        self._first = self._next = first
        self._bytes = 0

    def replay(self) -> Iterator[bytes]:
        """The records, in the order in which they were taken."""
        while (record := self._shelf.get(_key(self._next))) is not None:
            self._next += 1
            self._bytes += len(record)
            yield record

    def add(self, record: bytes) -> None:
        """Remember one more."""
        self._shelf.put(_key(self._next), record)
        self._next += 1
        self._bytes += len(record)

    @property
    def bytes(self) -> int:
        """How long they are together."""
        return self._bytes

    def clear(self) -> int:
        """Forget them; return the number of the next one."""
        for number in range(self._first, self._next):
            self._shelf.remove(_key(number))
        self._first, self._bytes = self._next, 0
        return self._first


def _key(number: int) -> bytes:
    return _JOURNAL + number.to_bytes(_NUMBER)


class Dues:
    """Who of a bucket is due when; some may be due later than it says. Nothing is looked for before somebody asks."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._heap: list[tuple[int, bytes]] | None = None
        self._queued: dict[bytes, int] = {}
        """When each profile in the heap is due, as far as it knows: who moves often is in it once."""

    def note(self, profile: Profile) -> None:
        """Take in when a profile is due, after it has moved or come, or was taken out."""
        if self._heap is not None:
            self._queue(self._heap, profile.due, profile.id)

    def _queue(self, heap: list[tuple[int, bytes]], due: int, one: bytes) -> None:
        if due < self._queued.get(one, profiles.NEVER):
            self._queued[one] = due
            heappush(heap, (due, one))

    def by(self, now: int, moved: Iterable[Profile], unput: Iterable[Profile]) -> Iterator[bytes]:
        """
        Take out who may be due by then; whoever is not is to be noted again.

        `moved` are those who may not have been noted since they moved, `unput` who is not on the shelf as they are.
        """
        heap = self._heap
        if heap is None:
            heap = self._heap = []
            for key, value in self._shelf.scan():
                if key[:1] == PROFILE:
                    self._queue(heap, profiles.due_in(value), key[1:])
            for profile in unput:
                self.note(profile)
        for profile in moved:
            self.note(profile)
        while heap and heap[0][0] <= now:
            due, one = heappop(heap)
            if self._queued.get(one) == due:
                del self._queued[one]
                yield one
