"""Retain: let go of what the log holds once it is older than it needs to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.engine import WRITER, Engine
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime

LOOK: Final = 3600.0
"""Seconds between two looks."""
_DAY: Final = 86_400_000_000
_HOUR: Final = 3_600_000_000


class Retain:
    """
    Trims the stream of events to so many days, and never to what the engine may not have kept yet, nor the archive.

    Decisions stay: without them the events that are left would be folded into other people.

    What was routed to an engine is trimmed to so many hours, and never to what the store does not have of it yet: a
    router that begins reads on from there. An engine goes on from its own checkpoint, which may be older than the
    store; the hours are for that.
    """

    def __init__(
        self,
        log: EventLog,
        engine: Engine,
        store: ProfileStore,
        runtime: Runtime,
        *,
        days: int | None,
        routed_hours: int,
        archived: Callable[[], Mapping[int, int]] | None = None,
    ) -> None:
        """
        `days` of events, all if None; `routed_hours` of what was routed.

        Where events are archived, `archived` tells up to which offset, by partition.
        """
        self._log = log
        self._engine = engine
        self._store = store
        self._runtime = runtime
        self._days = days
        self._routed_hours = routed_hours
        self._archived = archived
        self.vitals = Vitals()

    async def run(self) -> None:
        """Go on until cancelled."""
        await keep_on(self._run, self.vitals, self._runtime, doing="trimming the log", pause=lambda: LOOK)

    async def _run(self) -> None:
        while True:
            began = self._runtime.elapsed()
            await self.trim_routed()
            await self.trim()
            self.vitals.turns.note(self._runtime.elapsed() - began)
            self.vitals.failure = None
            await self._runtime.sleep(LOOK)

    async def trim(self) -> None:
        """
        Let go of the events that are old enough, now.

        Raises:
            Unreachable, AccessRefused: the log cannot be trimmed.
            LogGap, UnknownMark: what the engine has to fold next is not there.
        """
        if self._days is None:
            return
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
                before = min(before, await self._appended_at(Stream.EVENTS, partition, mark))
        await self._log.trim(Stream.EVENTS, before)

    async def trim_routed(self) -> None:
        """
        Let go of what was routed and is old enough, now.

        Raises:
            Unreachable, AccessRefused: the log cannot be trimmed, or the store not be read.
            LogGap, UnknownMark: what the router would read next is not there.
        """
        first, end = (await self._log.bounds(Stream.ROUTED))[0]
        marks = (await self._store.overview()).marks.get(WRITER, {})
        # The last of it stays: an engine without a checkpoint sees by the first record whether something is missing.
        kept = marks.get(Stream.ROUTED, {}).get(0, 0)
        mark = min(kept, end - 1)
        # At a mark is a tick for every bucket, and no last record, unless another engine folds now: then what the
        # buckets' engine has not read yet stays for when it comes back.
        if mark <= first or kept == end - 1:
            return
        before = self._runtime.now() - self._routed_hours * _HOUR
        await self._log.trim(Stream.ROUTED, min(before, await self._appended_at(Stream.ROUTED, 0, mark)))

    async def _appended_at(self, stream: Stream, partition: int, offset: int) -> int:
        """When the record at this offset was appended, in microseconds since 1970."""
        reader = await self._log.open_reader(stream, {partition: offset})
        try:
            return (await reader.next())[0].appended_at
        finally:
            await reader.close()
