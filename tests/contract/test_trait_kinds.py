"""Every kind of trait in the tree keeps the laws, and stays right when there are many values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from itertools import permutations
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from obverse.contracts.trait_kind import ANYTHING, NO_NUMBERS, TEXTS, TraitKindContract
from obverse.contracts.trait_kind import folded as add_all
from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.collections import EXACT, MostFrequent, TopK, UniqueCount, UniqueList
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.moments import First, Given, Last
from obverse.core.traits.numbers import Average, Count, Max, Min, Sum
from obverse.core.traits.quantiles import Percentile

NUMBERS: SearchStrategy[Any] = (
    st.integers(-1000, 1000)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=3)
    | st.sampled_from(["12.50", "-3", "+7", "007", Decimal("1.5"), Decimal("1.50"), Decimal("15E-1"), Decimal("2E+3")])
)
FEW: SearchStrategy[Any] = st.sampled_from(
    [
        "a",
        "b",
        "B",
        "10",
        'a"',
        "a\\",
        "\x1f",
        "\uffff",
        1,
        10,
        Decimal("1.0"),
        Decimal("10.00"),
        True,
        False,
        "",
        "\N{PILE OF POO}",
    ]
)
"""Alike enough to tie; some are equal and spelt apart, some only to Python."""

AT = Stamp(1, "web", "m")
MANY_VALUED = (MostFrequent(), TopK(3), UniqueList(), UniqueCount())


class TestCount(TraitKindContract):
    kind = Count()

    def values(self) -> SearchStrategy[Any]:
        return st.none()


class TestSum(TraitKindContract):
    kind: TraitKind = Sum()

    def values(self) -> SearchStrategy[Any]:
        return NUMBERS

    def unusable(self) -> SearchStrategy[Any]:
        return NO_NUMBERS


class TestAverage(TestSum):
    kind: TraitKind = Average()


class TestMedian(TestSum):
    kind: TraitKind = Percentile()


class TestLargest(TestSum):
    kind: TraitKind = Percentile(Decimal(100))


class TestMin(TestSum):
    kind: TraitKind = Min()


class TestMax(TestSum):
    kind: TraitKind = Max()


class TestFirst(TraitKindContract):
    kind: TraitKind = First()

    def values(self) -> SearchStrategy[Any]:
        return FEW | ANYTHING.filter(lambda value: value is not None)


class TestLast(TestFirst):
    kind: TraitKind = Last()


class TestGiven(TestFirst):
    kind: TraitKind = Given()


class TestMostFrequent(TraitKindContract):
    kind: TraitKind = MostFrequent()

    def values(self) -> SearchStrategy[Any]:
        return FEW

    def unusable(self) -> SearchStrategy[Any]:
        return st.none() | st.lists(st.integers(), max_size=2) | st.dictionaries(TEXTS, st.integers(), max_size=2)


class TestTopTwo(TestMostFrequent):
    kind: TraitKind = TopK(2)


class TestTopTen(TestMostFrequent):
    kind: TraitKind = TopK()


class TestUniqueList(TestMostFrequent):
    kind: TraitKind = UniqueList()


class TestUniqueCount(TraitKindContract):
    kind = UniqueCount()

    def values(self) -> SearchStrategy[Any]:
        return FEW | ANYTHING.filter(lambda value: value is not None)


def read(kind: TraitKind, values: Iterable[Any]) -> Any:
    """Return the reading after these values came, one after another."""
    return kind.read(folded(kind, values))


def folded(kind: TraitKind, values: Iterable[Any]) -> Any:
    return add_all(kind, ((value, AT) for value in values))


def kept(kind: TraitKind, state: Any) -> Any:
    return kind.unpack(msgspec.msgpack.decode(msgspec.msgpack.encode(kind.pack(state))))


# What the readings are.


def test_sums_are_exact() -> None:
    assert read(Sum(), ["0.10"] * 3) == Decimal("0.30")
    assert json_values.encode(read(Sum(), [Decimal("0.1")] * 10)) == b"1.0"
    assert read(Sum(), [Decimal("1E+40"), Decimal("1E-40"), Decimal("-1E+40")]) == Decimal("1E-40")


def test_of_one_number_spelt_twice_the_longer_spelling_is_read() -> None:
    assert json_values.encode(read(Max(), [Decimal("1.5"), Decimal("1.50")])) == b"1.50"
    assert json_values.encode(read(Min(), [Decimal("1.50"), Decimal("1.5")])) == b"1.50"


def test_extremes_compare_numbers_not_text() -> None:
    assert read(Max(), ["9", "10", 9.5]) == 10
    assert read(Min(), ["9", "10"]) == 9


def test_the_first_and_the_last_go_by_stamp() -> None:
    for kind, expected in ((First(), "early"), (Last(), "late")):
        told = [(value, Stamp(time, "web", "m")) for value, time in (("middle", 5), ("late", 9), ("early", 1))]
        assert kind.read(add_all(kind, told)) == expected


def test_ties_of_the_most_frequent_go_to_the_smaller() -> None:
    assert read(MostFrequent(), ["b", "a", "b", "a"]) == "a"
    assert read(MostFrequent(), [10, 9]) == 9
    assert read(MostFrequent(), ["10", "9"]) == "10"
    assert read(MostFrequent(), ["1", 2]) == 2
    assert read(MostFrequent(), ["\uffff", "\U00010000"]) == "\uffff"  # by code point, not by UTF-16 unit


def test_of_equals_spelt_apart_the_same_one_is_read_whatever_their_order() -> None:
    equals = [1, Decimal("1.0"), True, Decimal("1.00")]
    assert {json_values.encode(read(MostFrequent(), order)) for order in permutations(equals)} == {b"1"}


# More values than are kept exactly.


def many(seed: int, different: int) -> list[str]:
    """Return values of which `value 7` comes most often, in a random order."""
    dice = Random(seed)
    values = [f"value {number}" for number in range(different)] + ["value 7"] * 3 + ["value 8"] * 2
    dice.shuffle(values)
    return values


def in_parts(kind: TraitKind, values: list[str], seed: int) -> Any:
    """Fold the values as several profiles that become one, some of them kept in between."""
    dice = Random(seed)
    parts: list[list[str]] = [[] for _ in range(4)]
    for value in values:
        dice.choice(parts).append(value)
    states = [folded(kind, part) for part in parts]
    one = kind.merge(kind.merge(states[0], kept(kind, states[1])), kept(kind, kind.merge(states[2], states[3])))
    return kind.read(one)


@pytest.mark.parametrize("different", [EXACT, EXACT + 1, 2 * EXACT])
@pytest.mark.parametrize(
    "kind", [MostFrequent(), TopK(3), UniqueList(), UniqueCount()], ids=lambda kind: type(kind).__name__
)
def test_beyond_what_is_kept_exactly_order_still_does_not_matter(kind: TraitKind, different: int) -> None:
    reading = read(kind, many(0, different))
    assert read(kind, many(1, different)) == reading
    assert read(kind, sorted(many(2, different))) == reading
    assert read(kind, many(3, different)) == in_parts(kind, many(4, different), 5) == reading


@pytest.mark.parametrize("values", [[], ["b", "a", "b", "a", 7], many(0, 50), many(0, EXACT + 1)], ids=len)
@pytest.mark.parametrize("kind", [MostFrequent(), TopK(3)], ids=lambda kind: type(kind).__name__)
def test_what_an_earlier_release_kept_without_who_leads_reads_and_goes_on_the_same(
    kind: TraitKind, values: list[Any]
) -> None:
    state, earlier = kept(kind, folded(kind, values)), kind.unpack(kind.pack(folded(kind, values))[:2])
    for one in ("z", "a", "a", "a"):
        assert kind.read(earlier) == kind.read(state)
        state, earlier = (kind.add(some, json_values.encode(one), AT) for some in (state, earlier))
    assert kind.pack(earlier) == kind.pack(state)


def test_up_to_so_many_different_values_are_counted_exactly() -> None:
    values = [f"value {number}" for number in range(EXACT)]
    assert read(UniqueCount(), values * 2) == EXACT
    assert read(MostFrequent(), many(0, EXACT)) == "value 7"


def test_beyond_the_most_frequent_of_a_sample_is_told_and_its_count_is_right() -> None:
    kind = MostFrequent()
    values = [f"value {number}" for number in range(3 * EXACT)]
    state = folded(kind, values)
    assert len(state.counts) == EXACT
    assert state.approximate
    sampled = json_values.decode(min(state.counts))
    state = folded(kind, [sampled, *values, sampled])
    assert kind.read(state) == sampled
    assert state.counts[json_values.encode(sampled)] == 3


@pytest.mark.parametrize("different", [1_500, 6_000, 12_000])
def test_beyond_the_count_of_different_values_is_as_near_as_is_stated(different: int) -> None:
    """The stated 1.6 % is a standard error: the root mean square of many errors is near it, and none is far off."""
    kind, rounds = UniqueCount(), 12
    errors = []
    for number in range(rounds):
        reading = read(kind, (f"{number} {value}" for value in range(different)))
        errors.append(reading / different - 1)
    assert math.sqrt(sum(error**2 for error in errors) / rounds) < 0.016 * 1.6
    assert max(map(abs, errors)) < 0.016 * 4
