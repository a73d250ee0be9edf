"""Where the log is, in memory: for tests and for trying things out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from obverse.ports.log_places import HOLD_SECONDS, RENEW_SECONDS, LogMover, LogPlace, LogPlaces, TooLate
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLogPlacesSettings:
    """The `[log_places.memory]` table of the settings file."""

    workspace: str = "main"


async def open_log_places(settings: MemoryLogPlacesSettings, runtime: Runtime) -> LogPlaces:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.log_places:memory`. Each call opens places of its own."""
    return MemoryLogPlaces(runtime)


class MemoryLogPlaces:
    """See `LogPlaces`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.turn = asyncio.Lock()
        self.adapter: str | None = None
        self.moving_to: str | None = None
        self.held_at: float | None = None

    @property
    def age(self) -> float:
        """Seconds since the hold was asked for last."""
        return float("inf") if self.held_at is None else self._runtime.elapsed() - self.held_at

    async def settle(self, adapter: str) -> LogPlace:
        """See `LogPlaces.settle`."""
        self.adapter = self.adapter or adapter
        return LogPlace(adapter=self.adapter, moving_to=self.moving_to, held=self.age < HOLD_SECONDS)

    async def open_mover(self) -> LogMover:
        """See `LogPlaces.open_mover`."""
        await self.turn.acquire()
        return MemoryLogMover(self, self._runtime)

    async def close(self) -> None:
        """See `LogPlaces.close`."""


class MemoryLogMover:
    """See `LogMover`."""

    def __init__(self, places: MemoryLogPlaces, runtime: Runtime) -> None:
        self._places = places
        self._runtime = runtime
        self._open = True

    async def begin(self, to: str) -> None:
        """See `LogMover.begin`."""
        self._places.moving_to, self._places.held_at = to, None

    async def hold(self) -> None:
        """See `LogMover.hold`."""
        self._places.held_at = self._runtime.elapsed()

    async def renew(self) -> None:
        """See `LogMover.renew`."""
        self._in_time()
        self._places.held_at = self._runtime.elapsed()

    async def finish(self) -> None:
        """See `LogMover.finish`."""
        self._in_time()
        places = self._places
        places.adapter, places.moving_to, places.held_at = places.moving_to, None, None

    async def give_up(self, *, forget: bool) -> None:
        """See `LogMover.give_up`."""
        self._places.held_at = None
        if forget:
            self._places.moving_to = None

    async def close(self) -> None:
        """See `LogMover.close`."""
        if self._open:
            self._open = False
            self._places.turn.release()

    def _in_time(self) -> None:
        if self._places.age > RENEW_SECONDS:
            raise TooLate("the hold on the log was not renewed in time")
