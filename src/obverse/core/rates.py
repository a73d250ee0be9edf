"""Rates: how often something may be done."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """A cap on how often: as many at once as may come in a second, and the next as time goes on."""

    rate: int
    """A second."""
    at: float
    """When it was looked at last, by a clock that never goes back, in seconds."""
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.tokens = float(self.rate)

    def take(self, now: float) -> float:
        """Take one; or the seconds until there is one."""
        self.tokens = min(float(self.rate), self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate
