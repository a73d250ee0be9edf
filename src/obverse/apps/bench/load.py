"""The load of the benchmarks: how much of it, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final

from obverse.apps.bench.patterns import PATTERNS, Users, active, session_seconds

_UNPACED: Final = 50_000
"""Events a second that sessions are laid out for if the load comes as fast as it is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent."""

    rate: int = 20_000
    """Events a second; 0: as many as are taken."""
    batch: int = 20
    """Events a request."""
    seconds: int = 20
    people: int = 50_000
    """Who are known before the clock starts: what tells of them is sent beforehand."""
    users: Users = "uniform"
    """Which of them act: see `patterns`."""
    connections: int = 64
    log: str = "postgres"
    """The log's adapter."""
    engine: str = "embedded"
    """The engine's."""
    heavy: bool = False
    """Whether ten traits, four of them over windows, and twenty audiences are computed in place of the usual ones."""
    marked: bool = False
    """Whether marked events have their people enter an audience, for which a message is written."""
    closing: int = 0
    """People who leave an audience by time alone while it is sent."""
    reads: int = 0
    """Profiles that are read a second beside, one a request."""
    roll: bool = False
    """Whether a segment of the log and a partition of `event_stream` roll over in the middle."""

    @property
    def active(self) -> int:
        """How many of the known may act at one moment."""
        return active(self.rate or _UNPACED, self.people) if self.users == "sessions" else self.people

    def who(self, dice: Random) -> Iterator[int]:
        """Who sends each event."""
        return PATTERNS[self.users](self.rate or _UNPACED, self.people, dice)

    def told(self) -> dict[str, Any]:
        """The settings that figures are told with."""
        told = {**asdict(self), "active": self.active}
        if self.users == "sessions":
            told["session_s"] = round(session_seconds(self.rate or _UNPACED, self.people), 1)
        return told
