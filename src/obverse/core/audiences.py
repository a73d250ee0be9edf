"""Audiences: named conditions over attributes and traits. A condition is data, never code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

from obverse.core import json_values

Person = TypeVar("Person")
Reader = Callable[[Person], Any]
"""Reads one value of a person, or None while there is none."""
Readers = Callable[[str, str], Reader[Person]]
"""The reader of (`trait` or `attribute`, its name)."""


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
    description: str = ""


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
    if not _is_json(tree.get("value")):
        raise BadCondition(f"{where}.value: {tree['value']!r} is no JSON value; put dates and the like in quotes")
    value = _comparable(tree.get("value"))
    if op != "exists" and value is None:
        raise BadCondition(f"{where}.value: null, or a number beyond reach, equals nothing; use `op: exists`")
    if op == "in" and not isinstance(value, list):
        raise BadCondition(f"{where}.value: `in` wants a list")
    if op in _ORDERED and not isinstance(value, (Decimal, str)):
        raise BadCondition(f"{where}.value: `{op}` compares numbers or texts, not {value!r}")
    return Test(op, subject, tree[subject], value)


def as_tree(condition: Condition) -> dict[str, Any]:
    """What `parse` reads as this condition."""
    match condition:
        case Every(parts):
            return {"op": "and", "of": [as_tree(part) for part in parts]}
        case Some(parts):
            return {"op": "or", "of": [as_tree(part) for part in parts]}
        case Not(part):
            return {"op": "not", "of": as_tree(part)}
        case Test(op, subject, name, value):
            return {"op": op, subject: name} | ({} if op == "exists" else {"value": value})


def _is_json(value: Any, depth: int = 0) -> bool:
    """Whether JSON can say it: YAML knows dates, sets and values that hold themselves."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and _is_json(list(value.values()), depth)
    if isinstance(value, list):
        return depth < _DEEPEST and all(_is_json(item, depth + 1) for item in value)
    return value is None or isinstance(value, (str, int, float, Decimal))


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


def compiled(condition: Condition, readers: Readers[Person]) -> Callable[[Person], bool]:
    """
    The condition as a function that says whether it holds for one person.

    A missing value makes every test false but `ne`; so does a number compared with a text.
    """
    match condition:
        case Every(parts):
            checks = [compiled(part, readers) for part in parts]
            return partial(_all, checks)
        case Some(parts):
            checks = [compiled(part, readers) for part in parts]
            return partial(_any, checks)
        case Not(part):
            check = compiled(part, readers)
            return lambda person: not check(person)
        case Test(op, subject, name, expected):
            passes, read = _passes(op, expected), readers(subject, name)
            return lambda person: passes(_comparable(read(person)))


def _all(checks: Sequence[Callable[[Person], bool]], person: Person) -> bool:
    for check in checks:  # noqa: SIM110 - a generator costs as much as what it runs through
        if not check(person):
            return False
    return True


def _any(checks: Sequence[Callable[[Person], bool]], person: Person) -> bool:
    for check in checks:  # noqa: SIM110 - as above
        if check(person):
            return True
    return False


def _passes(op: str, expected: Any) -> Callable[[Any], bool]:
    if op == "exists":
        return lambda actual: actual is not None
    # By type too, since to Python true equals 1.
    kind = type(expected)
    if op == "ne":
        return lambda actual: type(actual) is not kind or bool(actual != expected)
    if op == "in":
        known = [one for one in expected if one is not None]
        return lambda actual: any(type(actual) is type(one) and actual == one for one in known)
    if op == "eq":
        return lambda actual: type(actual) is kind and bool(actual == expected)
    compare = _ORDERED[op]
    return lambda actual: type(actual) is kind and compare(actual, expected)


def _comparable(value: Any) -> Any:
    """Numbers as decimals, so that 1000, 1000.0 and "1000.00" from a sum compare as one number."""
    if type(value) is float:
        value = Decimal(str(value))
    if type(value) is int or type(value) is Decimal:
        return json_values.number(value)
    return [_comparable(item) for item in value] if isinstance(value, list) else value
