"""HyperLogLog: how many different values, in bounded space, whatever their order."""

from __future__ import annotations

import math
from collections.abc import Iterable

PRECISION = 12
REGISTERS = 1 << PRECISION
"""4,096 one-byte registers: a standard error of 1.6 %."""

_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)
_REST = 64 - PRECISION


def sketch(hashes: Iterable[int]) -> bytearray:
    """The sketch of these 64-bit hashes."""
    registers = bytearray(REGISTERS)
    for value in hashes:
        observe(registers, value)
    return registers


def observe(registers: bytearray, value: int) -> None:
    """Let the sketch know one more 64-bit hash."""
    place = value >> _REST
    rank = _REST - (value & ((1 << _REST) - 1)).bit_length() + 1
    registers[place] = max(registers[place], rank)


def union(one: bytearray, other: bytearray) -> bytearray:
    """The sketch of both sides' values."""
    return bytearray(map(max, one, other))


def estimate(registers: bytearray) -> int:
    """About how many different hashes the sketch has met (Flajolet et al. 2007)."""
    raw = _ALPHA * REGISTERS * REGISTERS / sum(2.0**-rank for rank in registers)
    empty = registers.count(0)
    if raw <= 2.5 * REGISTERS and empty:
        return round(REGISTERS * math.log(REGISTERS / empty))
    return round(raw)
