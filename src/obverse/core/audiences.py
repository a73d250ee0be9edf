"""Audiences: named conditions; people enter and leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from obverse.core.conditions import AUDIENCE, Condition, Every, Member, Not, Some


@dataclass(frozen=True, slots=True)
class Audience:
    """A named condition; people enter and leave it."""

    name: str
    where: Condition
    description: str = ""


def expanded(condition: Condition, audiences: Mapping[str, Condition]) -> Condition:
    """The condition with those of the audiences in it that it looks at, in the place of who is in them."""
    match condition:
        case Member(subject, name) if subject == AUDIENCE:
            return expanded(audiences[name], audiences)
        case Every(parts):
            return Every(tuple(expanded(part, audiences) for part in parts))
        case Some(parts):
            return Some(tuple(expanded(part, audiences) for part in parts))
        case Not(part):
            return Not(expanded(part, audiences))
        case _:
            return condition


def conditions_of(audiences: Iterable[Audience]) -> Mapping[str, Condition]:
    """Conditions by the names of their audiences."""
    return {one.name: one.where for one in audiences}
