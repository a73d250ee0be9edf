"""Where things are in a partition: its end, its beginning, and the record that holds a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from obverse.adapters._kafka.chain import EVENTS, Chain, Stored, anchor, follow
from obverse.adapters._kafka.clients import Misplaced
from obverse.adapters._kafka.records import Place, Record, read

_NEAR = 4
"""Records that are looked at first; four times as many each time they do not tell enough."""


class Kept(Protocol):
    """A record as the client library gives it."""

    def offset(self) -> int | None: ...  # noqa: D102 - the library's
    def value(self) -> bytes | None: ...  # noqa: D102 - the library's


class Looking(Protocol):
    """What looks into topics for us: see `Scout`."""

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]: ...  # noqa: D102 - see `Scout.bounds`
    async def read(self, topic: str, partition: int, start: int, end: int) -> Sequence[Kept]: ...  # noqa: D102 - as above


@dataclass(frozen=True, slots=True)
class Whole:
    """What a partition holds."""

    low: int
    """The lowest Kafka offset that is kept."""
    high: int
    """The Kafka offset after the highest."""
    kept: int
    """Offset of the first event that is kept."""
    chain: Chain
    """Where reading stands at the end."""

    @property
    def end(self) -> int:
        """Offset of the event that comes next."""
        return self.chain.expected or 0


class Partition:
    """One partition of a topic, as it can be asked."""

    def __init__(self, scout: Looking, topic: str, place: Place) -> None:
        self._scout = scout
        self.topic = topic
        self.place = place
        self._known: Whole | None = None

    async def bounds(self) -> tuple[int, int]:
        """The lowest Kafka offset that is kept, and the one after the highest."""
        return await self._scout.bounds(self.topic, self.place.partition)

    async def stored(self, start: int, end: int) -> list[Stored]:
        """The records between two Kafka offsets."""
        messages = await self._scout.read(self.topic, self.place.partition, start, end)
        return [(message.offset() or 0, read(self.place, message.value())) for message in messages]

    async def whole(self) -> Whole:
        """What it holds now."""
        while True:
            low, high = await self.bounds()
            try:
                if self._known is None or (self._known.low, self._known.high) != (low, high):
                    chain = await self._before(low, high)
                    kept = await self._kept(low, high, chain)
                    self._known = Whole(low, high, kept, chain)
            except Misplaced:
                continue  # it was trimmed meanwhile
            return replace(self._known, chain=replace(self._known.chain))

    async def find(self, whole: Whole, mark: int) -> tuple[int, Chain]:
        """
        The Kafka offset from which to read so that nothing from the mark on is missed, and what is known there.

        The mark must be one that the partition holds. Of the records that say with which event they begin the
        last before the mark is sought, by halves; where one cannot be judged by itself, reading begins earlier.
        """
        if mark == whole.end:
            return whole.high, whole.chain
        low, high = whole.low, whole.high
        while high - low > _NEAR:
            middle = (low + high) // 2
            found = _first(await self.stored(middle, min(high, middle + _NEAR)))
            if found is not None and found[1] <= mark:
                low = found[0]
            else:
                high = middle
        return low, Chain(expected=0 if low == 0 else None)

    async def before(self, high: int) -> Chain:
        """
        Where reading stands before a Kafka offset.

        Raises:
            Misplaced: it was trimmed meanwhile.
        """
        low, _ = await self.bounds()
        return await self._before(low, high)

    async def _before(self, low: int, high: int) -> Chain:
        width = _NEAR
        while True:
            start = max(low, high - width)
            stored = await self.stored(start, high)
            chain = follow(stored, lowest=low if start == low else None) if stored else None
            if chain is not None:
                return chain
            if start == low:
                return Chain(expected=0)
            width *= 4

    async def _kept(self, low: int, high: int, end: Chain) -> int:
        """Offset of the first event that is kept, or that comes next if none is."""
        if self._known is not None and self._known.low == low and self._known.kept < self._known.end:
            return self._known.kept
        chain = Chain(expected=0 if low == 0 else None)
        at, width = low, _NEAR
        while at < high:
            for offset, record in await self.stored(at, min(high, at + width)):
                if chain.take(offset, record) in EVENTS and isinstance(record, Record):
                    return record.first
            at, width = at + width, width * 4
        return (chain.expected if end.expected is None else end.expected) or 0


def _first(stored: Sequence[Stored]) -> tuple[int, int] | None:
    """Of the first record from which on all can be judged: its Kafka offset, and the first event from there on."""
    place = anchor(stored)
    if place is None:
        return None
    chain = Chain()
    for offset, record in stored[place:]:
        chain.take(offset, record)
        if chain.expected is not None and isinstance(record, Record):
            return stored[place][0], record.first
    return None
