"""The log in Amazon Kinesis: one stream for each of ours, one record a group, and PostgreSQL to say who may append."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obverse.adapters._group_commit import GroupCommit, Grouping, Writing
from obverse.adapters._postgres import FAILURES, trouble
from obverse.adapters.kinesis.client import Kinesis
from obverse.adapters.kinesis.ends import Ends
from obverse.adapters.kinesis.feed import Feeds
from obverse.adapters.kinesis.finding import Source
from obverse.adapters.kinesis.reader import KinesisReader
from obverse.adapters.kinesis.session import begin_session
from obverse.adapters.kinesis.settings import KinesisLogSettings
from obverse.ports.event_log import Appender, EventLog, Reader, Stream, check_most
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

_LOCK_LIMIT = 0.8
"""Seconds that an appender which has lost its place waits for whoever has it."""


async def open_event_log(settings: KinesisLogSettings, runtime: Runtime) -> EventLog:
    """
    Entry point `obverse.event_log:kinesis`.

    Nothing is connected before it is needed, so that a process can start before its servers. The schema
    must be there (`obverse migrate`).
    """
    return KinesisEventLog(settings, runtime)


class KinesisEventLog:
    """See `EventLog`."""

    def __init__(self, settings: KinesisLogSettings, runtime: Runtime) -> None:
        kinesis = Kinesis(settings, runtime)
        feeds = Feeds(kinesis, settings.poll_ms / 1000, runtime)
        self._source = Source(settings, runtime, kinesis, feeds, Ends(settings, runtime))
        self._opened: list[Appender | Reader] = []

    @property
    def partitions(self) -> int:
        """See `EventLog.partitions`."""
        return self._source.settings.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        check_most(most)
        source, settings = self._source, self._source.settings
        wanted = self._known(stream, range(settings.partitions_of(stream)) if partitions is None else partitions)

        def failure(error: Exception) -> Exception:
            known = isinstance(error, (Unreachable, AccessRefused))
            return error if known else trouble(error, f"append to {stream}")

        try:
            session = await begin_session(source, stream, wanted, most=most)
        except FAILURES as error:
            raise trouble(error, f"open the appender of {stream}") from error
        grouping = Grouping.of(stream, settings)
        held = session.partitions
        writing = Writing(
            stream,
            held,
            again=lambda: begin_session(source, stream, held, limit=_LOCK_LIMIT),
            failure=failure,
        )
        appender = GroupCommit(session, writing, grouping, source.runtime)
        self._opened.append(appender)
        return appender

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """See `EventLog.open_reader`."""
        self._known(stream, list(marks))
        reader = KinesisReader(self._source, stream, marks)
        reader.begin()
        self._opened.append(reader)
        return reader

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        return await self._source.ends.ask(stream)

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """See `EventLog.begin`."""
        self._known(stream, list(offsets))
        used = await self._source.ends.begin(stream, offsets)
        if used is not None:
            raise ValueError(f"{stream} partition {used} has an end already: only an empty one begins anew")

    async def trim(self, stream: Stream, before: int) -> None:
        """See `EventLog.trim`. Nothing of it is shown any more; Kinesis itself forgets it when its time is over."""
        await self._source.ends.trim(stream, min(before, self._source.runtime.now()))

    async def close(self) -> None:
        """See `EventLog.close`."""
        opened, self._opened = self._opened, []
        for one in opened:
            await one.close()
        await self._source.ends.close()
        await self._source.kinesis.close()

    def _known(self, stream: Stream, partitions: Sequence[int]) -> list[int]:
        count = self._source.settings.partitions_of(stream)
        unknown = sorted(set(partitions) - set(range(count)))
        if unknown:
            raise KeyError(f"{stream} has no partition {unknown[0]}: it has {count}, from 0")
        return sorted(set(partitions))
