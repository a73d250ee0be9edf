"""
A cutter and a machine that stand in for the real ones in a cluster of Spark, and tell of every slip of their host.

The cutter numbers all slices through, so what it kept must be exact. The machine adds up amounts by key, sends what is
for every tenth key to the next bucket, and refuses slices that come twice or out of order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from obverse.adapters._buckets.shelves import Outcome, Shelf

BUCKETS = 8
MOVED = 10
"""Every so-manieth key belongs to the bucket after that which it comes to."""


class Slice(msgspec.Struct, tag="slice", array_like=True):
    number: int
    amounts: dict[int, int]


class Move(msgspec.Struct, tag="move", array_like=True):
    sender: int
    number: int
    key: int
    amount: int


class Folded(msgspec.Struct, array_like=True):
    bucket: int
    number: int
    """Of the records that this bucket folded."""
    cut: int | None
    """Number of the slice; None for a move."""
    totals: dict[int, int]


class Cutter:
    def __init__(self, kept: bytes) -> None:
        self._next: int
        self._number: int
        self._next, self._number = msgspec.msgpack.decode(kept) if kept else (0, 0)

    def cut(self, kafka_offset: int, value: bytes) -> Sequence[tuple[int, bytes]]:
        assert kafka_offset == self._next, f"offset {kafka_offset} came for {self._next}"
        slices = msgspec.msgpack.decode(value, type=list[tuple[int, dict[int, int]]])
        cut = [
            (bucket, msgspec.msgpack.encode(Slice(self._number + step, amounts)))
            for step, (bucket, amounts) in enumerate(slices)
        ]
        self._next, self._number = kafka_offset + 1, self._number + len(cut)
        return cut

    def kept(self) -> bytes:
        return msgspec.msgpack.encode((self._next, self._number))


class Machine:
    def __init__(self, bucket: int, shelf: Shelf) -> None:
        self._bucket, self._shelf = bucket, shelf
        self._awake: dict[str, int] = {}

    def take(self, record: bytes) -> Outcome:
        arrival = msgspec.msgpack.decode(record, type=Slice | Move)
        return self._slice(arrival) if isinstance(arrival, Slice) else self._move(arrival)

    def _slice(self, arrival: Slice) -> Outcome:
        assert arrival.number >= self._get("following"), f"slice {arrival.number} came late"
        self._set("following", arrival.number + 1)
        totals, moves = {}, []
        for key, amount in arrival.amounts.items():
            if key % MOVED:
                totals[key] = self._set(f"total {key}", self._get(f"total {key}") + amount)
            else:
                self._set("sent", self._get("sent") + 1)
                move = Move(self._bucket, self._get("sent"), key, amount)
                moves.append(((self._bucket + 1) % BUCKETS, msgspec.msgpack.encode(move)))
        return Outcome(self._folded(arrival.number, totals), moves)

    def _move(self, arrival: Move) -> Outcome:
        seen = f"seen {arrival.sender}"
        if arrival.number <= self._get(seen):
            return Outcome(b"", [])
        assert arrival.number == self._get(seen) + 1, f"move {arrival.number} came early"
        self._set(seen, arrival.number)
        total = self._set(f"total {arrival.key}", self._get(f"total {arrival.key}") + arrival.amount)
        return Outcome(self._folded(None, {arrival.key: total}), [])

    def _folded(self, cut: int | None, totals: Mapping[int, int]) -> bytes:
        number = self._get("folded")
        self._set("folded", number + 1)
        return msgspec.msgpack.encode(Folded(self._bucket, number, cut, dict(totals)))

    def _get(self, name: str) -> int:
        if name not in self._awake:
            self._awake[name] = int.from_bytes(self._shelf.get(name.encode()) or b"", "big")
        return self._awake[name]

    def _set(self, name: str, value: int) -> int:
        self._awake[name] = value
        self._shelf.put(name.encode(), value.to_bytes(8, "big"))
        return value


def open_cutter(workspace: str, kept: bytes) -> Cutter:
    assert workspace == "main"
    return Cutter(kept)


def machines(workspace: str, trait_modules: Sequence[str]) -> Callable[[int, Shelf], Machine]:
    assert workspace == "main"
    assert not trait_modules
    return Machine
