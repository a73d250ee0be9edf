"""When a router tells what time it is, and when the store is told of everything."""

from __future__ import annotations

from obverse.adapters._buckets.routing import Due, Pace, RouterSettings

SETTINGS = RouterSettings(
    tick_seconds=0.25,
    idle_seconds=0.03,
    keep_seconds=2,
    busy_seconds=10,
    busy_events=300,
    keep_events=1000,
    keep_idle_seconds=0.1,
)


def pace(events: int, *, kept_at: float = 0) -> Pace:
    """One that has kept everything then, and has routed so many events at the hundredth second."""
    made = Pace(SETTINGS)
    made.ticked(10, kept_at, keep=True)
    made.routed(events, 100)
    return made


def test_while_events_come_it_ticks_now_and_then() -> None:
    busy = pace(10, kept_at=99.9)
    assert busy.due(100.01, 20, timed=False) is None
    assert busy.due(100.2, 20, timed=False) == Due(some=True, keep=True), "nothing came for so long"
    busy.ticked(20, 100.2, keep=False)
    busy.routed(10, 100.44)
    assert busy.due(100.44, 30, timed=False) is None
    assert busy.due(100.46, 30, timed=False) == Due(some=True, keep=False)


def test_after_the_last_event_it_ticks_soon_and_keeps_a_little_later() -> None:
    some = pace(10, kept_at=99.9)
    assert some.due(100.031, 20, timed=False) == Due(some=True, keep=False)
    some.ticked(20, 100.031, keep=False)
    assert some.due(100.05, 20, timed=False) is None
    assert some.due(100.11, 20, timed=False) == Due(some=True, keep=True)


def test_few_events_are_kept_soon_and_many_seldom_and_very_many_at_once() -> None:
    assert pace(10, kept_at=97.9).due(100, 20, timed=False) == Due(some=True, keep=True)
    assert pace(300, kept_at=97.9).due(100, 20, timed=False) == Due(some=True, keep=False)
    assert pace(300, kept_at=89.9).due(100, 20, timed=False) == Due(some=True, keep=True)
    assert pace(1000, kept_at=99.99).due(100, 20, timed=False) == Due(some=True, keep=True)


def test_when_nothing_was_routed_time_alone_is_told_and_kept() -> None:
    idle = pace(0, kept_at=99.9)
    assert idle.due(200, 10, timed=False) is None
    assert idle.due(100.2, 10, timed=True) == Due(some=False, keep=False)
    assert idle.due(102, 10, timed=True) == Due(some=True, keep=True)
