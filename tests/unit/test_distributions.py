"""How values are spread: numbers in bins and quantiles, times by month, the most frequent of the others."""

from __future__ import annotations

import json
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core.distributions import BINS, FREQUENT, PERIODS, Frequent, distribution

NUMBERS = st.lists(
    st.one_of(st.integers(-(10**9), 10**9), st.decimals(-1000, 1000, places=2), st.integers(0, 3)), min_size=1
)

MIXED = '[1, 2.5, "a", "b", true, null, "2026-01-01T00:00:00Z", ["x", "y"], {"k": 1}]'


def told(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


@given(NUMBERS)
def test_every_number_is_in_one_bin(numbers: list[int | Decimal]) -> None:
    found = distribution([str(one).encode() for one in numbers]).numbers
    assert found is not None
    assert (found.count, found.least, found.most) == (len(numbers), min(numbers), max(numbers))
    assert sum(one.count for one in found.bins) == len(numbers)
    assert 1 <= len(found.bins) <= BINS
    assert found.bins[0].least == found.least
    assert found.bins[-1].below == found.most
    assert all(one.below == other.least for one, other in zip(found.bins, found.bins[1:], strict=False))
    assert all(one.least < one.below for one in found.bins[:-1])
    for one in found.bins[:-1]:
        assert one.count == sum(one.least <= number < one.below for number in numbers)


@given(NUMBERS)
def test_a_quantile_is_a_number_that_so_many_do_not_exceed(numbers: list[int | Decimal]) -> None:
    found = distribution([str(one).encode() for one in numbers]).numbers
    assert found is not None
    for part, value in found.quantiles.items():
        wanted = ceil(len(numbers) * part)
        assert value in numbers
        assert sum(one <= value for one in numbers) >= wanted > sum(one < value for one in numbers)


@given(st.lists(st.sampled_from(told(*json.loads(MIXED)))))
def test_the_order_does_not_matter_and_nothing_is_lost(values: list[bytes]) -> None:
    found = distribution(values)
    assert found == distribution(values[::-1])
    counted = 0 if found.numbers is None else found.numbers.count
    counted += 0 if found.values is None else sum(one.count for one in found.values.frequent)
    counted += sum((found.periods or {}).values())
    lists = sum(one.startswith(b"[") for one in values)
    assert counted + lists + values.count(b"null") == len(values)
    assert (found.elements is None) == (lists == 0)


def test_a_few_numbers_far_away_leave_room_for_the_others() -> None:
    found = distribution(told(*range(1000), 10**9)).numbers
    assert found is not None
    assert len(found.bins) == BINS
    assert found.bins[-1].least == 990
    assert [one.count for one in found.bins[:-1]] == [pytest.approx(43, abs=1)] * (BINS - 1)


def test_few_different_numbers_have_a_bin_each() -> None:
    found = distribution(told(3, 1, 1, 7)).numbers
    assert found is not None
    assert [(one.least, one.count) for one in found.bins] == [(Decimal(1), 2), (Decimal(3), 1), (Decimal(7), 1)]


def test_times_are_told_by_month_and_over_many_years_by_year() -> None:
    texts = ["2026-01-31T23:30:00-01:00", "2026-02-01", "2025-12-01T00:00:00Z"]
    assert distribution(told(*texts)).periods == {"2025-12": 1, "2026-02": 2}
    first = f"{2026 - PERIODS // 12}-01-01"
    assert list(distribution(told(*texts[1:2], first)).periods or ()) == [first[:4], "2026"]


@pytest.mark.parametrize("text", ["2026", "2026-13-01", "20260101T000000", "12:30", "2026-02-30", "Tuesday"])
def test_other_texts_are_no_times(text: str) -> None:
    found = distribution(told(text))
    assert found.periods is None
    assert found.values is not None
    assert found.values.frequent == [Frequent(json.dumps(text).encode(), 1)]


def test_the_most_frequent_come_first_and_each_element_counts_once_a_person() -> None:
    found = distribution(told(*"abbccc", ["x", "x", 1], ["x", 1.0], []))
    assert found.values is not None
    assert found.elements is not None
    assert [(one.value, one.count) for one in found.values.frequent] == [(b'"c"', 3), (b'"b"', 2), (b'"a"', 1)]
    assert found.elements.frequent[0] == Frequent(b'"x"', 2)
    many = distribution(told(*(f"v{number}" for number in range(100)))).values
    assert many is not None
    assert (many.distinct, len(many.frequent)) == (100, FREQUENT)


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"1e999999999", b"\xff", b"1" * 100])
def test_what_cannot_be_computed_with_is_no_number(raw: bytes) -> None:
    assert distribution([raw]).numbers is None


def test_of_nothing_nothing_is_told() -> None:
    found = distribution([])
    assert (found.numbers, found.values, found.periods, found.elements) == (None, None, None, None)
