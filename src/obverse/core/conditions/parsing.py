"""Conditions read from decoded YAML or JSON; a mistake is told with its place and what to write."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from obverse.core import json_values, spans
from obverse.core.conditions.tree import (
    ATTRIBUTE,
    AUDIENCE,
    CONSENT,
    GROUP,
    IDENTIFIER,
    ONCE,
    PROPERTY,
    TRAIT,
    Condition,
    Did,
    Events,
    Every,
    Member,
    Not,
    Some,
    Step,
    Steps,
    Test,
    Times,
)
from obverse.core.events import TYPES


class BadCondition(ValueError):
    """A condition that cannot be understood; the message says where and what to write."""


ORDERED: Final = ("gt", "gte", "lt", "lte")
TEXTUAL: Final = ("contains", "starts_with", "ends_with")
TEMPORAL: Final = ("within_last", "longer_ago")
COMPARISONS: Final = ("eq", "ne", *ORDERED, "in", *TEXTUAL, *TEMPORAL, "exists")
"""What a test may say."""
_OF_PERSONS: Final = ("and", "or", "not", *COMPARISONS, "member", "did", "sequence")
_OF_EVENTS: Final = ("and", "or", "not", *(op for op in COMPARISONS if op not in TEMPORAL))
SUBJECTS: Final = (TRAIT, ATTRIBUTE, IDENTIFIER, CONSENT)
"""What a test of a person looks at."""
_DEEPEST: Final = 50
_MOST_PARTS: Final = 500
"""Nodes of one condition."""
MOST_TIMES: Final = 1000
"""How often something can be asked to have happened."""
MOST_STEPS: Final = 10
UNREADABLE: Final = re.compile(r'["\\\x00-\x1f]')
"""What a property's name must not have in it to be looked for in an event."""
_SHOWN: Final = 80
"""Characters of a message."""
LONGEST_TEXT: Final = 1000
"""Characters that a condition compares with."""


def parse(tree: Any, where: str = "where") -> Condition:
    """
    Read a condition on people.

    Raises:
        BadCondition: with the place in the tree, and what may stand there.
    """
    return _Reader(_OF_PERSONS, SUBJECTS).read(tree, where, 0)


def parse_event(tree: Any, where: str = "where") -> Condition:
    """
    Read a condition on the properties of an event.

    Raises:
        BadCondition: as above.
    """
    return _Reader(_OF_EVENTS, (PROPERTY,)).read(tree, where, 0)


def did_you_mean(wrong: object, known: Collection[str]) -> str:
    """
    A hint at what was meant, or nothing.

    >>> did_you_mean("vlaue", ["op", "value"]), did_you_mean("x", ["op", "value"])
    (' (did you mean value?)', '')
    """
    close = get_close_matches(wrong, known, n=1) if isinstance(wrong, str) and len(wrong) <= LONGEST_TEXT else []
    return f" (did you mean {close[0]}?)" if close else ""


class _Reader:
    """Reads one condition."""

    def __init__(self, ops: Collection[str], subjects: Collection[str]) -> None:
        self._ops = ops
        self._subjects = subjects
        self._parts = 0

    def read(self, tree: Any, where: str, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise BadCondition(f"{where}: nested deeper than {_DEEPEST} levels; use fewer")
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise BadCondition(f"{where}: more than {_MOST_PARTS} parts; split the condition into several audiences")
        if not isinstance(tree, dict):
            raise BadCondition(f"{where}: expected a mapping such as {self._example()}")
        op = tree.get("op")
        if not isinstance(op, str) or op not in self._ops:
            hint = did_you_mean(op, self._ops)
            raise BadCondition(f"{where}.op: {_shown(op)} is no operator{hint}; use one of {', '.join(self._ops)}")
        match op:
            case "and" | "or":
                return self._group(op, tree, where, depth)
            case "not":
                _only(tree, ("op", "of"), where)
                return Not(self.read(tree.get("of"), f"{where}.of", depth + 1))
            case "member":
                return _member(tree, where)
            case "did":
                return _did(tree, where)
            case "sequence":
                return _sequence(tree, where)
            case _:
                return self._test(op, tree, where)

    def _example(self) -> str:
        if PROPERTY in self._subjects:
            return "{op: gte, property: revenue, value: 100}"
        return "{op: gte, trait: lifetime_value, value: 1000}"

    def _group(self, op: str, tree: dict[str, Any], where: str, depth: int) -> Condition:
        _only(tree, ("op", "of"), where)
        parts = tree.get("of")
        if not isinstance(parts, list) or not parts:
            raise BadCondition(f"{where}.of: expected a list of at least one condition")
        read = tuple(self.read(part, f"{where}.of[{place}]", depth + 1) for place, part in enumerate(parts))
        return Every(read) if op == "and" else Some(read)

    def _test(self, op: str, tree: dict[str, Any], where: str) -> Test:
        found = [subject for subject in self._subjects if subject in tree]
        if len(found) != 1 or not _is_name(tree[found[0]]):
            choice = " or ".join(f"`{subject}: NAME`" for subject in self._subjects)
            only_one = " (one of them)" if len(self._subjects) > 1 else ""
            raise BadCondition(f"{where}: name what to look at, as {choice}{only_one}")
        subject = found[0]
        if subject == PROPERTY and UNREADABLE.search(tree[subject]):
            raise BadCondition(
                f"{where}.property: {_shown(tree[subject])} has a quote, a backslash or a control character in it"
            )
        _only(tree, ("op", subject) if op == "exists" else ("op", subject, "value"), where)
        if op != "exists" and "value" not in tree:
            raise BadCondition(f"{where}.value: missing; say what to compare with")
        return Test(op, subject, tree[subject], _value(op, subject, tree.get("value"), f"{where}.value"))


def _value(op: str, subject: str, said: Any, where: str) -> Any:
    """What a test compares with, as it is compared."""
    if op == "exists":
        return None
    if not _is_json(said):
        raise BadCondition(f"{where}: {_shown(said)} is no JSON value; put dates and the like in quotes")
    value = comparable(said)
    if value is None or _is_beyond_reach(said):
        raise BadCondition(f"{where}: null, or a number beyond reach, equals nothing; use `op: exists`")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise BadCondition(f"{where}: {len(value)} characters; {LONGEST_TEXT} at most")
    if op in TEMPORAL:
        if subject not in {TRAIT, ATTRIBUTE}:
            raise BadCondition(f"{where}: `{op}` looks at a trait or an attribute that holds a time, not at {subject}")
        return _span(said, where)
    wrong = _unfit(op, subject, value)
    if wrong is not None:
        raise BadCondition(f"{where}: {wrong.format(op=op, value=_shown(said))}")
    return value


def _is_beyond_reach(said: Any) -> bool:
    """Whether a number is, or holds, one that is not computed with."""
    if isinstance(said, (list, dict)):
        return any(map(_is_beyond_reach, said.values() if isinstance(said, dict) else said))
    return said is not None and comparable(said) is None


def _unfit(op: str, subject: str, value: Any) -> str | None:
    """Why a test cannot compare with this; None if it can."""
    if op == "in" and not isinstance(value, list):
        return "`in` wants a list"
    if op in ORDERED and not isinstance(value, (Decimal, str)):
        return "`{op}` compares numbers or texts, not {value}"
    if op in TEXTUAL and not isinstance(value, str) and not (op == "contains" and isinstance(value, Decimal)):
        return "`{op}` wants a text, not {value}"
    if subject == CONSENT and (op not in {"eq", "ne"} or not isinstance(value, bool)):
        return "a consent is given or not: use `op: eq` with `value: true` or `value: false`"
    return None


def _span(said: Any, where: str) -> int:
    span = spans.parse(said)
    if span is None:
        raise BadCondition(f"{where}: {_shown(said)} is no span of time; write {spans.EXPECTED}")
    return span


def _member(tree: dict[str, Any], where: str) -> Member:
    found = [subject for subject in (AUDIENCE, GROUP) if subject in tree]
    if len(found) != 1 or not _is_name(tree[found[0]]):
        raise BadCondition(f"{where}: name what to be in, as `audience: NAME` or `group: ID` (one of them)")
    _only(tree, ("op", found[0]), where)
    return Member(found[0], tree[found[0]])


_EVENTS: Final = ("event", "type", "where")


def _did(tree: dict[str, Any], where: str) -> Did:
    _only(tree, ("op", *_EVENTS, "times", "within"), where)
    return Did(_events(tree, where), _times(tree.get("times"), f"{where}.times"), _within(tree, where))


def _events(tree: Mapping[str, Any], where: str) -> Events:
    kind, event = tree.get("type", "track"), tree.get("event")
    if not isinstance(kind, str) or kind not in TYPES:
        raise BadCondition(f"{where}.type: {_shown(kind)} is no call; use one of {', '.join(sorted(TYPES))}")
    if event is None and kind == "track":
        raise BadCondition(f"{where}.event: missing; name the event, such as `event: Order Completed`")
    if event is not None and not _is_name(event):
        raise BadCondition(f"{where}.event: {_shown(event)} is no name of an event; write it as text")
    if event is not None and kind not in {"track", "page", "screen"}:
        raise BadCondition(f"{where}.event: a {kind} call has no name; remove it")
    condition = parse_event(tree["where"], f"{where}.where") if "where" in tree else None
    return Events(kind, event, condition)


def _within(tree: Mapping[str, Any], where: str) -> int | None:
    return _span(tree["within"], f"{where}.within") if "within" in tree else None


def _times(said: Any, where: str) -> Times:
    if said is None:
        return ONCE
    if isinstance(said, int) and not isinstance(said, bool):
        return Times(_count(said, where, least=1))
    known = ("at_least", "at_most", "exactly")
    if not isinstance(said, dict) or not said:
        raise BadCondition(f"{where}: write a number, or `at_least`, `at_most` or `exactly` with one")
    _only(said, known, where)
    counts = {name: _count(value, f"{where}.{name}", least=name == "at_least") for name, value in said.items()}
    if "exactly" in counts:
        if len(counts) > 1:
            raise BadCondition(f"{where}: `exactly` stands alone")
        return Times(counts["exactly"], counts["exactly"])
    least, most = counts.get("at_least", 0), counts.get("at_most")
    if most is not None and most < least:
        raise BadCondition(f"{where}: at most {most} cannot be at least {least}")
    return Times(least, most)


def _count(said: Any, where: str, *, least: int) -> int:
    if not isinstance(said, int) or isinstance(said, bool) or not least <= said <= MOST_TIMES:
        raise BadCondition(f"{where}: {_shown(said)} is no number of times; write {least:d} to {MOST_TIMES}")
    return said


def _sequence(tree: dict[str, Any], where: str) -> Steps:
    _only(tree, ("op", "steps", "within"), where)
    steps = tree.get("steps")
    if not isinstance(steps, list) or not 1 < len(steps) <= MOST_STEPS:
        raise BadCondition(
            f"{where}.steps: expected a list of 2 to {MOST_STEPS} steps, such as {{event: Order Completed}}"
        )
    read = tuple(_step(step, f"{where}.steps[{place}]", first=place == 0) for place, step in enumerate(steps))
    return Steps(read, _within(tree, where))


def _step(tree: Any, where: str, *, first: bool) -> Step:
    if not isinstance(tree, dict):
        raise BadCondition(f"{where}: expected a step such as {{event: Order Completed, within: 1 hour}}")
    _only(tree, (*_EVENTS, "times", "within", "not"), where)
    absent, within = tree.get("not", False), _within(tree, where)
    times = _count(tree.get("times", 1), f"{where}.times", least=1)
    if not isinstance(absent, bool):
        raise BadCondition(f"{where}.not: write true or false")
    if absent and first:
        raise BadCondition(f"{where}.not: a sequence begins with something that happened; put that first")
    if absent and within is None:
        raise BadCondition(f"{where}.within: say after what time without it the step holds, such as `within: 1 hour`")
    if absent and times > 1:
        raise BadCondition(f"{where}.times: what did not happen did not happen once; remove it")
    return Step(_events(tree, where), times, within, absent)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT


def _shown(value: Any) -> str:
    """A value in a message: the beginning of it, on one line."""
    if isinstance(value, (dict, list)) or len(text := repr(value)) > _SHOWN:
        return f"this {type(value).__name__}"
    return text


def _is_json(value: Any, depth: int = 0) -> bool:
    """Whether JSON can say it: YAML knows dates, sets and values that hold themselves."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and _is_json(list(value.values()), depth)
    if isinstance(value, list):
        return depth < _DEEPEST and all(_is_json(item, depth + 1) for item in value)
    return value is None or isinstance(value, (str, int, float, Decimal))


def _only(tree: Mapping[Any, Any], known: Collection[str], where: str) -> None:
    for key in tree:
        if key not in known:
            hint = did_you_mean(key, known)
            raise BadCondition(
                f"{where}.{str(key)[:_SHOWN]}: unknown here{hint}; {', '.join(sorted(known))} may stand here"
            )


def comparable(value: Any, depth: int = 0) -> Any:
    """
    Numbers as decimals, so that 1000, 1000.0 and "1000.00" from a sum compare as one number.

    What is nested deeper than a condition can say is left as it is. So is a number beyond reach in a list or an object,
    which would be null otherwise.
    """
    if type(value) is float:
        value = Decimal(str(value))
    if type(value) is int or type(value) is Decimal:
        number = json_values.number(value)
        return value if number is None and depth else number
    if not isinstance(value, (list, dict)) or depth > _DEEPEST:
        return value
    if isinstance(value, list):
        return [comparable(item, depth + 1) for item in value]
    return {name: comparable(item, depth + 1) for name, item in value.items()}
