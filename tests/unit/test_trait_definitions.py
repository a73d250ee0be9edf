"""Traits as documents define them: kinds with parameters, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from obverse.core.definitions import BadDefinition, Trait
from obverse.core.documents.traits import trait
from obverse.core.traits.collections import TopK
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.numbers import Count, Max, Sum
from obverse.core.traits.parameters import Parameter
from obverse.core.traits.quantiles import Percentile


class AtMost(Max):
    """A kind of somebody else: the largest number, but no more than `ceiling`."""

    parameters: ClassVar[Mapping[str, Parameter]] = {"ceiling": Parameter(int, default=100, least=-5, most=1000)}

    def __init__(self, ceiling: int = 100) -> None:
        self._ceiling = ceiling

    def read(self, state: Decimal | None) -> Decimal | None:
        return None if state is None else min(state, Decimal(self._ceiling))


KINDS: Mapping[str, TraitKind] = {
    "count": Count(),
    "sum": Sum(),
    "top_k": TopK(),
    "percentile": Percentile(),
    "at_most": AtMost(),
}


def defined(**spec: Any) -> Trait:
    return trait("one", "", spec, KINDS)


def told(**spec: Any) -> str:
    with pytest.raises(BadDefinition) as caught:
        defined(**spec)
    return str(caught.value)


def read(one: Trait, *values: Any) -> Any:
    state = one.kind.start()
    for value in values:
        state = one.kind.add(state, one.kind.takes.of(value), None)  # type: ignore[arg-type]  # none of them looks at it
    return one.kind.read(state)


# Parameters.


def test_a_kind_is_made_with_what_the_definition_gives() -> None:
    names = ["a", "b", "c", "a"]
    assert read(defined(aggregate="top_k", property="x", top=2), *names) == ["a", "b"]
    assert read(defined(aggregate="top_k", property="x"), *names) == ["a", "b", "c"]
    numbers = [1, 2, 3, 4]
    assert round(read(defined(aggregate="percentile", property="x", percentile=100), *numbers)) == 4
    assert round(read(defined(aggregate="percentile", property="x", percentile=25.5), *numbers)) == 2
    assert round(read(defined(aggregate="percentile", property="x"), *numbers)) == 2
    assert read(defined(aggregate="at_most", property="x", ceiling=3), *numbers) == 3


def test_another_parameter_has_a_state_of_its_own() -> None:
    keys = [defined(aggregate="top_k", property="x", **one).key for one in ({}, {"top": 10}, {"top": 3}, {"top": 4})]
    assert keys[0] == keys[1]
    assert len({*keys}) == 3


def test_a_definition_without_parameters_has_the_state_that_it_always_had() -> None:
    assert defined(aggregate="sum", property="revenue", event="Order Completed").key == "sum:one:54559592"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"top": 0}, "spec.top: 0 is no whole number from 1 to 100; 10 if it is left out"),
        ({"top": 101}, "spec.top: 101 is no whole number"),
        ({"top": 2.5}, "spec.top: 2.5 is no whole number"),
        ({"top": True}, "spec.top: True is no whole number"),
        ({"top": "5"}, "spec.top: '5' is no whole number"),
        ({"top": None}, "spec.top: None is no whole number"),
        ({"top": [5]}, "spec.top: [5] is no whole number"),
        ({"top": float("nan")}, "spec.top: nan is no whole number"),
        ({"most": 5}, "spec: Object contains unknown field `most`; a trait has `aggregate`"),
        ({"percentile": 5}, "spec: Object contains unknown field `percentile`"),
    ],
)
def test_a_bad_parameter_is_told_with_what_to_write(spec: dict[str, Any], said: str) -> None:
    assert told(aggregate="top_k", property="x", **spec).startswith(said)


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("inf"), "half"])
def test_a_percentile_is_from_0_to_100(percent: Any) -> None:
    said = told(aggregate="percentile", property="x", percentile=percent)
    assert said == f"spec.percentile: {percent!r} is no number from 0 to 100; 50 if it is left out"


def test_what_a_kind_may_be_given_is_told_with_what_else_a_trait_may_have() -> None:
    assert told(aggregate="top_k", property="x", tops=5).endswith("; `top_k` may have `top` too")
    assert "`sum` may have" not in told(aggregate="sum", property="x", top=5)
    assert "unknown field `top`" in told(aggregate="sum", property="x", top=5)
    assert told(aggregate=["top_k"]).startswith("spec.aggregate: Expected `str`, got `array`")


def test_a_kind_of_another_package_has_parameters_of_its_own() -> None:
    assert told(aggregate="at_most", property="x", ceiling=-6).startswith("spec.ceiling: -6 is no whole number from -5")
