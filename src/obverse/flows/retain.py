"""Retain: let go of the log's oldest events once they are older than they need to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.engine import Engine
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.runtime import Runtime

LOOK: Final = 3600.0
"""Seconds between two looks."""
_DAY: Final = 86_400_000_000


class Retain:
    """
    Trims the stream of events to so many days, and never to what the engine may not have kept yet, nor the archive.

    Decisions stay: without them the events that are left would be folded into other people.
    """

    def __init__(
        self,
        log: EventLog,
        engine: Engine,
        runtime: Runtime,
        *,
        days: int,
        archived: Callable[[], Mapping[int, int]] | None = None,
    ) -> None:
        """Where events are archived, `archived` tells up to which offset, by partition."""
        self._log = log
        self._engine = engine
        self._runtime = runtime
        self._days = days
        self._archived = archived
        self.vitals = Vitals()

    async def run(self) -> None:
        """Go on until cancelled."""
        await keep_on(self._run, self.vitals, self._runtime, doing="trimming the log", pause=lambda: LOOK)

    async def _run(self) -> None:
        while True:
            began = self._runtime.elapsed()
            await self.trim()
            self.vitals.turns.note(self._runtime.elapsed() - began)
            self.vitals.failure = None
            await self._runtime.sleep(LOOK)

    async def trim(self) -> None:
        """
        Let go of what is old enough, now.

        Raises:
            Unreachable, AccessRefused: the log cannot be trimmed.
            LogGap, UnknownMark: what the engine has to fold next is not there.
        """
        kept = self._engine.progress.kept
        archived = None if self._archived is None else self._archived()
        before = self._runtime.now() - self._days * _DAY
        for partition, (first, end) in (await self._log.bounds(Stream.EVENTS)).items():
            mark = kept.get(partition, 0)
            if archived is not None:
                # Before it has looked for the first time it says nothing.
                mark = min(mark, archived.get(partition, first))
            if mark < end:
                # An engine that lags keeps the log from being trimmed under its feet; so does the archive.
                before = min(before, await self._appended_at(partition, mark))
        await self._log.trim(Stream.EVENTS, before)

    async def _appended_at(self, partition: int, offset: int) -> int:
        """When the record at this offset was appended, in microseconds since 1970."""
        reader = await self._log.open_reader(Stream.EVENTS, {partition: offset})
        try:
            return (await reader.next())[0].appended_at
        finally:
            await reader.close()
