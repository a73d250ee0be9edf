"""Why a condition holds for somebody, or does not: each node of its tree with what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from obverse.core.conditions import occurring
from obverse.core.conditions.evaluation import Person, Readers, changing, compiled, moments_reader
from obverse.core.conditions.tree import AUDIENCE, Condition, Did, Member, Steps, Test, parts_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node of a condition, as it stands for one person."""

    condition: Condition
    holds: bool
    value: Any = None
    """
    What was found: of a test the value, None while there is none; of events the moments that count, in microseconds
    since 1970; of a sequence the moments at which all of its steps were done; of a group or an audience what `standing`
    says.
    """
    changes_at: int | None = None
    """When it may change by time alone, in microseconds since 1970."""
    parts: tuple[Explanation, ...] = field(default=())
    """Of what it is joined of; of an audience, that audience's condition."""


def _unknown(_person: Any, _member: Member) -> None:
    """Nothing is known of it but whether it holds."""


def explain(
    condition: Condition,
    readers: Readers[Person],
    person: Person,
    now: int,
    audiences: Mapping[str, Condition] | None = None,
    *,
    standing: Callable[[Person, Member], Any] = _unknown,
) -> Explanation:
    """
    Every node of the condition, as it stands for a person at an instant; the arguments are those of `compiled`.

    `standing` says how a person stands to groups, and to an audience.
    """
    known = audiences or {}
    holds = compiled(condition, readers, known)(person, now)
    due = changing(condition, readers, known)
    below = parts_of(condition)
    if isinstance(condition, Member) and condition.subject == AUDIENCE:
        below = (known[condition.name],)
    return Explanation(
        condition,
        holds,
        standing(person, condition) if isinstance(condition, Member) else _found(condition, readers, person, now),
        None if due is None else due(person, now),
        tuple(explain(part, readers, person, now, known, standing=standing) for part in below),
    )


def _found(condition: Condition, readers: Readers[Person], person: Person, now: int) -> Any:
    match condition:
        case Test(subject=subject, name=name):
            return readers(subject, name)(person)
        case Did():
            return tuple(
                occurring.counted(condition, moments_reader(condition, readers)(person, condition.events), now)
            )
        case Steps():
            of = partial(moments_reader(condition, readers), person)
            return tuple(occurring.completed(condition, of, now)[0])
        case _:
            return None
