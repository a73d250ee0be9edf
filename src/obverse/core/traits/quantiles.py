"""DDSketch: percentiles within one per cent, in bounded space, whatever the order of the values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Final

from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes
from obverse.core.traits.parameters import Parameter

ACCURACY: Final = 0.01
"""A reading is off by this part of itself at most, while there are no more than `MOST` buckets."""
MOST: Final = 2048
"""Buckets of a profile. At an accuracy of 1 % they hold values that are up to a billion billion times each other."""

# A little finer than is promised: a reading is rounded, and a logarithm is not exact.
_FINE: Final = ACCURACY - 1e-5
_BASE: Final = (1 + _FINE) / (1 - _FINE)
_LOG: Final = math.log(_BASE)
_DIGITS: Final = 6
"""Significant digits of a reading."""


@dataclass(slots=True)
class Buckets:
    """
    How many values fell into each bucket; bucket n holds what is above base ** (n - 1), up to base ** n.

    If there are too many buckets, any two neighbours become one and the base is squared, as often as need be. The
    buckets of more values are never fewer, so how often that is does not depend on the order in which values came.
    """

    level: int = 0
    """How often the base was squared."""
    zeros: int = 0
    above: dict[int, int] = field(default_factory=dict)
    """Of values above zero."""
    below: dict[int, int] = field(default_factory=dict)
    """Of values below zero, by their size."""
    reading: Decimal | None = field(default=None, compare=False)
    """What was read last; None if the buckets have moved since."""

    def observe(self, value: Decimal) -> None:
        """Let the sketch know one more value."""
        self.reading = None
        if not value:
            self.zeros += 1
            return
        buckets = self.above if value > 0 else self.below
        bucket = -(-math.ceil(math.log(abs(float(value))) / _LOG) >> self.level)
        buckets[bucket] = buckets.get(bucket, 0) + 1
        if len(self.above) + len(self.below) > MOST:
            self.coarsen(self.level + 1)

    def coarsen(self, level: int) -> None:
        """Have the base of this level at least, and no more buckets than may be."""
        while self.level < level or len(self.above) + len(self.below) > MOST:
            self.level += 1
            self.above, self.below = _halved(self.above), _halved(self.below)

    def unite(self, other: Buckets) -> None:
        """Let the sketch know what the other one knows."""
        self.reading = None
        self.coarsen(other.level)
        self.zeros += other.zeros
        coarser = self.level - other.level
        for mine, theirs in ((self.above, other.above), (self.below, other.below)):
            for bucket, count in theirs.items():
                coarse = -(-bucket >> coarser)
                mine[coarse] = mine.get(coarse, 0) + count
        self.coarsen(self.level)

    @property
    def count(self) -> int:
        """How many values the sketch knows."""
        return self.zeros + sum(self.above.values()) + sum(self.below.values())

    def at(self, rank: int) -> Decimal:
        """About the value of this rank; the smallest one's is 1."""
        for value, count in self._in_order():
            rank -= count
            if rank <= 0:
                return value
        raise ValueError(f"the sketch knows {self.count} values, {rank} fewer than are asked for")

    def _in_order(self) -> Iterator[tuple[Decimal, int]]:
        base = _BASE ** (1 << self.level)
        middle = 2 / (base + 1)
        for bucket in sorted(self.below, reverse=True):
            yield -_rounded(middle * base**bucket), self.below[bucket]
        if self.zeros:
            yield Decimal(0), self.zeros
        for bucket in sorted(self.above):
            yield _rounded(middle * base**bucket), self.above[bucket]


def _halved(buckets: Mapping[int, int]) -> dict[int, int]:
    halved: dict[int, int] = {}
    for bucket, count in buckets.items():
        coarse = -(-bucket >> 1)
        halved[coarse] = halved.get(coarse, 0) + count
    return halved


def _rounded(value: float) -> Decimal:
    number = Decimal(f"{value:.{_DIGITS}g}")
    return Decimal(int(number)) if number == number.to_integral_value() else number


class Percentile:
    """
    The smallest value that so many per cent of the values do not exceed, within 1 % of itself (DDSketch).

    Of 0 per cent it is the smallest value, of 100 the largest.
    """

    takes: ClassVar[Takes] = Takes.NUMBER
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]] = {"percentile": Parameter(Decimal, default=50, least=0, most=100)}

    def __init__(self, percentile: Decimal = Decimal(50)) -> None:
        """`percentile`: from 0 to 100."""
        self._share = percentile / 100

    def start(self) -> Buckets:
        """See `TraitKind.start`."""
        return Buckets()

    def add(self, state: Buckets, value: Decimal, stamp: Stamp) -> Buckets:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        state.observe(value)
        return state

    def merge(self, one: Buckets, other: Buckets) -> Buckets:
        """See `TraitKind.merge`."""
        one.unite(other)
        return one

    def read(self, state: Buckets) -> Decimal | None:
        """See `TraitKind.read`."""
        if state.reading is None:
            count = state.count
            if count:
                state.reading = state.at(max(1, math.ceil(self._share * count)))
        return state.reading

    def approximate(self, state: Buckets) -> bool:
        """See `Approximates.approximate`."""
        return state.count > 0

    def pack(self, state: Buckets) -> Any:
        """See `TraitKind.pack`."""
        return state.level, state.zeros, state.above, state.below

    def unpack(self, packed: Any) -> Buckets:
        """See `TraitKind.unpack`."""
        return Buckets(*packed)
