"""Audiences: named conditions over attributes and traits. A condition is data, never code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from obverse.core import json_values

Lookup = Callable[[str, str], Any]
"""Value of (`trait` or `attribute`, its name), or None while there is none."""


class BadCondition(ValueError):
    """A condition that cannot be understood; the message says where and what to write."""


@dataclass(frozen=True, slots=True)
class Every:
    """Holds if each part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Holds if one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Holds if the part does not."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Test:
    """Compares one trait or attribute with a value."""

    op: str
    subject: str
    """`trait` or `attribute`."""
    name: str
    value: Any
    """JSON; numbers as decimals."""


Condition = Every | Some | Not | Test


@dataclass(frozen=True, slots=True)
class Audience:
    """A named condition; people enter and leave it."""

    name: str
    where: Condition


_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda one, other: bool(one > other),
    "gte": lambda one, other: bool(one >= other),
    "lt": lambda one, other: bool(one < other),
    "lte": lambda one, other: bool(one <= other),
}
_OPS: Final = ("and", "or", "not", "eq", "ne", *_ORDERED, "in", "exists")
_DEEPEST: Final = 50


def parse(tree: Any, where: str = "where", depth: int = 0) -> Condition:
    """
    Read a condition from decoded YAML or JSON.

    Raises:
        BadCondition: with the place in the tree, and what may stand there.
    """
    if depth > _DEEPEST:
        raise BadCondition(f"{where}: nested deeper than {_DEEPEST} levels; use fewer")
    if not isinstance(tree, dict):
        raise BadCondition(f"{where}: expected a mapping such as {{op: gte, trait: lifetime_value, value: 1000}}")
    op = tree.get("op")
    if op not in _OPS:
        raise BadCondition(f"{where}.op: {op!r} is no operator; use one of {', '.join(_OPS)}")
    if op in {"and", "or"}:
        return _group(op, tree, where, depth)
    if op == "not":
        _only(tree, {"op", "of"}, where)
        return Not(parse(tree.get("of"), f"{where}.of", depth + 1))
    return _test(op, tree, where)


def _group(op: str, tree: dict[str, Any], where: str, depth: int) -> Condition:
    _only(tree, {"op", "of"}, where)
    parts = tree.get("of")
    if not isinstance(parts, list) or not parts:
        raise BadCondition(f"{where}.of: expected a list of at least one condition")
    read = tuple(parse(part, f"{where}.of[{place}]", depth + 1) for place, part in enumerate(parts))
    return Every(read) if op == "and" else Some(read)


def _test(op: str, tree: dict[str, Any], where: str) -> Test:
    subjects = [subject for subject in ("trait", "attribute") if subject in tree]
    if len(subjects) != 1 or not isinstance(tree[subjects[0]], str):
        raise BadCondition(f"{where}: name what to look at, as `trait: NAME` or `attribute: NAME` (one of them)")
    subject = subjects[0]
    _only(tree, {"op", subject} if op == "exists" else {"op", subject, "value"}, where)
    if op != "exists" and "value" not in tree:
        raise BadCondition(f"{where}.value: missing; say what to compare with")
    value = _comparable(tree.get("value"))
    if op == "in" and not isinstance(value, list):
        raise BadCondition(f"{where}.value: `in` wants a list")
    if op in _ORDERED and not isinstance(value, (Decimal, str)):
        raise BadCondition(f"{where}.value: `{op}` compares numbers or texts, not {value!r}")
    return Test(op, subject, tree[subject], value)


def _only(tree: dict[str, Any], known: set[str], where: str) -> None:
    for key in tree:
        if key not in known:
            raise BadCondition(f"{where}.{key}: unknown here; {', '.join(sorted(known))} may stand here")


def subjects(condition: Condition) -> Iterator[tuple[str, str]]:
    """What a condition looks at, as (`trait` or `attribute`, name)."""
    match condition:
        case Every(parts) | Some(parts):
            for part in parts:
                yield from subjects(part)
        case Not(part):
            yield from subjects(part)
        case Test(subject=subject, name=name):
            yield subject, name


def holds(condition: Condition, lookup: Lookup) -> bool:
    """
    Whether a condition holds for one profile.

    A missing value makes every test false but `ne`; so does a number compared with a text.
    """
    match condition:
        case Every(parts):
            return all(holds(part, lookup) for part in parts)
        case Some(parts):
            return any(holds(part, lookup) for part in parts)
        case Not(part):
            return not holds(part, lookup)
        case Test(op, subject, name, expected):
            return _passes(op, _comparable(lookup(subject, name)), expected)


def _passes(op: str, actual: Any, expected: Any) -> bool:
    match op:
        case "exists":
            return actual is not None
        case "ne":
            return bool(actual != expected)
        case "in":
            return actual is not None and actual in expected
        case "eq":
            return actual is not None and bool(actual == expected)
        case _:
            return type(actual) is type(expected) and _ORDERED[op](actual, expected)


def _comparable(value: Any) -> Any:
    """Numbers as decimals, so that 1000, 1000.0 and "1000.00" from a sum compare as one number."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return value
    return json_values.number(Decimal(str(value))) if isinstance(value, float) else json_values.number(value)
