"""How the course of a fold that catches up is read."""

from __future__ import annotations

import pytest

from obverse.apps.bench.backlog import _Course, _flaws
from obverse.apps.bench.phases import Phase


@pytest.mark.parametrize(
    ("looks", "gone", "per_second"),
    [
        ([(0.0, 100), (1.0, 1100), (2.0, 2100), (3.0, 3100)], 2.0, 1000),
        ([(0.0, 100), (1.0, 200), (2.0, 300), (3.0, 400)], None, 100),
    ],
)
def test_the_backlog_is_gone_once_no_more_waits_than_has_just_come(
    looks: list[tuple[float, int]], gone: float | None, per_second: int
) -> None:
    course = _Course(looks)
    assert course.gone_after(waiting=1500, rate=500) == gone
    assert course.folded_per_second(3.0) == per_second


def answered(rate: int, *seconds: float, refused: int = 0) -> Phase:
    phase = Phase(rate, 60)
    phase.accepted.extend(seconds)
    phase.statuses.update({200: len(seconds), 429: refused})
    return phase


def test_a_backlog_that_stays_and_answers_that_are_late_are_flaws() -> None:
    assert _flaws(answered(25_000, *[0.149] * 100), 12.0) == []
    assert _flaws(answered(25_000, *[0.01] * 98, 0.151, 0.151), 12.0) == [
        "answers to 25000 events a second took 151 ms at the 99th percentile, 150 are promised"
    ]
    assert _flaws(answered(25_000, 0.01, refused=1), None) == [
        "1 batches were not answered 200",
        "the backlog was not gone after 60 s",
    ]
