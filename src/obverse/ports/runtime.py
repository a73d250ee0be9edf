"""Port: the clock, the dice and the one scheduler that flows and engines are given."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any, Protocol


class Work(Protocol):
    """Something that was started and may be stopped."""

    async def stop(self) -> None:
        """Cancel it and wait until it has ended. What it raised before is not raised again."""
        ...

    async def wait(self) -> None:
        """Wait until it ends by itself; raises what it raised."""
        ...


class Runtime(Protocol):
    """
    Time, chance and concurrency, from outside, so that a run can be repeated from its seed.

    Flows await their own work with asyncio's primitives (locks, queues, events), which a runtime
    drives; they start tasks, sleep and read the time only here.
    """

    @property
    def random(self) -> Random:
        """The dice."""
        ...

    def now(self) -> int:
        """Wall clock, in microseconds since 1970. May jump."""
        ...

    def elapsed(self) -> float:
        """Seconds since some start; never falls."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others work for that long."""
        ...

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> Work:
        """Start work beside the caller. The name appears in traces and logs."""
        ...
