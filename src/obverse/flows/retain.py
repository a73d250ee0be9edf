"""Retain: let go of the log's oldest events once they are older than they need to be."""

from __future__ import annotations

from typing import Final

import structlog

from obverse.ports.engine import Engine
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

LOOK: Final = 3600.0
"""Seconds between two looks."""
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR

_log = structlog.get_logger(__name__)


class Retain:
    """
    Trims the stream of events to so many days, and never to what the engine may not have kept yet.

    Decisions stay: without them the events that are left would be folded into other people.
    """

    def __init__(self, log: EventLog, engine: Engine, runtime: Runtime, *, days: int) -> None:
        self._log = log
        self._engine = engine
        self._runtime = runtime
        self._days = days

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                await self.trim()
            except (Unreachable, AccessRefused) as error:
                _log.warning("the log was not trimmed", reason=str(error))
            await self._runtime.sleep(LOOK)

    async def trim(self) -> None:
        """
        Let go of what is old enough, now.

        Raises:
            Unreachable, AccessRefused: the log cannot be trimmed.
        """
        kept_at = self._engine.progress.checkpointed_at
        if kept_at:
            # An engine that stands still keeps the log from being trimmed under its feet.
            await self._log.trim(Stream.EVENTS, min(self._runtime.now() - self._days * _DAY, kept_at - _HOUR))
