"""Audiences that look at time: people enter and leave them at the very instant, whoever looks when."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import DICE
from obverse.core import profiles, times
from obverse.core.changes import ENTERED, LEFT
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.profiles import NEVER
from obverse.core.traits.moments import Last
from people_steps import NOW, SECOND, audience, event, members, only, trait
from window_steps import settle

VIEWED_TWICE: dict[str, Any] = {"event": "Viewed", "times": 2, "within": "60 seconds"}
NOT_BOUGHT: dict[str, Any] = {"event": "Bought", "not": True, "within": "20 seconds"}
CONDITIONS: dict[str, dict[str, Any]] = {
    "lately": {"op": "did", "event": "Viewed", "times": 2, "within": "30 seconds"},
    "quiet": {"op": "did", "event": "Viewed", "times": {"exactly": 0}, "within": "40 seconds"},
    "gone": {"op": "longer_ago", "trait": "last_at", "value": "50 seconds"},
    "here": {"op": "within_last", "trait": "last_at", "value": "50 seconds"},
    "abandoned": {"op": "sequence", "steps": [VIEWED_TWICE, NOT_BOUGHT], "within": "45 seconds"},
    "ever": {"op": "sequence", "steps": [VIEWED_TWICE, NOT_BOUGHT]},
    "either": {"op": "or", "of": [{"op": "member", "audience": "gone"}, {"op": "member", "audience": "lately"}]},
}
TIMED = define(
    traits=[trait("last_at", Last(), field="timestamp")],
    audiences=[audience(name, **where) for name, where in CONDITIONS.items()],
    identity=IdentityRules(limits={}),
)
END = 300
"""Seconds by which nothing is due any more."""


def done(number: int, name: str, at: int, received: int | None = None, person: str = "1") -> Event:
    arrived = at if received is None else received
    return event(f"m{number}", at=at, received=arrived, type_="track", name=name, user_id=person)


def moves(people: People, until: int) -> list[tuple[str, str, int]]:
    """Who entered and left what by then: the sign, the audience, the second."""
    signs = {ENTERED: "+", LEFT: "-"}
    return [
        (signs[change.kind], change.name, (int(times.parse(change.event.removeprefix("clock:")) or 0) - NOW) // SECOND)
        for change in settle(people, NOW + until * SECOND)
        if change.kind in signs
    ]


def test_each_audience_is_entered_and_left_at_its_instant() -> None:
    people = People("main", TIMED)
    for place, one in enumerate((done(0, "Viewed", 0), done(1, "Viewed", 5))):
        people.fold(one, (0, place))
    assert members(only(people)) == {"lately", "either"}
    assert moves(people, END) == [
        ("+", "abandoned", 25),
        ("+", "ever", 25),
        ("-", "lately", 30),
        ("-", "either", 30),
        ("+", "quiet", 45),
        ("-", "abandoned", 70),
    ]
    assert only(people).due == NEVER


def test_somebody_who_buys_in_time_has_abandoned_nothing() -> None:
    people = People("main", TIMED)
    for place, one in enumerate((done(0, "Viewed", 0), done(1, "Viewed", 5), done(2, "Bought", 24))):
        people.fold(one, (0, place))
    assert {"abandoned", "ever"}.isdisjoint(name for _, name, _ in moves(people, END))


def test_what_comes_late_takes_them_out_again() -> None:
    people = People("main", TIMED)
    for place, one in enumerate((done(0, "Viewed", 0), done(1, "Viewed", 5))):
        people.fold(one, (0, place))
    moves(people, 28)
    assert "abandoned" in members(only(people))
    changes = people.fold(done(2, "Bought", 24, 29), (0, 2)).changes
    assert {(one.kind, one.name) for one in changes} >= {(LEFT, "abandoned"), (LEFT, "ever")}


@pytest.mark.parametrize(("seconds", "expected"), [(49, {"here"}), (50, {"gone", "either"})])
def test_how_long_ago_something_was_is_judged_by_the_clock(seconds: int, expected: set[str]) -> None:
    people = People("main", TIMED)
    people.fold(event("m0", type_="track", name="Bought", user_id="1"), (0, 0))
    moves(people, seconds)
    assert members(only(people)) & {"here", "gone", "either"} == expected


LOGS = st.lists(
    st.tuples(st.sampled_from(["Viewed", "Bought"]), st.integers(0, 100), st.integers(0, 40), st.sampled_from("12")),
    max_size=8,
)


def arranged(drawn: list[tuple[str, int, int, str]]) -> list[Event]:
    """The events in the order of their arrival."""
    log = [done(number, name, at, at + late, one) for number, (name, at, late, one) in enumerate(drawn)]
    return sorted(log, key=lambda one: one.received_at)


def run(log: list[Event], until: int, looks: Random | None = None) -> People:
    people = People("main", TIMED)
    for place, one in enumerate(log):
        if looks is not None and looks.random() < 0.5:
            settle(people, one.received_at - looks.randrange(20) * SECOND)
        folded = people.fold(one, (0, place))
        if looks is not None and folded.profile is not None and looks.random() < 0.3:
            people.adopt(profiles.unpack(profiles.pack(folded.profile, TIMED), TIMED))
    settle(people, NOW + until * SECOND)
    return people


@LAWS
@given(LOGS, st.integers(140, END))
def test_membership_is_what_the_condition_says_at_any_instant(
    drawn: list[tuple[str, int, int, str]], until: int
) -> None:
    people = run(arranged(drawn), until)
    for one in people.profiles.values():
        holds = {name for name, check in TIMED.holds.items() if check(one, NOW + until * SECOND)}
        assert members(one) == holds


@LAWS
@given(LOGS, DICE)
def test_it_does_not_matter_who_looks_when(drawn: list[tuple[str, int, int, str]], dice: Random) -> None:
    log = arranged(drawn)
    once, often = run(log, END), run(log, END, dice)
    assert [one.audiences for one in once.profiles.values()] == [one.audiences for one in often.profiles.values()]
