"""What `obverse bench clock` plans, and what it says of those whose window closed."""

from __future__ import annotations

import json

import pytest

from obverse.apps.bench.clock import EVENTS, WINDOW, Moves, bodies_of, plan_of
from obverse.core import times
from obverse.core.changes import ENTERED, LEFT, Change
from obverse.core.spans import HOUR, MINUTE, SECOND

NOW = 1_770_000_000 * SECOND


@pytest.mark.parametrize("second", range(0, 60, 7))
def test_windows_close_while_the_load_is_sent_and_not_before_everybody_is_in(second: int) -> None:
    now = NOW + second * SECOND
    plan = plan_of(100, now=now, seconds=20, minute=True)
    assert len(plan.closes[WINDOW]) == len(plan.closes[EVENTS]) == 50
    for at in (*plan.closes[WINDOW], *plan.closes[EVENTS]):
        assert now + 5 * SECOND <= plan.begin <= at < plan.begin + 20 * SECOND
    assert {at % MINUTE for at in plan.closes[WINDOW]} == {0}
    assert len(set(plan.closes[EVENTS])) == 50
    assert plan_of(10, now=now, seconds=4, minute=False).begin == now + 5 * SECOND


def test_each_event_is_as_old_as_its_window_is_long() -> None:
    plan = plan_of(500, now=NOW, seconds=20, minute=True)
    told = [event for body in bodies_of(plan) for event in json.loads(body)["batch"]]
    assert len({event["userId"] for event in told}) == 500
    for name, at in ((name, at) for name, instants in plan.closes.items() for at in instants[:1]):
        (first,) = [event for event in told if event["userId"] == f"{name}-0"]
        happened = times.parse(first["timestamp"])
        assert happened is not None
        # Of a window what happened leaves with the end of its minute.
        assert at == (happened + HOUR if name == EVENTS else happened // MINUTE * MINUTE + MINUTE + HOUR)


def test_who_left_is_told_once_by_how_late_it_was_and_else_as_a_flaw() -> None:
    plan, moves = plan_of(3, now=NOW, seconds=20, minute=False), Moves()
    instant = f"clock:{times.to_text(NOW)}"
    for one in (b"a", b"b", b"c"):
        moves.note(Change(one, ENTERED, EVENTS, "browsed", 1), NOW)
    moves.note(Change(b"a", LEFT, EVENTS, instant, 1), NOW + 3 * SECOND)
    moves.note(Change(b"b", LEFT, EVENTS, instant, 1), NOW + SECOND // 2)
    moves.note(Change(b"b", LEFT, "another", instant, 1), NOW)
    assert moves.flaws(plan) == ["1 people did not leave it within a minute"]
    assert moves.figures()["later_than_promised"] == 1
    assert moves.figures()[EVENTS]["worst_ms"] == 3000.0
    moves.note(Change(b"b", LEFT, EVENTS, instant, 1), NOW)
    moves.note(Change(b"c", LEFT, EVENTS, instant, 1), NOW - SECOND)
    assert moves.flaws(plan) == ["1 left for another reason than time, or twice", "1 left before their time"]
