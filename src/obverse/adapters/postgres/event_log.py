"""The log in PostgreSQL: one row per appended group, in segments of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from obverse.adapters._group_commit import GroupCommit, Grouping, Writing
from obverse.adapters.postgres import event_log_queries as queries
from obverse.adapters.postgres.connection import FAILURES, Link, trouble
from obverse.adapters.postgres.event_log_reader import PostgresReader
from obverse.adapters.postgres.event_log_rows import from_micros
from obverse.adapters.postgres.event_log_session import Target, begin_session
from obverse.adapters.postgres.event_log_wakeups import Wakeups
from obverse.ports.event_log import TAKEN, Appender, EventLog, Reader, Stream, check_most, partitions_of
from obverse.ports.runtime import Runtime

MOST_PARTITIONS = 1024
"""An announcement names the partitions that grew, and has room for so many."""

_RECONNECT_LIMIT = 0.8
"""Seconds that an appender waits for a connection in the place of one that was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLogSettings:
    """The `[event_log.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    """Where PostgreSQL is. A pooler in between must keep sessions, for the appender's locks are the session's."""

    workspace: str = "main"
    partitions: int = 1
    """Partitions of the streams of events and of rejected events. The other streams have one."""

    linger_ms: float = 3.0
    """How long an append of events, or of rejected events, waits for others to be committed with it."""

    pace_ms: float = 10.0
    """The least time between two commits, if that is longer; a full group waits for neither."""

    group_bytes: int = 1_048_576
    """Bytes at which it waits no longer."""

    segment_hours: int = 24
    """How much time one segment holds: retention drops whole segments."""

    def __post_init__(self) -> None:
        if not self.workspace or len(self.workspace.encode()) > 200:  # noqa: PLR2004 - said in the message
            raise ValueError(f"event_log.workspace is {self.workspace!r}: give it 1 to 200 bytes")
        if not 1 <= self.partitions <= MOST_PARTITIONS:
            raise ValueError(f"event_log.partitions is {self.partitions}: choose 1 to {MOST_PARTITIONS}")
        if not 0 <= self.linger_ms <= 1000:  # noqa: PLR2004 - said in the message
            raise ValueError(f"event_log.linger_ms is {self.linger_ms}: choose 0 to 1000")
        if not 0 <= self.pace_ms <= 1000:  # noqa: PLR2004 - said in the message
            raise ValueError(f"event_log.pace_ms is {self.pace_ms}: choose 0 to 1000")
        if not 1 <= self.group_bytes <= TAKEN:
            raise ValueError(f"event_log.group_bytes is {self.group_bytes}: choose 1 to {TAKEN}")
        if not 1 <= self.segment_hours <= 8784:  # noqa: PLR2004 - said in the message
            raise ValueError(f"event_log.segment_hours is {self.segment_hours}: choose 1 to 8784 (a year)")


async def open_event_log(settings: PostgresLogSettings, runtime: Runtime) -> EventLog:
    """
    Entry point `obverse.event_log:postgres`.

    Nothing is connected before it is needed, so that a process can start before its server. The schema
    must be there (`schema.migrate`).
    """
    return PostgresEventLog(settings, runtime)


class PostgresEventLog:
    """See `EventLog`."""

    def __init__(self, settings: PostgresLogSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        # A plan that is made anew looks only at the segments that can matter, however many there are.
        self._link = Link(settings.dsn, "reads the log", setup="set plan_cache_mode = force_custom_plan")
        self._wakeups = Wakeups(settings.dsn, settings.workspace, runtime)
        self._opened: list[Appender | Reader] = []

    @property
    def partitions(self) -> int:
        """See `EventLog.partitions`."""
        return self._settings.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        settings = self._settings
        check_most(most)
        wanted = self._known(stream, self._all(stream) if partitions is None else partitions)
        target = Target(settings.dsn, settings.workspace, stream, wanted, settings.segment_hours)
        try:
            session = await begin_session(target, self._runtime, most=most)
        except FAILURES as error:
            raise trouble(error, f"open the appender of {stream}") from error
        grouping = Grouping.of(stream, settings)
        target = replace(target, partitions=session.partitions)
        writing = Writing(
            stream,
            target.partitions,
            again=lambda: begin_session(target, self._runtime, limit=_RECONNECT_LIMIT),
            failure=lambda error: trouble(error, f"append to {stream}"),
        )
        appender = GroupCommit(session, writing, grouping, self._runtime)
        self._opened.append(appender)
        return appender

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """See `EventLog.open_reader`."""
        self._known(stream, list(marks))
        segment = timedelta(hours=self._settings.segment_hours)
        where = (self._settings.workspace, stream)
        reader = PostgresReader(self._link, self._wakeups, where, segment, self._runtime)
        reader.begin(marks)
        self._opened.append(reader)
        return reader

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        rows = await self._link.fetch(queries.ENDS, self._settings.workspace, stream, self._all(stream))
        return {partition: (kept, end) for partition, kept, end, _ in sorted(rows)}

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """See `EventLog.begin`."""
        numbers = self._known(stream, list(offsets))
        wanted = [offsets[number] for number in numbers]
        workspace = self._settings.workspace
        ((used,),) = await self._link.fetch(queries.BEGIN, workspace, stream, numbers, wanted)
        if used is not None:
            raise ValueError(f"{stream} partition {used} has an end already: only an empty one begins anew")

    async def trim(self, stream: Stream, before: int) -> None:
        """See `EventLog.trim`. Drops whole segments, and leaves them for the next time when readers are busy there."""
        # The segment of this moment stays, whatever was asked: the appender is about to write there.
        moment = from_micros(min(before, self._runtime.now()))
        while True:
            ((dropped,),) = await self._link.fetch(queries.TRIM, self._settings.workspace, stream, moment)
            if dropped is None:
                return

    async def close(self) -> None:
        """See `EventLog.close`."""
        opened, self._opened = self._opened, []
        for one in opened:
            await one.close()
        await self._wakeups.close()
        await self._link.close()

    def _all(self, stream: Stream) -> list[int]:
        return list(range(partitions_of(stream, self._settings.partitions)))

    def _known(self, stream: Stream, partitions: Sequence[int]) -> list[int]:
        unknown = sorted(set(partitions) - set(self._all(stream)))
        if unknown:
            raise KeyError(f"{stream} has no partition {unknown[0]}: it has {len(self._all(stream))}, from 0")
        return sorted(set(partitions))
