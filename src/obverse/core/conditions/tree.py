"""What a condition is made of: a tree of these nodes. It is data, never code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from obverse.core import json_values, spans

TRAIT: Final = "trait"
ATTRIBUTE: Final = "attribute"
IDENTIFIER: Final = "identifier"
CONSENT: Final = "consent"
GROUP: Final = "group"
AUDIENCE: Final = "audience"
PROPERTY: Final = "property"
OCCURRENCES: Final = "occurrences"
"""What conditions look at."""


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
    """Compares one value with another."""

    op: str
    subject: str
    """`trait`, `attribute`, `identifier` (a person may have many of a kind), `consent`; of an event `property`."""
    name: str
    value: Any
    """JSON, numbers as decimals; of `within_last` and `longer_ago` a span in microseconds."""

    def __eq__(self, other: object) -> bool:
        """By the value's type too: whoever is counted for `true` is not who is counted for 1."""
        if not isinstance(other, Test):
            return NotImplemented
        said = (self.op, self.subject, self.name)
        return said == (other.op, other.subject, other.name) and json_values.same(self.value, other.value)

    def __hash__(self) -> int:
        """Without the value, which may be a list."""
        return hash((self.op, self.subject, self.name))


@dataclass(frozen=True, slots=True)
class Member:
    """Holds for whoever is in a group, or in another audience."""

    subject: str
    """`group` or `audience`."""
    name: str


@dataclass(frozen=True, slots=True)
class Times:
    """How often something must have happened."""

    least: int
    most: int | None = None

    @property
    def enough(self) -> int:
        """How many of the latest occurrences tell whether it holds."""
        return self.least if self.most is None else self.most + 1


ONCE: Final = Times(1)


@dataclass(frozen=True, slots=True)
class Events:
    """Which events are meant."""

    type: str
    event: str | None
    """A track's event name, a page's or screen's name; None: any."""
    where: Condition | None = None
    """Over the event's properties."""


@dataclass(frozen=True, slots=True)
class Did:
    """Holds for whoever did something so many times, at any time or lately."""

    events: Events
    times: Times = ONCE
    within: int | None = None
    """Microseconds: an event counts while it is less than that old."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence."""

    events: Events
    times: int = 1
    within: int | None = None
    """
    Microseconds from the end of the step before; of the first step from the first to the last of its events. Of an
    absence it is known after that time.
    """
    absent: bool = False
    """Holds if nothing of the kind happened."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Holds for whoever went through these steps, one after the other."""

    steps: tuple[Step, ...]
    within: int | None = None
    """Microseconds: holds for so long after the last step; None: for good."""


Condition = Every | Some | Not | Test | Member | Did | Steps


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that it is joined of."""
    match condition:
        case Every(parts) | Some(parts):
            return parts
        case Not(part):
            return (part,)
        case _:
            return ()


def nodes(condition: Condition) -> Iterator[Condition]:
    """Every node of the tree, each before its parts."""
    yield condition
    for part in parts_of(condition):
        yield from nodes(part)


def as_tree(condition: Condition) -> dict[str, Any]:
    """What `parse` reads as this condition."""
    match condition:
        case Every(parts):
            return {"op": "and", "of": [as_tree(part) for part in parts]}
        case Some(parts):
            return {"op": "or", "of": [as_tree(part) for part in parts]}
        case Not(part):
            return {"op": "not", "of": as_tree(part)}
        case Test("exists" as op, subject, name):
            return {"op": op, subject: name}
        case Test(("within_last" | "longer_ago") as op, subject, name, value):
            return {"op": op, subject: name, "value": spans.to_text(value)}
        case Test(op, subject, name, value):
            return {"op": op, subject: name, "value": value}
        case Member(subject, name):
            return {"op": "member", subject: name}
        case Did(events, times, within):
            return {"op": "did", **_events(events), **_times(times), **_within(within)}
        case Steps(steps, within):
            return {"op": "sequence", "steps": [_step(step) for step in steps], **_within(within)}


def _events(events: Events) -> dict[str, Any]:
    said: dict[str, Any] = {} if events.type == "track" else {"type": events.type}
    if events.event is not None:
        said["event"] = events.event
    return said if events.where is None else {**said, "where": as_tree(events.where)}


def _times(times: Times) -> dict[str, Any]:
    if times == ONCE:
        return {}
    if times.most is None:
        return {"times": {"at_least": times.least}}
    if times.least == times.most:
        return {"times": {"exactly": times.least}}
    return {"times": ({"at_least": times.least} if times.least else {}) | {"at_most": times.most}}


def _within(within: int | None) -> dict[str, Any]:
    return {} if within is None else {"within": spans.to_text(within)}


def _step(step: Step) -> dict[str, Any]:
    said = _events(step.events) | ({"times": step.times} if step.times > 1 else {}) | _within(step.within)
    return {**said, "not": True} if step.absent else said
