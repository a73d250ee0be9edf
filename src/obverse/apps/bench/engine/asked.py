"""What is asked of `obverse bench engine`, and what of it cannot be had."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Final

from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.patterns import Users

EMBEDDED: Final = "embedded"
STEADY: Final = (0.25, 0.95)
"""
Where in the backlog the steady part begins and ends. Before it Java compiles; and it ends amid a micro-batch of Spark
as it begins amid one, so that what each costs at its beginning and its end is in it as often.
"""
BATCH: Final = 500
"""Events that are made together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is folded, by whom, and on how many cores."""

    engine: str
    events: int = 400_000
    """Of the backlog, apart from those that make people known."""
    people: int = 20_000
    users: Users = "sessions"
    cores: int = 1
    rate: int = 4_000
    """Events a second of the paced phase."""
    seconds: int = 20
    """Of the paced phase."""
    new: float = 1.0
    """Percent of the events that come from a device that nobody has seen; each signs in soon after."""
    profile: bool = False
    """Whether to tell where the time goes."""

    def __post_init__(self) -> None:
        if self.engine == EMBEDDED and self.cores > 1:
            raise BenchFailed("the embedded engine folds on one core: ask for --cores 1")
        if self.engine == EMBEDDED and self.profile:
            raise BenchFailed(
                "--profile looks into Flink and Spark; for the fold alone see `obverse bench fold --each`"
            )
        cores = len(os.sched_getaffinity(0))
        if self.cores > cores:
            raise BenchFailed(f"--cores {self.cores}, and this machine has {cores}")

    @property
    def load(self) -> Load:
        """The same as a load of the other benchmarks."""
        return Load(rate=self.rate, batch=BATCH, seconds=self.seconds, people=self.people, users=self.users)

    @property
    def backlog(self) -> int:
        """Events of the backlog, those that make people known among them."""
        return self.people + self.events

    def told(self) -> dict[str, Any]:
        """The settings that figures are told with."""
        return {**asdict(self), "active": self.load.active}
