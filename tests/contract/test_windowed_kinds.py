"""Every kind of trait in the tree keeps the laws of windows, too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from obverse.contracts.windowed_kind import WindowedKindContract
from obverse.core.traits.collections import MostFrequent, TopK, UniqueCount, UniqueList
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.moments import First, Last
from obverse.core.traits.numbers import Average, Count, Max, Min, Sum
from obverse.core.traits.quantiles import Percentile

NUMBERS: SearchStrategy[Any] = st.sampled_from(
    [1, 2, -3, 0, "12.50", Decimal("0.125"), Decimal("-0.125"), Decimal("1E-40"), Decimal("7.0"), "9" * 60]
)
"""Of many lengths, since a sum has the decimal places of what is in the window and no others."""
FEW: SearchStrategy[Any] = st.sampled_from(["a", "b", 1, Decimal("1.0"), True, ["no scalar"]])


class TestCount(WindowedKindContract):
    kind: TraitKind = Count()

    def values(self) -> SearchStrategy[Any]:
        return st.none()


class TestSum(WindowedKindContract):
    kind: TraitKind = Sum()

    def values(self) -> SearchStrategy[Any]:
        return NUMBERS


class TestAverage(TestSum):
    kind: TraitKind = Average()


class TestMin(TestSum):
    kind: TraitKind = Min()


class TestMax(TestSum):
    kind: TraitKind = Max()


class TestPercentile(TestSum):
    kind: TraitKind = Percentile(Decimal(80))


class TestFirst(WindowedKindContract):
    kind: TraitKind = First()

    def values(self) -> SearchStrategy[Any]:
        return FEW


class TestLast(TestFirst):
    kind: TraitKind = Last()


class TestMostFrequent(TestFirst):
    kind: TraitKind = MostFrequent()


class TestTopK(TestFirst):
    kind: TraitKind = TopK(2)


class TestUniqueList(TestFirst):
    kind: TraitKind = UniqueList()


class TestUniqueCount(TestFirst):
    kind: TraitKind = UniqueCount()
