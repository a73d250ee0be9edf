"""
What waits in a bucket: for a profile that another one lends, and behind whatever waits for the same profile.

Definitions wait for all that does, and whatever comes after them waits behind them: so each event is folded with the
definitions that hold at its place, however long somebody is on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from obverse.adapters._buckets.items import Anew, Decided, Defined, Fill, Follow, Item, Lent, Moved, Tick, Told


@dataclass(slots=True)
class Entry:
    """An item that waits."""

    number: int
    item: Item
    concerned: tuple[bytes, ...]
    """Whose turn it has to be."""
    lent: bool = False
    """Of a `Lent`: whether it was sent, and is to come back."""
    arrived: dict[bytes, Moved] = field(default_factory=dict)
    """Whom others have lent for it, or who came back."""

    @property
    def key(self) -> tuple[int, bytes]:
        """A tick waits for each of those that it concerns by itself."""
        return self.number, self.concerned[0] if isinstance(self.item, Tick) else b""

    @property
    def lacks(self) -> bool:
        """Whether somebody is on the way."""
        if isinstance(self.item, Decided):
            return len(self.arrived) < len(self.item.lent)
        return self.lent and not self.arrived


class _Kept(msgspec.Struct, array_like=True):
    """As it is kept on the shelf."""

    entries: list[tuple[int, Item, tuple[bytes, ...], bool, list[Moved]]]
    early: list[Moved]
    held: list[tuple[int, Item]] = []
    next: list[Moved] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Kept)


class Waiting:
    """The items that wait, in a queue for each profile that they concern. One is ready that is first in all of its."""

    def __init__(self) -> None:
        self.moved = False
        """Whether anything changed since it was read or written."""
        self._entries: dict[tuple[int, bytes], Entry] = {}
        self._queues: dict[bytes, deque[Entry]] = {}
        self._wanting: dict[tuple[int, bytes], Entry] = {}
        """By decision and profile, who waits for that one."""
        self._early: dict[tuple[int, bytes], Moved] = {}
        """Who came before the decision that they are lent for."""
        self._next: list[Moved] = []
        """Who was lent after all have begun anew, of which this bucket was not told yet."""
        self._looked_at: deque[Entry] = deque()
        """Those that may have become ready."""
        self._held: deque[tuple[int, Item]] = deque()
        """Definitions that wait for all these, and what comes after them."""

    def __len__(self) -> int:
        return len(self._entries)

    def holds(self, item: Item) -> bool:
        """Whether it has to stand behind definitions that wait, or is such definitions itself."""
        if isinstance(item, Anew):
            return False
        return bool(self._held) or (isinstance(item, Defined) and bool(self._entries))

    def hold(self, number: int, item: Item) -> None:
        """Have it stand there."""
        self._held.append((number, item))
        self.moved = True

    def pop_held(self) -> tuple[int, Item] | None:
        """Take out the next one that stands behind no definitions any more, once `pop` has nothing."""
        if not self._held or (isinstance(self._held[0][1], Defined) and self._entries):
            return None
        self.moved = True
        return self._held.popleft()

    def blocks(self, concerned: Collection[bytes]) -> bool:
        """Whether something waits for any of these."""
        queues = self._queues
        return bool(queues) and any(one in queues for one in concerned)

    def blocked(self) -> list[bytes]:
        """For whom something waits."""
        return list(self._queues)

    def add(self, entry: Entry, *, first: bool = False) -> None:
        """Have an item wait behind the others; `first`, if it comes back to where it stood."""
        self._entries[entry.key] = entry
        for one in entry.concerned:
            queue = self._queues.setdefault(one, deque())
            if first:
                queue.appendleft(entry)
            else:
                queue.append(entry)
        for key in _wanted(entry):
            early = self._early.pop(key, None)
            if early is not None:
                entry.arrived[early.profile] = early
            elif key[1] not in entry.arrived:
                self._wanting[key] = entry
        self._looked_at.append(entry)
        self.moved = True

    def arrive(self, moved: Moved, decided: int, lent: int) -> None:
        """
        Take in somebody who was lent, or came back.

        `decided` is the latest decision that this bucket was told of with somebody lent for it, `lent` the latest for
        which it was told to lend: who is lent for a later one, or comes back from one that is still to be lent for, is
        early, for what was sent before a crash is there already when all is done again. All others that nobody waits
        for come again.
        """
        key = (moved.decision, moved.profile)
        entry = self._wanting.pop(key, None)
        if entry is not None:
            entry.arrived[moved.profile] = moved
            self._looked_at.append(entry)
            self.moved = True
        elif key not in self._early and (moved.decision > (lent if moved.back else decided) or self._is_to_lend(key)):
            self._early[key] = moved
            self.moved = True

    def _is_to_lend(self, key: tuple[int, bytes]) -> bool:
        """Whether somebody waits here to be lent for a decision."""
        return any(
            isinstance(one.item, Lent) and not one.lent and (one.item.decision, one.item.profile) == key
            for one in self._queues.get(key[1], ())
        )

    def arrive_early(self, moved: Moved) -> None:
        """Take in somebody who was lent after all have begun anew, of which this bucket was not told yet."""
        self._next.append(moved)
        self.moved = True

    def anew(self, begun: int) -> Waiting:
        """Who waits once all have begun anew: nobody but those who were lent since."""
        waiting = Waiting()
        waiting._early = {(one.decision, one.profile): one for one in self._next if one.begun == begun}
        waiting._next = [one for one in self._next if one.begun > begun]
        waiting.moved = True
        return waiting

    def pop(self) -> Entry | None:
        """Take out one that waits for nothing more."""
        while self._looked_at:
            entry = self._looked_at.popleft()
            if self._entries.get(entry.key) is entry and self._is_ready(entry):
                del self._entries[entry.key]
                for one in entry.concerned:
                    queue = self._queues[one]
                    queue.popleft()
                    if queue:
                        self._looked_at.append(queue[0])
                    else:
                        del self._queues[one]
                self.moved = True
                return entry
        return None

    def _is_ready(self, entry: Entry) -> bool:
        return not entry.lacks and all(self._queues[one][0] is entry for one in entry.concerned)

    def parts_of(self, number: int) -> bool:
        """Whether a part of this tick waits still."""
        return any(one == number for one, _ in self._entries)

    def write(self) -> bytes:
        """All of it; empty if nothing waits."""
        self.moved = False
        if not self._entries and not self._early and not self._held and not self._next:
            return b""
        kept = [
            (one.number, one.item, one.concerned, one.lent, list(one.arrived.values()))
            for one in self._entries.values()
        ]
        return _encoder.encode(_Kept(kept, list(self._early.values()), list(self._held), self._next))

    @staticmethod
    def read(kept: bytes | None) -> Waiting:
        """What was written."""
        waiting = Waiting()
        if kept:
            read = _decoder.decode(kept)
            waiting._early = {(one.decision, one.profile): one for one in read.early}
            waiting._next = read.next
            entries = [
                Entry(number, item, concerned, lent, {one.profile: one for one in arrived})
                for number, item, concerned, lent, arrived in read.entries
            ]
            # One that was sent out stands first, whoever else waits for its profile.
            for entry in sorted(entries, key=lambda one: (not one.lent, one.number)):
                waiting.add(entry)
            waiting._held = deque(read.held)
            waiting.moved = False
        return waiting


def concerned(item: Item) -> tuple[bytes, ...]:
    """Whose turn it has to be, of this bucket's."""
    if isinstance(item, Told | Lent | Follow | Fill):
        return (item.profile,)
    if isinstance(item, Decided):
        decision, away = item.decision, set(item.lent)
        here = dict.fromkeys((decision.profile, *decision.absorbed, *decision.beside))
        return tuple(one for one in here if one not in away)
    return ()


def _wanted(entry: Entry) -> Iterator[tuple[int, bytes]]:
    """By decision and profile, who has to come before this can be done."""
    if isinstance(entry.item, Decided):
        yield from ((entry.item.offset, one) for one in entry.item.lent)
    elif isinstance(entry.item, Lent) and entry.lent:
        yield entry.item.decision, entry.item.profile


Arrived = Mapping[bytes, Moved]
