"""Kinds of trait over many values: the most frequent ones, which came, how many different ones."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any, ClassVar, Final

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes
from obverse.core.traits.parameters import Parameter
from obverse.core.traits.sketches import Sketch
from obverse.core.traits.tallies import EXACT, OPENING, Order, Tally, hash_of, order_of

__all__ = ("EXACT", "MostFrequent", "TopK", "UniqueCount", "UniqueList")

_QUOTE: Final = ord('"')
_ESCAPE: Final = b"\\"


@dataclass(slots=True)
class Leading(Tally):
    """A tally, and which value leads."""

    best: bytes | None = None
    value: Any = None
    """What `best` says."""


class MostFrequent:
    """
    The value that came most often; ties go to the smaller one (text by code point, numbers by size).

    Up to `EXACT` different values a profile it is exact; beyond, it is of a sample (`Tally`).
    """

    takes: ClassVar[Takes] = Takes.TEXT
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> Leading:
        """See `TraitKind.start`."""
        return Leading()

    def add(self, state: Leading, value: bytes, stamp: Stamp) -> Leading:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if value[0] in OPENING:
            return state
        counts = state.counts
        times = counts.get(value, 0) + 1
        if times == 1 and state.sample:
            lost = state.make_room(value)
            if lost is None:
                return state
            if lost == state.best:
                _find_best(state)
        counts[value] = times
        if len(counts) > EXACT:
            return _settled(state)
        best = state.best
        # Mostly the number of times alone tells, and no text has to be read.
        if best is None or (best != value and (led := counts[best]) <= times and (led < times or _less(value, best))):
            state.best, state.value = value, json_values.decode(value)
        return state

    def merge(self, one: Leading, other: Leading) -> Leading:
        """See `TraitKind.merge`."""
        one.unite(other)
        _find_best(one)
        return one

    def read(self, state: Leading) -> Any:
        """See `TraitKind.read`."""
        return state.value

    def approximate(self, state: Leading) -> bool:
        """See `Approximates.approximate`."""
        return state.approximate

    def pack(self, state: Leading) -> Any:
        """See `TraitKind.pack`."""
        return [state.counts, state.approximate, state.best]

    def unpack(self, packed: Any) -> Leading:
        """See `TraitKind.unpack`."""
        counts, approximate, *best = packed
        if not best or approximate:  # an earlier release left it out; and a sample is to be found
            return _settled(Leading(counts, approximate))
        # Else it would be found among all of them whenever somebody wakes.
        return Leading(counts, best=best[0], value=None if best[0] is None else json_values.decode(best[0]))


def _settled(tally: Leading) -> Leading:
    """The tally cut to the sample that is kept, with its leader found anew."""
    tally.cut()
    _find_best(tally)
    return tally


def _find_best(tally: Leading) -> None:
    tally.best = min(tally.counts, key=lambda text: _rank(tally, text), default=None)
    tally.value = None if tally.best is None else json_values.decode(tally.best)


Rank = tuple[int, bool, Any, bytes]
"""Most frequent first, then the smaller."""


def _rank(tally: Tally, text: bytes) -> Rank:
    return -tally.counts[text], *order_of(text)


def _less(one: bytes, other: bytes) -> bool:
    """Whether the one value is smaller than the other."""
    if one[0] == other[0] == _QUOTE and _ESCAPE not in one and _ESCAPE not in other:
        # Bytes of UTF-8 are ordered as the code points that they spell.
        return one[1:-1] < other[1:-1]
    return order_of(one) < order_of(other)


@dataclass(slots=True)
class Leaders(Tally):
    """A tally, and the values that lead, in their order."""

    first: list[Rank] = field(default_factory=list)


class TopK:
    """
    The values that came most often, the most frequent first; ties go to the smaller one.

    Exact and approximate as `MostFrequent` is.
    """

    takes: ClassVar[Takes] = Takes.TEXT
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]] = {"top": Parameter(int, default=10, least=1, most=100)}

    def __init__(self, top: int = 10) -> None:
        """`top`: how many values are read, at most."""
        self._top = top

    def start(self) -> Leaders:
        """See `TraitKind.start`."""
        return Leaders()

    def add(self, state: Leaders, value: bytes, stamp: Stamp) -> Leaders:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if value[0] in OPENING:
            return state
        counts, first = state.counts, state.first
        times = counts.get(value, 0) + 1
        if times == 1 and state.sample:
            lost = state.make_room(value)
            if lost is None:
                return state
            if any(one[-1] == lost for one in first):
                counts[value] = times
                return self._settled(state)
        counts[value] = times
        if len(counts) > EXACT:
            return self._settled(state)
        rank = (-times, *order_of(value))
        for place, one in enumerate(first):
            if one[-1] == value:
                del first[place]
                break
        if len(first) < self._top or rank < first[-1]:
            insort(first, rank)
            del first[self._top :]
        return state

    def _settled(self, state: Leaders) -> Leaders:
        state.cut()
        state.first = nsmallest(self._top, (_rank(state, text) for text in state.counts))
        return state

    def merge(self, one: Leaders, other: Leaders) -> Leaders:
        """See `TraitKind.merge`."""
        one.unite(other)
        return self._settled(one)

    def read(self, state: Leaders) -> list[Any]:
        """See `TraitKind.read`."""
        return [value for _, _, value, _ in state.first]

    def approximate(self, state: Leaders) -> bool:
        """See `Approximates.approximate`."""
        return state.approximate

    def pack(self, state: Leaders) -> Any:
        """See `TraitKind.pack`."""
        return [state.counts, state.approximate, [one[-1] for one in state.first]]

    def unpack(self, packed: Any) -> Leaders:
        """See `TraitKind.unpack`."""
        counts, approximate, *first = packed
        state = Leaders(counts, approximate)
        if not first or approximate or len(first[0]) != min(self._top, len(counts)):  # as of the one that leads
            return self._settled(state)
        state.first = [_rank(state, text) for text in first[0]]
        return state


@dataclass(slots=True)
class Listed(Tally):
    """A tally in which each value counts once, and the values in their order."""

    values: list[Order] = field(default_factory=list)


class UniqueList:
    """
    The different values that came, numbers before text, the smaller first.

    All of them up to `EXACT`; beyond, `EXACT` of them, chosen as for a `Tally`.
    """

    takes: ClassVar[Takes] = Takes.TEXT
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> Listed:
        """See `TraitKind.start`."""
        return Listed()

    def add(self, state: Listed, value: bytes, stamp: Stamp) -> Listed:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        if value in state.counts or value[0] in OPENING:
            return state
        if state.sample:
            lost = state.make_room(value)
            if lost is None:
                return state
            del state.values[bisect_left(state.values, order_of(lost))]
        state.counts[value] = 1
        if len(state.counts) > EXACT:
            return _listed(state)
        insort(state.values, order_of(value))
        return state

    def merge(self, one: Listed, other: Listed) -> Listed:
        """See `TraitKind.merge`."""
        one.counts.update(other.counts)
        one.approximate = one.approximate or other.approximate
        return _listed(one)

    def read(self, state: Listed) -> list[Any]:
        """See `TraitKind.read`."""
        return [value for _, value, _ in state.values]

    def approximate(self, state: Listed) -> bool:
        """See `Approximates.approximate`."""
        return state.approximate

    def pack(self, state: Listed) -> Any:
        """See `TraitKind.pack`."""
        return [list(state.counts), state.approximate]

    def unpack(self, packed: Any) -> Listed:
        """See `TraitKind.unpack`."""
        return _listed(Listed(dict.fromkeys(packed[0], 1), packed[1]))


def _listed(state: Listed) -> Listed:
    state.cut()
    state.values = sorted(map(order_of, state.counts))
    return state


@dataclass(slots=True)
class Distinct:
    """The hashes met, exactly and in order, or a sketch of them once they are too many."""

    hashes: array[int] = field(default_factory=lambda: array("Q"))
    """An eighth of a set's memory, and as it is packed."""
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
        new = hash_of(value)
        if state.sketch is not None:
            state.sketch.observe(new)
            return state
        hashes = state.hashes
        place = bisect_left(hashes, new)
        if place < len(hashes) and hashes[place] == new:
            return state
        hashes.insert(place, new)
        return _bounded(state)

    def merge(self, one: Distinct, other: Distinct) -> Distinct:
        """See `TraitKind.merge`."""
        if one.sketch is None and other.sketch is None:
            return _bounded(Distinct(array("Q", sorted({*one.hashes, *other.hashes}))))
        return Distinct(sketch=_sketch(one).union(_sketch(other)))

    def read(self, state: Distinct) -> int:
        """See `TraitKind.read`."""
        return len(state.hashes) if state.sketch is None else state.sketch.estimate()

    def approximate(self, state: Distinct) -> bool:
        """See `Approximates.approximate`."""
        return state.sketch is not None

    def pack(self, state: Distinct) -> Any:
        """See `TraitKind.pack`."""
        return state.hashes.tolist() if state.sketch is None else bytes(state.sketch.registers)

    def unpack(self, packed: Any) -> Distinct:
        """See `TraitKind.unpack`."""
        if isinstance(packed, bytes):
            return Distinct(sketch=Sketch(bytearray(packed)))
        return Distinct(array("Q", packed))


def _sketch(state: Distinct) -> Sketch:
    return Sketch.of(state.hashes) if state.sketch is None else state.sketch


def _bounded(state: Distinct) -> Distinct:
    if len(state.hashes) > EXACT:
        return Distinct(sketch=Sketch.of(state.hashes))
    return state
