"""When somebody sets the clock: how far away something is must not change with it."""

from __future__ import annotations

from typing import Final

LEAST: Final = 2_000_000
"""Microseconds: what is less is no step, but the drift that every clock has."""


class ClockSteps:
    """Notices that the clock was set, by one that never is."""

    def __init__(self, now: int, elapsed: float) -> None:
        """`now`: microseconds since 1970; `elapsed`: seconds, by the clock that nobody sets."""
        self._ahead = now - round(elapsed * 1_000_000)

    def step(self, now: int, elapsed: float) -> int:
        """
        Microseconds by which the clock was set since this was asked last; 0 if it was not.

        >>> steps = ClockSteps(1_000_000, 1.0)
        >>> steps.step(61_000_000, 61.0), steps.step(3_661_000_000, 61.0), steps.step(3_662_000_000, 62.0)
        (0, 3600000000, 0)
        """
        ahead = now - round(elapsed * 1_000_000)
        step = ahead - self._ahead
        self._ahead = ahead
        return step if abs(step) >= LEAST else 0
