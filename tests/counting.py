"""What stands in for the people of a bucket: it counts keys, and tells another bucket of each hundredth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

MOVED = 100
"""After so many of a key, another bucket is told."""


class Outcome(NamedTuple):
    folded: bytes
    moves: Sequence[tuple[int, bytes]]


class Cutter:
    """Each record is `{bucket: {key: how many}}`; records are numbered, and each must come once, in order."""

    def __init__(self, kept: bytes) -> None:
        self._next = int(kept or b"0")

    def cut(self, kafka_offset: int, value: bytes) -> Sequence[tuple[int, bytes]]:
        assert kafka_offset == self._next, f"{kafka_offset} comes, and {self._next} should"
        self._next += 1
        return [(int(bucket), json.dumps(counts).encode()) for bucket, counts in json.loads(value).items()]

    def kept(self) -> bytes:
        return str(self._next).encode()


class CountingMachine:
    """What it has counted is on the shelf; who was told of, by whom, too, so that being told twice counts once."""

    def __init__(self, bucket: int, shelf: Any, buckets: int) -> None:
        self._bucket = bucket
        self._shelf = shelf
        self._buckets = buckets
        self._told = sum(key.startswith(b"told") for key, _ in shelf.scan())

    def take(self, record: bytes) -> Outcome:
        if record.startswith(b"told"):
            if self._shelf.get(record) is None:
                self._shelf.put(record, b"")
                self._told += 1
            return Outcome(self._folded({}), ())
        moves, counts = [], {}
        for key, more in json.loads(record).items():
            before = int(self._shelf.get(key.encode()) or b"0")
            counts[key] = before + more
            self._shelf.put(key.encode(), str(before + more).encode())
            for hundred in range(before // MOVED + 1, (before + more) // MOVED + 1):
                to = (self._bucket + 1) % self._buckets
                moves.append((to, b"told%s.%d" % (key.encode(), hundred)))
        return Outcome(self._folded(counts), moves)

    def _folded(self, counts: dict[str, int]) -> bytes:
        return json.dumps({"bucket": self._bucket, "told": self._told, "counts": counts}).encode()


def open_cutter(workspace: str, kept: bytes) -> Cutter:
    assert workspace
    return Cutter(kept)


def machines(workspace: str, trait_modules: Iterable[str]) -> Callable[[int, Any], CountingMachine]:
    assert workspace
    (buckets,) = trait_modules  # the one setting that is handed on as it is
    return lambda bucket, shelf: CountingMachine(bucket, shelf, int(buckets))
