"""Conditions as functions that say whether they hold for somebody, and when that may change by time alone."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from obverse.core import json_values, times
from obverse.core.conditions import occurring
from obverse.core.conditions.parsing import TEMPORAL, BadCondition, comparable
from obverse.core.conditions.tree import (
    AUDIENCE,
    GROUP,
    IDENTIFIER,
    OCCURRENCES,
    Condition,
    Did,
    Events,
    Every,
    Member,
    Not,
    Some,
    Steps,
    Test,
    parts_of,
)

Person = TypeVar("Person")
Reader = Callable[[Person], Any]
"""Reads one value of a person, or None while there is none; of an identifier's kind and of occurrences all of them."""
Readers = Callable[[str, Any], Reader[Person]]
"""The reader of (what is looked at, its name); of `occurrences` the name is the `Need`."""
Check = Callable[[Person, int], bool]
"""Whether it holds for a person at an instant, in microseconds since 1970."""
Due = Callable[[Person, int], int | None]
"""The next instant after this one at which that may change, though no event comes; None: never."""


_DEEPEST: Final = 50
"""Audiences, one of which looks at the next."""
_MOST_LEVELS: Final = 200
"""One within the other, in a condition with those of the audiences that it looks at in their place."""
_MOST_PARTS: Final = 10_000
"""Nodes of such a condition: two audiences in which the next stands twice have four of the last, ten a thousand."""


@dataclass(frozen=True, slots=True)
class Scope(Generic[Person]):
    """What conditions are compiled with."""

    readers: Readers[Person]
    audiences: Mapping[str, Condition]
    """Those that a condition may look at."""


class _Extent(NamedTuple):
    """How far a condition goes, with those of the audiences that it looks at in their place."""

    parts: int
    levels: int
    audiences: int
    """One of which looks at the next."""


def no_circle(audiences: Mapping[str, Condition]) -> None:
    """
    Raise `BadCondition` if an audience looks at itself, be it by way of others, or at too much of others.

    The message names the circle, or the audience.
    """
    done: dict[str, _Extent] = {}

    def visit(name: str, path: tuple[str, ...], level: int) -> _Extent:
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name))
            raise BadCondition(f"audience {name!r} looks at itself: {circle}; take one of these conditions out")
        if len(path) > _DEEPEST:
            raise _looks_too_far(path[0], "through more than", _DEEPEST, "others")
        if name not in done:
            done[name] = measure(audiences[name], (*path, name), level)
        return done[name]

    def measure(condition: Condition, path: tuple[str, ...], level: int) -> _Extent:
        if level > _MOST_LEVELS:
            raise _looks_too_far(path[0], "deeper than", _MOST_LEVELS, "levels, with what it looks at")
        below = [measure(part, path, level + 1) for part in parts_of(condition)]
        if isinstance(condition, Member) and condition.subject == AUDIENCE and condition.name in audiences:
            other = visit(condition.name, path, level + 1)
            below.append(other._replace(audiences=other.audiences + 1))
        return _Extent(
            1 + sum(one.parts for one in below),
            1 + max((one.levels for one in below), default=0),
            max((one.audiences for one in below), default=0),
        )

    for name in audiences:
        _check_extent(name, visit(name, (), 1))


def _check_extent(name: str, found: _Extent) -> None:
    if found.audiences > _DEEPEST:
        raise _looks_too_far(name, "through more than", _DEEPEST, "others")
    if found.levels > _MOST_LEVELS:
        raise _looks_too_far(name, "deeper than", _MOST_LEVELS, "levels, with what it looks at")
    if found.parts > _MOST_PARTS:
        raise _looks_too_far(name, "at more than", _MOST_PARTS, "parts, with those of the audiences it looks at")


def _looks_too_far(name: str, how: str, most: int, what: str) -> BadCondition:
    return BadCondition(f"audience {name!r} looks {how} {most} {what}; use fewer")


def subjects(condition: Condition, audiences: Mapping[str, Condition] | None = None) -> Iterator[tuple[str, Any]]:
    """
    What a condition looks at, as (`trait`, `attribute` …, name); of events, (`occurrences`, `Need`).

    With `audiences` given, what those look at that it looks at stands in their place.
    """
    match condition:
        case Test(subject=subject, name=name):
            yield subject, name
        case Member(subject, name):
            if subject == AUDIENCE and audiences is not None:
                yield from subjects(audiences[name], audiences)
            else:
                yield subject, name
        case Did() | Steps():
            for need in occurring.needs_of(condition).values():
                yield OCCURRENCES, need
        case _:
            for part in parts_of(condition):
                yield from subjects(part, audiences)


def compiled(
    condition: Condition, readers: Readers[Person], audiences: Mapping[str, Condition] | None = None
) -> Check[Person]:
    """
    The condition as a function that says whether it holds for one person at an instant.

    A missing value makes every test false but `ne`; so does a number compared with a text. `audiences` are those that
    it may look at, without a circle.
    """
    return _check(condition, Scope(readers, audiences or {}))


def _check(condition: Condition, scope: Scope[Person]) -> Check[Person]:
    match condition:
        case Every(parts):
            return partial(_all, [_check(part, scope) for part in parts])
        case Some(parts):
            return partial(_any, [_check(part, scope) for part in parts])
        case Not(part):
            check = _check(part, scope)
            return lambda person, now: not check(person, now)
        case Test():
            return _test(condition, scope.readers)
        case Member(subject, name):
            if subject == AUDIENCE:
                return _check(scope.audiences[name], scope)
            is_in = scope.readers(GROUP, name)
            return lambda person, _: bool(is_in(person))
        case Did():
            moments = moments_reader(condition, scope.readers)
            return lambda person, now: occurring.did(condition, moments(person, condition.events), now)[0]
        case Steps():
            of = moments_reader(condition, scope.readers)
            return lambda person, now: occurring.went_through(condition, partial(of, person), now)[0]


def _test(test: Test, readers: Readers[Person]) -> Check[Person]:
    read = readers(test.subject, test.name)
    if test.op in TEMPORAL:
        span, lately = test.value, test.op == "within_last"
        return lambda person, now: (at := moment(read(person))) is not None and (at > now - span) is lately
    passes = passing(test.op, test.value)
    if test.subject == IDENTIFIER:
        return partial(_any_value, passes, test.op == "ne", read)
    if test.op == "exists":  # so does a number beyond reach
        return lambda person, _: passes(read(person))
    return lambda person, _: passes(comparable(read(person)))


def moments_reader(condition: Did | Steps, readers: Readers[Person]) -> Callable[[Person, Events], Sequence[int]]:
    """What reads a person's moments of the events that a condition is about."""
    known = {events: readers(OCCURRENCES, need) for events, need in occurring.needs_of(condition).items()}
    return lambda person, events: known[events](person) or ()


def changing(
    condition: Condition, readers: Readers[Person], audiences: Mapping[str, Condition] | None = None
) -> Due[Person] | None:
    """The condition as a function that says when time alone may change it, never too late; None if it never does."""
    dues = list(_dues(condition, Scope(readers, audiences or {})))
    return partial(_earliest, dues) if dues else None


def _dues(condition: Condition, scope: Scope[Person]) -> Iterator[Due[Person]]:
    match condition:
        case Test(op=op, subject=subject, name=name, value=span) if op in TEMPORAL:
            yield partial(_ages, scope.readers(subject, name), span)
        case Member(subject="audience", name=name):
            yield from _dues(scope.audiences[name], scope)
        case Did(within=within) if within is not None:
            moments = moments_reader(condition, scope.readers)
            yield lambda person, now: occurring.did(condition, moments(person, condition.events), now)[1]
        case Steps():
            of = moments_reader(condition, scope.readers)
            yield lambda person, now: occurring.went_through(condition, partial(of, person), now)[1]
        case _:
            for part in parts_of(condition):
                yield from _dues(part, scope)


def _ages(read: Reader[Person], span: int, person: Person, now: int) -> int | None:
    at = moment(read(person))
    return at + span if at is not None and at + span > now else None


def _earliest(dues: Sequence[Due[Person]], person: Person, now: int) -> int | None:
    return min((at for due in dues if (at := due(person, now)) is not None), default=None)


MOMENT: Final = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}"
    "([Tt ]([01][0-9]|2[0-4]):([0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?|59:60)([Zz]|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)?)?"
)
"""
How a value says an instant, as a regular expression that Python and PostgreSQL read alike.

Both know other spellings too, and not the same ones: whom a condition holds for must not hang on who judges.
"""
_MOMENT: Final = re.compile(MOMENT)


def moment(value: Any) -> int | None:
    """The instant that a value says, as a date or in RFC 3339 with or without a zone; None if it says none."""
    return times.parse(value) if isinstance(value, str) and _MOMENT.fullmatch(value) else None


def _all(checks: Sequence[Check[Person]], person: Person, now: int) -> bool:
    for check in checks:  # noqa: SIM110 - a generator costs as much as what it runs through
        if not check(person, now):
            return False
    return True


def _any(checks: Sequence[Check[Person]], person: Person, now: int) -> bool:
    for check in checks:  # noqa: SIM110 - as above
        if check(person, now):
            return True
    return False


def _any_value(passes: Callable[[Any], bool], every: bool, read: Reader[Person], person: Person, _now: int) -> bool:  # noqa: FBT001 - made by `partial`
    """Whether one of many values passes; of `ne`, whether each does."""
    passed = [passes(value) for value in read(person)]
    return all(passed) if every else any(passed)


_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda one, other: bool(one > other),
    "gte": lambda one, other: bool(one >= other),
    "lt": lambda one, other: bool(one < other),
    "lte": lambda one, other: bool(one <= other),
}


def passing(op: str, expected: Any) -> Callable[[Any], bool]:
    """What says whether a value passes a test; numbers are decimals."""
    if op == "exists":
        return lambda actual: actual is not None
    # By type too, since to Python true equals 1.
    kind = type(expected)
    equal: Callable[[Any, Any], bool] = json_values.same if kind in {list, dict} else operator.eq
    if op == "ne":
        return lambda actual: type(actual) is not kind or not equal(actual, expected)
    if op == "in":
        known = [one for one in expected if one is not None]
        return lambda actual: any(json_values.same(actual, one) for one in known)
    if op == "eq":
        return lambda actual: type(actual) is kind and equal(actual, expected)
    if op == "contains":
        return partial(_contains, expected, kind)
    if op == "starts_with":
        return lambda actual: isinstance(actual, str) and actual.startswith(expected)
    if op == "ends_with":
        return lambda actual: isinstance(actual, str) and actual.endswith(expected)
    compare = _ORDERED[op]
    return lambda actual: type(actual) is kind and compare(actual, expected)


def _contains(expected: str | Decimal, kind: type, actual: Any) -> bool:
    """Whether a text has this in it, or a list such a value."""
    if isinstance(actual, list):
        return any(type(one) is kind and one == expected for one in actual)
    return isinstance(actual, str) and isinstance(expected, str) and expected in actual
