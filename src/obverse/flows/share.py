"""Share: the partitions of the log that one collector appends to, of all those that there are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from zlib import crc32

import structlog

from obverse.core import codec
from obverse.core.events import Event, RejectedEvent
from obverse.flows.answers import SOON
from obverse.ports.event_log import Appender, EventLog, Overtaken, Records, Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime, Work

_REJECTED_AT_ONCE: Final = 10_000
"""Rejected events in one append: half a megabyte of empty items makes more of them than a log takes at once."""
_log = structlog.get_logger(__name__)


class Share:
    """
    What a collector appends to, while it has its turn.

    Collectors are alike, and none knows of another: each takes partitions that are nobody's, and whoever finds none
    stands by until one of the others is gone. So any of them may write any event, and nothing follows from which
    partition an event is in, but that one sender's retries come to the same one for as long as they come to the same
    collector.
    """

    def __init__(self, log: EventLog, runtime: Runtime, *, most: int | None = None) -> None:
        """`most`: partitions of events that it takes, of those that are nobody's; all of the log's, if None."""
        self._log = log
        self._runtime = runtime
        self._most = most
        self._events: Appender | None = None
        self._rejected: Appender | None = None
        self._overtaken = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether something can be appended, as far as is known."""
        return self._events is not None and self._rejected is not None and not self._overtaken.is_set()

    @property
    def partitions(self) -> Sequence[int]:
        """Those of events that it has; none, while it stands by."""
        return self._events.partitions if self._events is not None and self.is_open else ()

    async def open(self) -> None:
        """Take a share, waiting as long as it takes."""
        self._overtaken.clear()
        while self._events is None or self._rejected is None:
            try:
                self._events = self._events or await self._log.open_appender(Stream.EVENTS, most=self._most)
                # Any will do: there are as many as of events, so whoever has one of those finds one.
                self._rejected = self._rejected or await self._log.open_appender(Stream.REJECTED, most=1)
            except Unreachable as error:
                await self._runtime.sleep(min(error.after, SOON))
            except AccessRefused as error:
                _log.error("the log refuses us", reason=str(error))
                await self._runtime.sleep(SOON)
        _log.info("takes events in", partitions=list(self._events.partitions))

    async def hold(self) -> None:
        """Have a share for ever: whoever is overtaken stands by, and takes another one."""
        while True:
            await self.open()
            await self._overtaken.wait()
            _log.warning(
                "another collector has taken over", partitions=[] if not self._events else self._events.partitions
            )
            await self.close()

    async def close(self) -> None:
        """Finish what waits, and let the next collector in."""
        appenders = self._events, self._rejected
        self._events = self._rejected = None
        for appender in appenders:
            if appender is not None:
                await appender.close()

    async def append(self, events: Sequence[Event], rejected: Sequence[RejectedEvent]) -> None:
        """
        Make all of it durable.

        Raises:
            Unreachable: nothing is known of it, or there is no share.
        """
        appenders = self._events, self._rejected
        if appenders[0] is None or appenders[1] is None:
            raise Unreachable("other collectors append to the log, or it is away")
        try:
            if events:
                await self._append_events(appenders[0], events)
            for at in range(0, len(rejected), _REJECTED_AT_ONCE):
                part = rejected[at : at + _REJECTED_AT_ONCE]
                await appenders[1].append(appenders[1].partitions[0], Records(len(part), codec.encode(part)))
        except Overtaken:
            if appenders == (self._events, self._rejected):
                self._overtaken.set()
            raise

    async def _append_events(self, appender: Appender, events: Sequence[Event]) -> None:
        held = appender.partitions
        parts: dict[int, list[Event]] = {}
        for event in events:
            parts.setdefault(held[place_of(event, len(held))], []).append(event)
        records = {partition: Records(len(part), codec.encode(part)) for partition, part in parts.items()}
        *others, (last, rest) = records.items()
        started = [
            self._runtime.spawn(f"append to {partition}", _append_one(appender, partition, part))
            for partition, part in others
        ]
        failed: Unreachable | None = None
        try:
            await appender.append(last, rest)
        except Unreachable as error:
            failed = error
        finally:
            await _ended(started, failed)


async def _ended(started: Sequence[Work], failed: Unreachable | None) -> None:
    """Wait for all of them, also after one has failed; raises a failure, that of being overtaken before all others."""
    for work in started:
        try:
            await work.wait()
        except Unreachable as error:
            failed = failed if isinstance(failed, Overtaken) else error
    if failed is not None:
        raise failed


async def _append_one(appender: Appender, partition: int, records: Records) -> None:
    await appender.append(partition, records)


def place_of(event: Event, count: int) -> int:
    """Which of so many partitions an event goes to: what one sender sends again goes to the same."""
    if count == 1:
        return 0
    return crc32((event.user_id or event.anonymous_id or "").encode()) % count
