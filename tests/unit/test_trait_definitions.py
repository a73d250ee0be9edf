"""Traits as documents define them: kinds with parameters, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from obverse.contracts.trait_kind import folded
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import BadDefinition, Trait, define
from obverse.core.documents import read as read_documents
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import computed_traits
from obverse.core.traits.collections import TopK
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.numbers import Count, Max, Sum
from obverse.core.traits.parameters import Parameter
from obverse.core.traits.quantiles import Percentile
from obverse.core.traits.windows import Windowed

AT = Stamp(1, "web", "m")


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
    assert not isinstance(one.kind, Windowed)
    return one.kind.read(folded(one.kind, [(value, AT) for value in values]))


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


# Conditions and windows.

ORDERS = {"aggregate": "count", "event": "Order Completed"}


def test_a_window_and_a_condition_have_a_state_of_their_own_and_one_spelling() -> None:
    big = {"op": "gte", "property": "revenue", "value": 100}
    same = [{"last": "7 days"}, {"last": "168 hours"}, {"last": "1 week"}]
    assert len({defined(**ORDERS, window=one).key for one in same}) == 1
    utc = [{"calendar": "month"}, {"calendar": "month", "time_zone": "UTC"}]
    assert len({defined(**ORDERS, window=one).key for one in utc}) == 1
    others: list[dict[str, Any]] = [
        {},
        {"window": {"last": "7 days"}},
        {"window": {"last": "8 days"}},
        {"window": {"calendar": "month"}},
        {"window": {"calendar": "month", "time_zone": "Europe/Berlin"}},
        {"where": big},
        {"where": {**big, "value": "100"}},
        {"where": {**big, "value": 100.5}},
        {"where": big, "window": {"last": "7 days"}},
    ]
    assert len({defined(**ORDERS, **one).key for one in others}) == len(others)


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({}, "spec.window: give `last`, such as `last: 7 days`, or `calendar`, and not both"),
        ({"last": "7 days", "calendar": "day"}, "spec.window: give `last`"),
        ({"last": "30 minutes"}, "spec.window.last: '30 minutes' is no window; write whole hours or days"),
        ({"last": "90 minutes"}, "spec.window.last: '90 minutes' is no window"),
        ({"last": "401 days"}, "spec.window.last: '401 days' is no window"),
        ({"last": "0 days"}, "spec.window.last: '0 days' is no window"),
        ({"last": "a week"}, "spec.window.last: 'a week' is no window"),
        ({"last": 7}, "spec.window.last: Expected `str | null`, got `int`; a trait has"),
        ({"last": "7 days", "time_zone": "UTC"}, "spec.window.time_zone: it is for `calendar`"),
        ({"calendar": "fortnight"}, "spec.window.calendar: 'fortnight' is no period; use one of day, week, month, "),
        (
            {"calendar": "day", "time_zone": "Europe/Berln"},
            "spec.window.time_zone: 'Europe/Berln' is no time zone (did",
        ),
        ({"calendar": "day", "time_zone": "../../etc/passwd"}, "spec.window.time_zone: '../../etc/passwd' is no time"),
        ({"calendar": "day", "time_zone": "Europe"}, "spec.window.time_zone: 'Europe' is no time zone"),
        ({"slides": "7 days"}, "spec.window: Object contains unknown field `slides`; a trait has"),
        ("7 days", "spec.window: Expected `object | null`, got `str`; a trait has"),
    ],
)
def test_a_bad_window_is_told_with_what_to_write(window: Any, said: str) -> None:
    assert told(**ORDERS, window=window).startswith(said)


def test_windows_from_an_hour_to_four_hundred_days_are_taken() -> None:
    for last in ("1 hour", "36 hours", "400 days"):
        assert isinstance(defined(**ORDERS, window={"last": last}).kind, Windowed)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"op": "gte", "trait": "orders", "value": 1}, "spec.where: name what to look at, as `property: NAME`"),
        ({"op": "gte", "property": "revenue"}, "spec.where.value: missing"),
        ({"op": "did", "event": "Order Completed"}, "spec.where.op: 'did' is no operator"),
        ({"op": "within_last", "property": "at", "value": "7 days"}, "spec.where.op: 'within_last' is no operator"),
        ({"op": "exists", "property": 'the "price"'}, "spec.where.property: 'the \"price\"' has a quote"),
        (["revenue"], "spec.where: expected a mapping such as {op: gte, property: revenue, value: 100}"),
        ({"op": "not", "of": {"op": "eq", "property": "x", "value": None}}, "spec.where.of.value: null"),
    ],
)
def test_a_bad_condition_is_told_with_its_place(where: Any, said: str) -> None:
    assert told(**ORDERS, where=where).startswith(said)


def test_a_condition_reads_properties_that_the_trait_itself_does_not_take() -> None:
    where = {
        "op": "and",
        "of": [
            {"op": "eq", "property": "currency", "value": "EUR"},
            {"op": "not", "of": {"op": "eq", "property": "test", "value": True}},
        ],
    }
    definitions = define(
        traits=[
            trait("spent", "", {"aggregate": "sum", "property": "revenue", "where": where}, KINDS),
            trait("all", "", {"aggregate": "sum", "property": "revenue"}, KINDS),
            trait("paid", "", {"aggregate": "count", "where": where}, KINDS),
        ]
    )
    people = People("main", definitions)
    for number, properties in enumerate(
        [
            b'{"revenue": 10, "currency": "EUR"}',
            b'{"revenue": 20, "currency": "USD"}',
            b'{"revenue": 40, "currency": "EUR", "test": true}',
            b'{"revenue": 80}',
            b'{"revenue": "?", "currency": "EUR"}',
            b'{"revenue": 160, "currency": "EUR", "test": 1e99999999999999999999}',
        ]
    ):
        one = Event(
            type="track",
            message_id=f"m{number}",
            source="web",
            received_at=1,
            timestamp=1,
            user_id="ada",
            properties=properties,
        )
        people.fold(one, (0, number))
    (profile,) = people.profiles.values()
    assert computed_traits(profile, definitions) == {"spent": 170, "all": 310, "paid": 3}


def test_an_audience_cannot_ask_for_a_property_that_no_event_is_read_for() -> None:
    where = {"op": "did", "event": "Bought", "where": {"op": "exists", "property": 'the "price"'}}
    document = {"version": "obverse/v1", "kind": "audience", "metadata": {"name": "a"}, "spec": {"where": where}}
    with pytest.raises(BadDefinition, match=r"a.yml: spec.where.where.property: 'the \"price\"' has a quote"):
        read_documents([("a.yml", document)], KINDS)
