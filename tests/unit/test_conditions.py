"""Conditions hold as they read, and a mistake in one is told with its place and what to write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import ANYTHING
from obverse.core.conditions import BadCondition, Condition, compiled, parse, subjects


def condition(op: str, value: Any = None, *, attribute: str = "x") -> dict[str, Any]:
    return {"op": op, "attribute": attribute, **({} if op == "exists" else {"value": value})}


def holds(tree: Any, **values: Any) -> bool:
    """Whether the condition holds for a profile with these attributes."""

    def reader(subject: str, name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda given: given.get(name) if subject == "attribute" else None

    return compiled(parse(tree), reader)(values, 0)


D = Decimal


@pytest.mark.parametrize(
    ("op", "expected", "yes", "no"),
    [
        ("eq", 1000, [1000, D("1000.00"), D("1E+3"), 1000.0], [999, D("1000.01"), "1000", True, [1000]]),
        ("eq", 0.1, [D("0.1"), D("0.10"), 0.1], [D("0.11"), "0.1"]),
        ("eq", 1, [1, D("1.0")], [True, "1", 2]),
        ("eq", "pro", ["pro"], ["Pro", "pro ", 5, ["pro"]]),
        ("eq", True, [True], [False, 1, D(1), "true"]),
        ("eq", False, [False], [True, 0, ""]),
        ("eq", ["a", 1], [["a", 1], ["a", D("1.0")]], [["a"], [1, "a"], "a"]),
        ("ne", "pro", ["free", 5, True, None], ["pro"]),
        ("ne", 1, [2, "1", True, None], [1, D("1.0")]),
        ("gt", 5, [6, D("5.01")], [5, 4, "6", True, [6]]),
        ("gte", 5, [5, D("5.0"), 6], [D("4.99"), "5", True]),
        ("lt", 5, [4, D("-1E+3")], [5, 6, "4", False]),
        ("lte", 5, [5, 4], [6, "5", False]),
        ("gt", "2024-06", ["2024-07-01", "2025"], ["2024-01-01", 2025]),
        ("lte", "b", ["a", "b"], ["c", "ba", 1]),
        ("in", [1, "b", True], [1, D("1.0"), "b", True], [2, "1", False, "B", ["b"]]),
        ("in", [], [], [1, "b", []]),
        ("exists", None, [0, "", False, [], {}], []),
    ],
)
def test_each_operator(op: str, expected: Any, yes: list[Any], no: list[Any]) -> None:
    tree = condition(op, expected)
    assert [value for value in yes if not holds(tree, x=value)] == []
    assert [value for value in no if holds(tree, x=value)] == []


@pytest.mark.parametrize("op", ["eq", "gt", "gte", "lt", "lte", "in", "exists"])
def test_a_missing_value_makes_it_false(op: str) -> None:
    assert not holds(condition(op, [1, None] if op == "in" else 1))


def test_a_missing_value_differs_from_any() -> None:
    assert holds(condition("ne", 1))


def test_a_number_beyond_reach_is_as_good_as_missing() -> None:
    for op in ("eq", "gt", "lt", "in"):
        assert not holds(condition(op, [5] if op == "in" else 5), x=10**100)


def test_all_one_or_none_of_several() -> None:
    a, b = condition("exists", attribute="a"), condition("exists", attribute="b")
    for given_, both, either, neither in (
        ({"a": 1, "b": 1}, True, True, False),
        ({"a": 1}, False, True, False),
        ({}, False, False, True),
    ):
        assert holds({"op": "and", "of": [a, b]}, **given_) == both
        assert holds({"op": "or", "of": [a, b]}, **given_) == either
        assert holds({"op": "not", "of": {"op": "or", "of": [a, b]}}, **given_) == neither


def test_traits_and_attributes_of_one_name_are_apart() -> None:
    def reader(subject: str, _name: str) -> Callable[[dict[str, int]], Any]:
        return lambda given: given[subject]

    check = compiled(parse({"op": "eq", "trait": "x", "value": 1}), reader)
    assert check({"trait": 1, "attribute": 2}, 0)
    assert not check({"trait": 2, "attribute": 1}, 0)


def test_what_a_condition_looks_at() -> None:
    tree = {
        "op": "and",
        "of": [
            {"op": "not", "of": {"op": "exists", "trait": "orders"}},
            {"op": "or", "of": [condition("eq", 1, attribute="plan"), condition("exists", attribute="email")]},
        ],
    }
    assert list(subjects(parse(tree))) == [("trait", "orders"), ("attribute", "plan"), ("attribute", "email")]


NESTED = {"op": "or", "of": [condition("exists"), {"op": "not", "of": {"op": "gte", "trait": "x"}}]}


def bomb(depth: int) -> dict[str, Any]:
    tree = condition("exists")
    for _ in range(depth):
        tree = {"op": "not", "of": tree}
    return tree


def test_conditions_may_nest_as_deep_as_people_write_them() -> None:
    assert holds(bomb(50), x=1)


def inside_itself() -> dict[str, Any]:
    tree: dict[str, Any] = {"op": "not"}
    tree["of"] = tree
    return tree


def list_in_itself() -> dict[str, Any]:
    value: list[Any] = []
    value.append(value)
    return condition("in", value)


@pytest.mark.parametrize(
    ("tree", "place", "advice"),
    [
        (None, "spec.where", "{op: gte, trait: lifetime_value, value: 1000}"),
        ("lifetime_value > 5", "spec.where", "expected a mapping"),
        ([], "spec.where", "expected a mapping"),
        ({}, "spec.where.op", "use one of and, or, not, eq, ne, gt, gte, lt, lte, in, "),
        ({"op": ">="}, "spec.where.op", "'>=' is no operator; use one of"),
        ({"op": ["eq"]}, "spec.where.op", "is no operator"),
        ({"op": "and"}, "spec.where.of", "a list of at least one condition"),
        ({"op": "or", "of": []}, "spec.where.of", "a list of at least one condition"),
        ({"op": "and", "of": condition("exists")}, "spec.where.of", "a list of at least one condition"),
        ({"op": "and", "of": [1]}, "spec.where.of[0]", "expected a mapping"),
        ({"op": "and", "of": [condition("exists")], "trait": "x"}, "spec.where.trait", "of, op may stand here"),
        ({"op": "not"}, "spec.where.of", "expected a mapping"),
        ({"op": "not", "of": condition("exists"), "value": 1}, "spec.where.value", "of, op may stand here"),
        ({"op": "eq", "value": 1}, "spec.where", "`trait: NAME` or `attribute: NAME`"),
        ({"op": "eq", "trait": "a", "attribute": "b", "value": 1}, "spec.where", "(one of them)"),
        ({"op": "eq", "trait": 5, "value": 1}, "spec.where", "`trait: NAME`"),
        ({"op": "eq", "trait": "a"}, "spec.where.value", "say what to compare with"),
        ({"op": "eq", "trait": "a", "value": 1, "vlaue": 2}, "spec.where.vlaue", "op, trait, value may stand here"),
        ({"op": "exists", "trait": "a", "value": 1}, "spec.where.value", "op, trait may stand here"),
        (condition("in", "abc"), "spec.where.value", "`in` wants a list"),
        (condition("gt", value=True), "spec.where.value", "compares numbers or texts"),
        (condition("lt", [1]), "spec.where.value", "compares numbers or texts"),
        (condition("eq", None), "spec.where.value", "use `op: exists`"),
        (condition("ne", 10**100), "spec.where.value", "beyond reach"),
        (condition("gt", float("nan")), "spec.where.value", "beyond reach"),
        (condition("gte", date(2024, 1, 1)), "spec.where.value", "put dates and the like in quotes"),
        (condition("in", ["a", date(2024, 1, 1)]), "spec.where.value", "in quotes"),
        (condition("eq", {1: 2}), "spec.where.value", "no JSON value"),
        (list_in_itself(), "spec.where.value", "no JSON value"),
        (NESTED, "spec.where.of[1].of.value", "say what to compare with"),
        (bomb(51), "spec.where" + ".of" * 51, "nested deeper than 50 levels"),
        (bomb(600), "spec.where" + ".of" * 51, "nested deeper than 50 levels"),
        (inside_itself(), "spec.where" + ".of" * 51, "nested deeper than 50 levels"),
    ],
)
def test_every_mistake_is_told_with_its_place_and_what_to_write(tree: Any, place: str, advice: str) -> None:
    with pytest.raises(BadCondition) as caught:
        parse(tree, "spec.where")
    message = str(caught.value)
    assert message.startswith(place + ": ")
    assert advice in message


TREES = st.recursive(
    st.builds(condition, st.sampled_from(["eq", "ne", "gt", "lte", "in", "exists"]), ANYTHING),
    lambda inner: (
        st.builds(lambda op, of: {"op": op, "of": of}, st.sampled_from(["and", "or"]), st.lists(inner))
        | st.builds(lambda of: {"op": "not", "of": of}, inner)
    ),
    max_leaves=5,
)


def reads_what_is_given(_subject: str, _name: str) -> Callable[[Any], Any]:
    return lambda given: given


@LAWS
@given(TREES | ANYTHING, ANYTHING)
def test_any_tree_is_read_or_refused_and_judges_any_value(tree: Any, value: Any) -> None:
    try:
        read: Condition = parse(tree)
    except BadCondition:
        return
    opposite = parse({"op": "not", "of": tree})
    judged = [compiled(one, reads_what_is_given)(value, 0) for one in (read, opposite)]
    assert sorted(judged) == [False, True]
