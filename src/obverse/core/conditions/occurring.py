"""Whether something happened as a condition says, and when that changes without another event."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from obverse.core.conditions.parsing import MOST_TIMES
from obverse.core.conditions.tree import Did, Events, Step, Steps

Moments = Sequence[int]
"""Of events, in their order, in microseconds since 1970."""
MomentsOf = Callable[[Events], Moments]
"""A person's moments of such events."""


@dataclass(frozen=True, slots=True)
class Need:
    """What must be remembered of a person's events, so that a condition can be judged."""

    events: Events
    keep: int
    """How many of the latest moments."""
    horizon: int | None
    """How far back from the latest one, in microseconds; None: however far."""


def needs_of(node: Did | Steps) -> Mapping[Events, Need]:
    """What a condition on events needs, by the events that it is about."""
    if isinstance(node, Did):
        return {node.events: Need(node.events, max(1, node.times.enough), node.within)}
    # What is older than all that the steps may take, and than the sequence may hold, can make no difference.
    spans = [node.within, *(step.within for step in node.steps)]
    horizon = None if None in spans else sum(span for span in spans if span is not None)
    return {step.events: Need(step.events, MOST_TIMES, horizon) for step in node.steps}


def did(condition: Did, moments: Moments, now: int) -> tuple[bool, int | None]:
    """Whether it holds now, and the next instant at which that may change though nothing happens."""
    times, within = condition.times, condition.within
    if within is None:
        count, due = len(moments), None
    else:
        first = bisect_right(moments, now - within)
        count, due = len(moments) - first, moments[first] + within if first < len(moments) else None
    return count >= times.least and (times.most is None or count <= times.most), due


def counted(condition: Did, moments: Moments, now: int) -> Moments:
    """Those moments that count now."""
    return moments if condition.within is None else moments[bisect_right(moments, now - condition.within) :]


def completed(condition: Steps, moments_of: MomentsOf, now: int) -> tuple[Moments, int | None]:
    """When all steps were gone through, in order; and the next instant at which an absence ends a step."""
    ends: Moments = _first(condition.steps[0], moments_of(condition.steps[0].events))
    due: int | None = None
    for step in condition.steps[1:]:
        ends, pending = _then(step, ends, moments_of(step.events), now)
        if pending is not None and (due is None or pending < due):
            due = pending
    return ends, due


def went_through(condition: Steps, moments_of: MomentsOf, now: int) -> tuple[bool, int | None]:
    """As `did`, of a sequence."""
    ends, due = completed(condition, moments_of, now)
    if not ends:
        return False, due
    if condition.within is None:
        return True, None  # for good; what comes late is an event
    leaves = ends[-1] + condition.within
    return (True, leaves) if leaves > now else (False, due)


def _first(step: Step, moments: Moments) -> Moments:
    """The moments at which the first step was done."""
    last = step.times - 1
    return [at for place, at in enumerate(moments[last:]) if step.within is None or at - moments[place] < step.within]


def _then(step: Step, starts: Moments, moments: Moments, now: int) -> tuple[Moments, int | None]:
    """When a later step was done after one of these; and when it will be next, if nothing happens."""
    ends: list[int] = []
    due: int | None = None
    for start in starts:
        place = bisect_right(moments, start)
        if step.absent:
            end = start + (step.within or 0)
            if place < len(moments) and moments[place] < end:
                continue
            if end > now:
                due = end if due is None else min(due, end)
                continue
        else:
            place += step.times - 1
            if place >= len(moments):
                continue
            end = moments[place]
            if step.within is not None and end - start >= step.within:
                continue
        if not ends or end > ends[-1]:
            ends.append(end)
    return ends, due
