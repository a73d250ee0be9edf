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
        Microseconds by which the clock was set, and that nobody has `followed` yet; 0 if there are none.

        >>> steps = ClockSteps(1_000_000, 1.0)
        >>> steps.step(61_000_000, 61.0), steps.step(3_661_000_000, 61.0), steps.step(3_661_000_000, 61.0)
        (0, 3600000000, 3600000000)
        >>> steps.followed(3_600_000_000)
        >>> steps.step(3_662_000_000, 62.0)
        0
        """
        ahead = now - round(elapsed * 1_000_000)
        step = ahead - self._ahead
        if abs(step) >= LEAST:
            return step
        self._ahead = ahead
        return 0

    def followed(self, step: int) -> None:
        """Note that what waits was moved by this step."""
        self._ahead += step
