"""Kinds of trait over many values: the most frequent one, how many different ones."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits import sketches

EXACT = 1000
"""Different values a profile that are kept exactly; beyond, a reading is approximate."""


def _hash(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


@dataclass(slots=True)
class Tally:
    """How often each value came (as JSON text), and which leads."""

    counts: dict[bytes, int] = field(default_factory=dict)
    approximate: bool = False
    best: bytes | None = None
    value: Any = None
    """What `best` says."""
    sample: list[tuple[int, bytes]] = field(default_factory=list)
    """Once approximate: hash and text of the values that are counted, in order."""


class MostFrequent:
    """
    The value that came most often; ties go to the smaller one (text by code point, numbers by size).

    Up to `EXACT` different values a profile it is exact. Beyond, only the values whose hash is among
    the `EXACT` smallest are counted: a value that is in this sample at the end was never out of it, so its
    count is right, and the reading does not depend on the order of events.
    """

    takes_value: ClassVar[bool] = True
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> Tally:
        """See `TraitKind.start`."""
        return Tally()

    def add(self, state: Tally, value: Any, stamp: Stamp) -> Tally:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if value is None or isinstance(value, (dict, list)):
            return state
        text = json_values.encode(value)
        known = state.counts.get(text, 0)
        if not known and state.sample and not _make_room(state, text):
            return state
        state.counts[text] = known + 1
        if len(state.counts) > EXACT:
            return _settled(state)
        # Mostly the number of times alone tells, and no text has to be read.
        best, times = state.best, known + 1
        if best is None or (text != best and times >= state.counts[best] and _rank(state, text) < _rank(state, best)):
            state.best, state.value = text, value
        return state

    def merge(self, one: Tally, other: Tally) -> Tally:
        """See `TraitKind.merge`."""
        for text, times in other.counts.items():
            one.counts[text] = one.counts.get(text, 0) + times
        one.approximate = one.approximate or other.approximate
        return _settled(one)

    def read(self, state: Tally) -> Any:
        """See `TraitKind.read`."""
        return state.value

    def pack(self, state: Tally) -> Any:
        """See `TraitKind.pack`."""
        return [state.counts, state.approximate]

    def unpack(self, packed: Any) -> Tally:
        """See `TraitKind.unpack`."""
        return _settled(Tally(packed[0], packed[1]))


def _make_room(tally: Tally, text: bytes) -> bool:
    """Take a new value into the sample in place of the one with the largest hash; False if it is the one itself."""
    new = (_hash(text), text)
    if new > tally.sample[-1]:
        return False
    _, lost = tally.sample.pop()
    insort(tally.sample, new)
    del tally.counts[lost]
    if lost == tally.best:
        _find_best(tally)
    return True


def _settled(tally: Tally) -> Tally:
    """The tally cut to the sample that is kept, with its leader found anew."""
    if tally.approximate or len(tally.counts) > EXACT:
        tally.approximate = True
        tally.sample = sorted((_hash(text), text) for text in tally.counts)[:EXACT]
        tally.counts = {text: tally.counts[text] for _, text in tally.sample}
    _find_best(tally)
    return tally


def _find_best(tally: Tally) -> None:
    tally.best = min(tally.counts, key=lambda text: _rank(tally, text), default=None)
    tally.value = None if tally.best is None else json_values.decode(tally.best)


def _rank(tally: Tally, text: bytes) -> tuple[int, bool, Any, bytes]:
    """Most frequent first, then numbers before text, then the smaller; of equals (1, 1.0) the smaller text."""
    value = json_values.decode(text)
    return -tally.counts[text], isinstance(value, str), value, text


@dataclass(slots=True)
class Distinct:
    """The hashes met, exactly, or a sketch of them once they are too many."""

    hashes: set[int] = field(default_factory=set)
    registers: bytearray | None = None


class UniqueCount:
    """How many different values came: exact up to `EXACT`, then within 1.6 % (HyperLogLog)."""

    takes_value: ClassVar[bool] = True
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> Distinct:
        """See `TraitKind.start`."""
        return Distinct()

    def add(self, state: Distinct, value: Any, stamp: Stamp) -> Distinct:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if value is None:
            return state
        text = _hash(json_values.encode(value))
        if state.registers is not None:
            sketches.observe(state.registers, text)
            return state
        state.hashes.add(text)
        return _bounded(state)

    def merge(self, one: Distinct, other: Distinct) -> Distinct:
        """See `TraitKind.merge`."""
        if one.registers is None and other.registers is None:
            return _bounded(Distinct(one.hashes | other.hashes))
        return Distinct(registers=sketches.union(_registers(one), _registers(other)))

    def read(self, state: Distinct) -> int:
        """See `TraitKind.read`."""
        return len(state.hashes) if state.registers is None else sketches.estimate(state.registers)

    def pack(self, state: Distinct) -> Any:
        """See `TraitKind.pack`."""
        return sorted(state.hashes) if state.registers is None else bytes(state.registers)

    def unpack(self, packed: Any) -> Distinct:
        """See `TraitKind.unpack`."""
        if isinstance(packed, bytes):
            return Distinct(registers=bytearray(packed))
        return Distinct(set(packed))


def _registers(state: Distinct) -> bytearray:
    return sketches.sketch(state.hashes) if state.registers is None else state.registers


def _bounded(state: Distinct) -> Distinct:
    if len(state.hashes) > EXACT:
        return Distinct(registers=sketches.sketch(state.hashes))
    return state
