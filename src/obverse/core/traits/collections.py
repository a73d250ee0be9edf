"""Kinds of trait over many values: the most frequent one, how many different ones."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar, Final

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes
from obverse.core.traits.sketches import Sketch

EXACT = 1000
"""Different values a profile that are kept exactly; beyond, a reading is approximate."""

_OPENING: Final = b"[{"
_QUOTE: Final = ord('"')
_ESCAPE: Final = b"\\"


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

    takes: ClassVar[Takes] = Takes.TEXT
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> Tally:
        """See `TraitKind.start`."""
        return Tally()

    def add(self, state: Tally, value: bytes, stamp: Stamp) -> Tally:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if value[0] in _OPENING:
            return state
        counts = state.counts
        times = counts.get(value, 0) + 1
        if times == 1 and state.sample and not _make_room(state, value):
            return state
        counts[value] = times
        if len(counts) > EXACT:
            return _settled(state)
        best = state.best
        # Mostly the number of times alone tells, and no text has to be read.
        if best is None or (best != value and (led := counts[best]) <= times and (led < times or _less(value, best))):
            state.best, state.value = value, json_values.decode(value)
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
    """Most frequent first, then the smaller."""
    return -tally.counts[text], *_order(text)


def _order(text: bytes) -> tuple[bool, Any, bytes]:
    """Numbers before text, then the smaller; of equals (1, 1.0) the smaller spelling."""
    value = json_values.decode(text)
    return isinstance(value, str), value, text


def _less(one: bytes, other: bytes) -> bool:
    """Whether the one value is smaller than the other."""
    if one[0] == other[0] == _QUOTE and _ESCAPE not in one and _ESCAPE not in other:
        # Bytes of UTF-8 are ordered as the code points that they spell.
        return one[1:-1] < other[1:-1]
    return _order(one) < _order(other)


@dataclass(slots=True)
class Distinct:
    """The hashes met, exactly, or a sketch of them once they are too many."""

    hashes: set[int] = field(default_factory=set)
    sketch: Sketch | None = None


class UniqueCount:
    """How many different values came: exact up to `EXACT`, then within 1.6 % (HyperLogLog)."""

    takes: ClassVar[Takes] = Takes.TEXT
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> Distinct:
        """See `TraitKind.start`."""
        return Distinct()

    def add(self, state: Distinct, value: bytes, stamp: Stamp) -> Distinct:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if state.sketch is not None:
            state.sketch.observe(_hash(value))
            return state
        state.hashes.add(_hash(value))
        return _bounded(state)

    def merge(self, one: Distinct, other: Distinct) -> Distinct:
        """See `TraitKind.merge`."""
        if one.sketch is None and other.sketch is None:
            return _bounded(Distinct(one.hashes | other.hashes))
        return Distinct(sketch=_sketch(one).union(_sketch(other)))

    def read(self, state: Distinct) -> int:
        """See `TraitKind.read`."""
        return len(state.hashes) if state.sketch is None else state.sketch.estimate()

    def pack(self, state: Distinct) -> Any:
        """See `TraitKind.pack`."""
        return sorted(state.hashes) if state.sketch is None else bytes(state.sketch.registers)

    def unpack(self, packed: Any) -> Distinct:
        """See `TraitKind.unpack`."""
        if isinstance(packed, bytes):
            return Distinct(sketch=Sketch(bytearray(packed)))
        return Distinct(set(packed))


def _sketch(state: Distinct) -> Sketch:
    return Sketch.of(state.hashes) if state.sketch is None else state.sketch


def _bounded(state: Distinct) -> Distinct:
    if len(state.hashes) > EXACT:
        return Distinct(sketch=Sketch.of(state.hashes))
    return state
