"""The log that is in force, whichever adapter's it is, also while it moves from one to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from obverse.ports.event_log import Appender, EventLog, Reader, Stream
from obverse.ports.log_places import LogPlaces
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

LOOK: Final = 1.0
"""Seconds between two looks at where the log is."""

_log = structlog.get_logger(__name__)


class PlacedLog:
    """
    See `EventLog`: the log that is in force.

    Nothing is asked before it is needed. Who opened it once keeps it; when it moves, `moved` returns, and whoever
    used it ends and begins anew. While it is held for a move, nothing can be opened.
    """

    def __init__(
        self,
        places: LogPlaces,
        open_log: Callable[[str], Awaitable[EventLog]],
        adapter: str,
        partitions: int,
        runtime: Runtime,
    ) -> None:
        """`adapter` is what the settings name, and in force if none was before."""
        self._places = places
        self._open_log = open_log
        self._adapter = adapter
        self._partitions = partitions
        self._runtime = runtime
        self._turn = asyncio.Lock()
        self._log: EventLog | None = None
        self._opened = ""

    @property
    def partitions(self) -> int:
        """See `EventLog.partitions`."""
        return self._partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        appender = await (await self._in_force()).open_appender(stream, partitions, most=most)
        try:
            await self._see_that_it_stays()
        except BaseException:
            await appender.close()
            raise
        return appender

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """See `EventLog.open_reader`."""
        return await (await self._in_force()).open_reader(stream, marks)

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        return await (await self._in_force()).bounds(stream)

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """See `EventLog.begin`."""
        await (await self._in_force()).begin(stream, offsets)

    async def trim(self, stream: Stream, before: int) -> None:
        """See `EventLog.trim`."""
        await (await self._in_force()).trim(stream, before)

    async def close(self) -> None:
        """See `EventLog.close`."""
        if self._log is not None:
            await self._log.close()
        await self._places.close()

    async def moved(self) -> None:
        """Return when whoever uses the log has to let go of it."""
        while True:
            await self._runtime.sleep(LOOK)
            if self._log is None:
                continue
            try:
                place = await self._places.settle(self._adapter)
            except (Unreachable, AccessRefused):
                continue  # whoever moves it cannot go on either
            if place.held or place.adapter != self._opened:
                _log.info("the log moves", of=self._opened, to=place.moving_to or place.adapter)
                return

    async def _see_that_it_stays(self) -> None:
        """An appender may have been waited for while the log moved: what it appended would be lost."""
        place = await self._places.settle(self._adapter)
        if place.held or place.adapter != self._opened:
            raise Unreachable(f"the log moves from {self._opened}, which takes some seconds", after=LOOK)

    async def _in_force(self) -> EventLog:
        async with self._turn:
            if self._log is None:
                place = await self._places.settle(self._adapter)
                if place.held:
                    raise Unreachable(f"the log moves to {place.moving_to}, which takes some seconds", after=LOOK)
                if place.adapter != self._adapter:
                    _log.warning(
                        "the settings name another log than the one in force, which is used",
                        in_force=place.adapter,
                        settings=self._adapter,
                        what_to_do=f"set event_log.adapter to {place.adapter}, or move the log: obverse migrate log",
                    )
                self._log, self._opened = await self._open_log(place.adapter), place.adapter
            return self._log
