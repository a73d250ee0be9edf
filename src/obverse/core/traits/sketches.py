"""HyperLogLog: how many different values, in bounded space, whatever their order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

PRECISION: Final = 12
REGISTERS: Final = 1 << PRECISION
"""4,096 one-byte registers: a standard error of 1.6 %."""

_ALPHA: Final = 0.7213 / (1 + 1.079 / REGISTERS)
_REST: Final = 64 - PRECISION
_TOP: Final = _REST + 1
"""The highest rank."""


@dataclass(slots=True)
class Sketch:
    """The highest rank that each register has met."""

    registers: bytearray
    weight: int = field(init=False, compare=False)
    """The sum of 2 ** -rank over all registers, times 2 ** 53: kept as it moves, for it is read at each event."""
    empty: int = field(init=False, compare=False)
    """Registers that have met none."""

    def __post_init__(self) -> None:
        self.weight = sum(1 << (_TOP - rank) for rank in self.registers)
        self.empty = self.registers.count(0)

    @classmethod
    def of(cls, hashes: Iterable[int]) -> Sketch:
        """Return the sketch of these 64-bit hashes."""
        sketch = cls(bytearray(REGISTERS))
        for value in hashes:
            sketch.observe(value)
        return sketch

    def observe(self, value: int) -> None:
        """Let the sketch know one more 64-bit hash."""
        place = value >> _REST
        rank = _TOP - (value & ((1 << _REST) - 1)).bit_length()
        before = self.registers[place]
        if rank > before:
            self.registers[place] = rank
            self.weight += (1 << (_TOP - rank)) - (1 << (_TOP - before))
            self.empty -= before == 0

    def union(self, other: Sketch) -> Sketch:
        """Return the sketch of both sides' values."""
        return Sketch(bytearray(map(max, self.registers, other.registers)))

    def estimate(self) -> int:
        """Return about how many different hashes the sketch has met (Flajolet et al. 2007)."""
        raw = _ALPHA * REGISTERS * REGISTERS / (self.weight / (1 << _TOP))
        if raw <= 2.5 * REGISTERS and self.empty:
            return round(REGISTERS * math.log(REGISTERS / self.empty))
        return round(raw)
