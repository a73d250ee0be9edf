"""A condition as a SQL condition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from obverse.core import json_values, spans
from obverse.core.conditions.tree import (
    CONSENT,
    ONCE,
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

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WORDS: Final = frozenset({"not", "select"})
"""Of SQL, which are no names behind a dot; all others are."""
_COMPARED: Final = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def as_sql(condition: Condition) -> str:
    """Write what `parse_sql` reads as this condition."""
    return _joined(condition) if isinstance(condition, (Every, Some)) else _operand(condition)


def _joined(condition: Every | Some) -> str:
    word = " AND " if isinstance(condition, Every) else " OR "
    # One alone is joined to nothing: told apart from its part by a double negative that changes nothing.
    return word.join(_operand(part) for part in condition.parts)


def _operand(condition: Condition) -> str:
    """Write it as a part of something else."""
    match condition:
        case Every() | Some():
            return f"({_joined(condition)})"
        case Not(part):
            return f"NOT {_operand(part)}"
        case Test():
            return _test(condition)
        case Member(subject, name):
            return f"{subject}.{_name(name)}"
        case Did(events, times, within):
            return f"did({', '.join([*_events(events), *_times(times), *_within(within)])})"
        case Steps(steps, within):
            return f"sequence({', '.join([*map(_step, steps), *_within(within)])})"


def _test(test: Test) -> str:
    column, value = f"{test.subject}.{_name(test.name)}", test.value
    match test.op:
        case "exists":
            return f"{column} IS NOT NULL"
        case "within_last":
            return f"{column} > now() - INTERVAL {_text(spans.to_text(value))}"
        case "longer_ago":
            return f"{column} <= now() - INTERVAL {_text(spans.to_text(value))}"
        case "in":
            return f"{column} IN ({', '.join(map(_value, value)) or 'NULL'})"
        case "contains" | "starts_with" | "ends_with":
            return f"{test.op}({column}, {_value(value)})"
        case "eq" if test.subject == CONSENT and value is True:
            return column
        case op:
            return f"{column} {_COMPARED[op]} {_value(value)}"


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _value(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case Decimal() | int():
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        case str():
            return _text(value)
        case _:
            return f"as_json({_text(json_values.encode(value).decode())})"


def _events(events: Events) -> Iterator[str]:
    if events.event is not None:
        yield _text(events.event)
    if events.type != "track":
        yield f"type => {_text(events.type)}"
    if events.where is not None:
        yield f"where => ({as_sql(events.where)})"


def _times(times: Times) -> Iterator[str]:
    if times == ONCE:
        return
    if times.least == times.most:
        yield f"exactly => {times.least}"
        return
    if times.least or times.most is None:
        yield f"at_least => {times.least}"
    if times.most is not None:
        yield f"at_most => {times.most}"


def _within(within: int | None) -> Iterator[str]:
    if within is not None:
        yield f"within => {_text(spans.to_text(within))}"


def _step(step: Step) -> str:
    said = list(_events(step.events))
    if step.times > 1:
        said.append(f"times => {step.times}")
    return f"{'absence' if step.absent else 'step'}({', '.join([*said, *_within(step.within)])})"
