"""Tallies: which values came how often, exactly or of a sample whose choice does not depend on order."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from obverse.core import json_values

EXACT: Final = 1000
"""Different values a profile that are kept exactly; beyond, a reading is approximate."""

OPENING: Final = b"[{"
"""How the JSON text of what is not counted by value begins: lists and objects."""

Order = tuple[bool, Any, bytes]
"""By which values are ordered: whether it is text, the value, its spelling."""


def hash_of(text: bytes) -> int:
    """64 bits that stand for a value's JSON text."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def order_of(text: bytes) -> Order:
    """Numbers before text, then the smaller; of equals (1, 1.0) the smaller spelling."""
    value = json_values.decode(text)
    return isinstance(value, str), value, text


@dataclass(slots=True)
class Tally:
    """
    How often each value came (as JSON text).

    Beyond `EXACT` different values only those whose hash is among the `EXACT` smallest are counted: a value that is in
    this sample at the end was never out of it, so its count is right, and the sample does not depend on the order in
    which values came.
    """

    counts: dict[bytes, int] = field(default_factory=dict)
    approximate: bool = False
    sample: list[tuple[int, bytes]] = field(default_factory=list)
    """Once approximate: hash and text of the values that are counted, in order."""

    def make_room(self, text: bytes) -> bytes | None:
        """Take a new value into the sample; return the one that it puts out, None if that is the new one itself."""
        new = (hash_of(text), text)
        if new > self.sample[-1]:
            return None
        _, lost = self.sample.pop()
        insort(self.sample, new)
        del self.counts[lost]
        return lost

    def cut(self) -> None:
        """Let go of what is not in the sample, once there are too many values."""
        if self.approximate or len(self.counts) > EXACT:
            self.approximate = True
            self.sample = sorted((hash_of(text), text) for text in self.counts)[:EXACT]
            self.counts = {text: self.counts[text] for _, text in self.sample}

    def unite(self, other: Tally) -> None:
        """Count what the other one has counted, too."""
        for text, times in other.counts.items():
            self.counts[text] = self.counts.get(text, 0) + times
        self.approximate = self.approximate or other.approximate
        self.cut()
