"""What averages, lists, the most frequent values and percentiles read as; and how near they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import folded as add_all
from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import define
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.traits.collections import EXACT, MostFrequent, TopK, UniqueCount, UniqueList
from obverse.core.traits.kind import TraitKind, is_approximate
from obverse.core.traits.numbers import Average, Sum
from obverse.core.traits.quantiles import ACCURACY, MOST, Percentile
from obverse.flows.views import view_profile

AT = Stamp(1, "web", "m")
MANY_VALUED = (MostFrequent(), TopK(), UniqueCount(), UniqueList())


def folded(kind: TraitKind, values: Iterable[Any]) -> Any:
    return add_all(kind, ((value, AT) for value in values))


def read(kind: TraitKind, values: Iterable[Any]) -> Any:
    """Return the reading after these values came, one after another."""
    return kind.read(folded(kind, values))


def kept(kind: TraitKind, state: Any) -> Any:
    return kind.unpack(msgspec.msgpack.decode(msgspec.msgpack.encode(kind.pack(state))))


# Averages.


def test_an_average_has_six_places_and_is_rounded_once() -> None:
    assert json_values.encode(read(Average(), [1, 1, 2])) == b"1.333333"
    assert json_values.encode(read(Average(), ["12.50", "12.50"])) == b"12.500000"
    assert json_values.encode(read(Average(), [Decimal("0.0000001")] * 3)) == b"0.000000"
    assert json_values.encode(read(Average(), [Decimal("0.0000005"), Decimal("0.0000015")])) == b"0.000001"
    assert read(Average(), []) is None


def test_the_average_of_the_largest_numbers_is_exact() -> None:
    most = Decimal("9" * 60)
    assert read(Average(), [most, most, most]) == most
    assert read(Average(), [Decimal("1E+40"), Decimal("-1E+40"), 3]) == 1


# Lists and leaders.


def test_a_list_has_each_value_once_numbers_first() -> None:
    assert read(UniqueList(), ["b", 10, "a", 9, "b", "\U00010000", "\uffff", None, [1], {"a": 1}]) == [
        9,
        10,
        "a",
        "b",
        "\uffff",
        "\U00010000",
    ]


def test_the_most_frequent_values_come_first_and_ties_go_to_the_smaller() -> None:
    values = ["c", "b", "a", "b", "c", 7, [1]]
    assert read(TopK(), values) == ["b", "c", 7, "a"]
    assert read(TopK(2), values) == ["b", "c"]
    assert read(TopK(1), ["b", "a", "a", "b"]) == ["a"]


@LAWS
@given(st.lists(st.sampled_from([*"abcdefgh", 1, 2, 10])), st.integers(1, 5))
def test_leaders_are_those_of_a_plain_count(values: list[Any], top: int) -> None:
    counts = Counter(values)
    expected = sorted(counts, key=lambda one: (-counts[one], isinstance(one, str), one))
    assert read(TopK(top), values) == expected[:top]


def test_beyond_what_is_kept_a_list_is_a_sample_and_says_so() -> None:
    values = [f"value {number}" for number in range(EXACT)]
    state = folded(UniqueList(), values)
    assert (UniqueList().read(state), is_approximate(UniqueList(), state)) == (sorted(values), False)
    state = folded(UniqueList(), [*values, "one more"])
    reading = UniqueList().read(state)
    assert is_approximate(UniqueList(), state)
    assert len(reading) == EXACT
    assert reading == sorted(reading)
    assert {*reading} < {*values, "one more"}


@pytest.mark.parametrize("kind", MANY_VALUED, ids=lambda one: type(one).__name__)
def test_whatever_counts_values_says_when_it_is_approximate(kind: TraitKind) -> None:
    values = [f"value {number}" for number in range(EXACT + 1)]
    assert not is_approximate(kind, folded(kind, values[1:] * 2))
    assert is_approximate(kind, folded(kind, values))
    assert not is_approximate(Sum(), folded(Sum(), [1, 2]))


# Percentiles.


def exactly(values: Sequence[Decimal], percent: Decimal) -> Decimal:
    """Return the smallest value that so many per cent do not exceed."""
    return sorted(values)[max(1, math.ceil(percent * len(values) / 100)) - 1]


def near(reading: Decimal | None, exact: Decimal, accuracy: float = ACCURACY) -> bool:
    return reading is not None and abs(reading - exact) <= Decimal(accuracy) * abs(exact)


@LAWS
@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4), min_size=1
    ),
    st.decimals(min_value=0, max_value=100, places=2),
)
def test_a_percentile_is_within_one_per_cent(values: list[Decimal], percent: Decimal) -> None:
    assert near(read(Percentile(percent), values), exactly(values, percent))


def test_of_no_per_cent_it_is_the_smallest_of_all_the_largest() -> None:
    values = [Decimal(value) for value in (-5, 0, 3, 12)]
    assert near(read(Percentile(Decimal(0)), values), values[0])
    assert near(read(Percentile(Decimal(100)), values), values[-1])
    assert read(Percentile(Decimal(50)), values) == 0
    assert read(Percentile(), []) is None


def test_the_largest_and_the_smallest_numbers_that_are_computed_with_are_read() -> None:
    for value in (Decimal("9" * 60), Decimal("1E-40"), Decimal("-1E+40")):
        assert near(read(Percentile(), [json_values.number(value)]), value)


def test_a_percentile_always_says_that_it_is_approximate() -> None:
    assert is_approximate(Percentile(), folded(Percentile(), [1]))
    assert not is_approximate(Percentile(), Percentile().start())


def wide(dice: Random) -> list[Decimal]:
    """Return values over so many magnitudes that the buckets are too many."""
    spelt = (f"{dice.choice('-+')}{dice.uniform(1, 10):.9f}E{dice.randint(-30, 48)}" for _ in range(20_000))
    return [Decimal(int(number)) if (number := Decimal(one)) == int(number) else number for one in spelt]


def test_buckets_stay_bounded_and_order_still_does_not_matter() -> None:
    dice, kind = Random(1), Percentile(Decimal(80))
    values = wide(dice)
    state = folded(kind, values)
    assert len(state.above) + len(state.below) <= MOST
    assert state.level > 0
    assert len(msgspec.msgpack.encode(kind.pack(state))) < 10 * MOST

    parts: list[list[Decimal]] = [[] for _ in range(7)]
    for value in dice.sample(values, len(values)):
        dice.choice(parts).append(value)
    merged = kind.start()
    for part in parts:
        merged = kind.merge(merged, kept(kind, folded(kind, part)))
    assert (merged.level, merged.above, merged.below) == (state.level, state.above, state.below)
    assert near(kind.read(state), exactly(values, Decimal(80)), accuracy=ACCURACY * 2**state.level)


# What those who read are told.


def test_a_profile_says_which_of_its_values_are_about_right() -> None:
    kinds: dict[str, TraitKind] = {"percentile": Percentile(), "sum": Sum(), "unique_list": UniqueList()}
    traits = [trait(name, "", {"aggregate": name, "property": "price"}, kinds) for name in kinds]
    people = People("main", define(traits=traits))
    event = Event(
        type="track",
        message_id="m",
        source="web",
        received_at=1,
        timestamp=1,
        user_id="ada",
        properties=b'{"price": 5}',
    )
    profile = people.fold(event, (0, 0)).profile
    assert profile is not None

    seen = view_profile(profile, people.definitions)

    assert seen.traits.keys() == kinds.keys()
    assert seen.approximate == ["percentile"]
