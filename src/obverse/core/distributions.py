"""Distributions: how the values of one trait are spread among people."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from obverse.core import json_values, times

BINS: Final = 24
"""Of a histogram, at most."""
FREQUENT: Final = 20
"""Values that are told, the most frequent."""
PERIODS: Final = 60
"""Months that are told; what spans more is told by year."""
QUANTILES: Final = (Decimal("0.05"), Decimal("0.25"), Decimal("0.5"), Decimal("0.75"), Decimal("0.95"))
_MIDDLE: Final = Decimal("0.99")
"""The part of numbers that a histogram divides evenly, if what is beyond would leave it no room."""
_DATE: Final = len("2026-01-01")


@dataclass(frozen=True, slots=True)
class Bin:
    """Numbers from `least` on and below `below`; of the last bin up to it, that included."""

    least: Decimal
    below: Decimal
    count: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """How numbers are spread."""

    count: int
    least: Decimal
    most: Decimal
    quantiles: Mapping[Decimal, Decimal]
    """By the part of numbers that are not greater: a number that is among them."""
    bins: Sequence[Bin]


@dataclass(frozen=True, slots=True)
class Frequent:
    """How often a value is there."""

    value: bytes
    """JSON, in one spelling for each value."""
    count: int


@dataclass(frozen=True, slots=True)
class Values:
    """Which values there are."""

    distinct: int
    frequent: Sequence[Frequent]
    """The most frequent; of those that are as frequent the smaller ones."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How values are spread, each part None if no value is of its kind."""

    numbers: Numbers | None
    values: Values | None
    """Of texts that say no time, of true and false, and of objects."""
    periods: Mapping[str, int] | None
    """Of texts that say times: by month, as `2026-01`, or by year, in order."""
    elements: Values | None
    """Of lists, by their elements."""


def distribution(values: Iterable[bytes]) -> Distribution:
    """
    Return how values are spread, which are JSON. What is none, or null, is passed over.

    >>> found = distribution([b"1", b"3", b"3", b'"pro"', b'["a", "b"]', b'"2026-01-03T10:00:00Z"'])
    >>> found.numbers.quantiles[Decimal("0.5")], found.values.frequent[0], dict(found.periods)
    (Decimal('3'), Frequent(value=b'"pro"', count=1), {'2026-01': 1})
    """
    numbers: list[Decimal] = []
    texts: Counter[bytes] = Counter()
    days: Counter[str] = Counter()
    elements: Counter[bytes] = Counter()
    for raw in values:
        value = json_values.lenient(raw)
        number = None if isinstance(value, str | bool) else json_values.number(value)
        if number is not None:
            numbers.append(number)
        elif isinstance(value, list):
            elements.update(dict.fromkeys(map(json_values.encode, value), 1))
        elif isinstance(value, str) and (at := moment(value)) is not None:
            days[times.to_text(at)[:_DATE]] += 1
        elif value is not None:
            texts[json_values.encode(value)] += 1
    return Distribution(
        numbers=_numbers(numbers) if numbers else None,
        values=_values(texts) if texts else None,
        periods=_periods(days) if days else None,
        elements=_values(elements) if elements else None,
    )


def moment(text: str) -> int | None:
    """The time that a text says, in microseconds since 1970; None if it says none, or no day."""
    return times.parse(text) if len(text) >= _DATE and text[4] == text[7] == "-" else None


def _numbers(found: list[Decimal]) -> Numbers:
    found.sort()
    quantiles = {part: _quantile(found, part) for part in QUANTILES}
    return Numbers(len(found), found[0], found[-1], quantiles, _bins(found))


def _quantile(found: Sequence[Decimal], part: Decimal) -> Decimal:
    return found[max(0, ceil(len(found) * part) - 1)]


def _bins(found: Sequence[Decimal]) -> list[Bin]:
    """Even bins; if a few numbers are far beyond the others, these are in the last bin, which is wide."""
    different = sorted(set(found))
    if len(different) <= BINS:
        edges = different
    else:
        least, most, usual = found[0], found[-1], _quantile(found, _MIDDLE)
        wide = usual > least and most - usual > usual - least
        end, bins = (usual, BINS - 1) if wide else (most, BINS)
        width = (Fraction(end) - Fraction(least)) / bins
        edges = [least, *(_decimal(Fraction(least) + width * place) for place in range(1, bins + wide))]
    # An edge that was rounded up must not leave out the least number.
    starts = [0, *(bisect_left(found, edge) for edge in edges[1:])]
    ends = [*starts[1:], len(found)]
    return [
        Bin(least, below, end - start)
        for least, below, start, end in zip(edges, [*edges[1:], found[-1]], starts, ends, strict=True)
    ]


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _values(found: Counter[bytes]) -> Values:
    first = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:FREQUENT]
    return Values(len(found), [Frequent(*one) for one in first])


def _periods(days: Counter[str]) -> dict[str, int]:
    by_month: Counter[str] = Counter()
    for day, count in days.items():
        by_month[day[:7]] += count
    if _months(min(by_month), max(by_month)) <= PERIODS:
        return dict(sorted(by_month.items()))
    by_year: Counter[str] = Counter()
    for month, count in by_month.items():
        by_year[month[:4]] += count
    return dict(sorted(by_year.items()))


def _months(first: str, last: str) -> int:
    return (int(last[:4]) - int(first[:4])) * 12 + int(last[5:7]) - int(first[5:7]) + 1
