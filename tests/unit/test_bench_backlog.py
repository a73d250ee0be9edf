"""How the course of a fold that catches up is read."""

from __future__ import annotations

import pytest

from obverse.apps.bench.backlog import _Course


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
