"""How long things took, in buckets: cheap to note, and enough for any percentile that somebody watches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Seconds, the upper end of each bucket; the last bucket has none."""


class Durations:
    """A histogram of seconds."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        """Of all that were noted, in seconds."""

    def note(self, seconds: float) -> None:
        """Take one in."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def counts(self) -> Sequence[int]:
        """How many there were up to each of `BOUNDS`, and in all."""
        counts, so_far = [], 0
        for count in self._counts:
            so_far += count
            counts.append(so_far)
        return counts
