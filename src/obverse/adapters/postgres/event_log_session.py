"""The connection through which the log is written: it holds the locks, so it alone can write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from obverse.adapters._group_commit import take_locks
from obverse.adapters.postgres import event_log_queries as queries
from obverse.adapters.postgres.connection import connect, hang_up
from obverse.adapters.postgres.event_log_rows import Place, from_micros, seal
from obverse.ports.event_log import Overtaken, Records, Stream
from obverse.ports.runtime import Runtime

COMMIT_LIMIT = 10.0
"""Seconds after which a commit without an answer is given up: nothing is known of it then."""

_LOCK_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Target:
    """What one appender writes to."""

    dsn: str
    workspace: str
    stream: Stream
    partitions: Sequence[int]
    segment_hours: int

    def place(self, partition: int) -> Place:
        """The place of one of its partitions."""
        return Place(self.workspace, self.stream, partition)


@dataclass(slots=True)
class _End:
    offset: int
    appended_at: datetime


class AppendSession:
    """
    One connection that is the appender of its partitions for as long as it lives.

    The locks belong to the server's session: when the connection dies they are free only after the
    server has finished or undone what was under way, so the offsets that the next session reads are final.
    """

    def __init__(self, connection: asyncpg.Connection, target: Target, runtime: Runtime) -> None:
        self._connection = connection
        self._target = target
        self._runtime = runtime
        self._ends: dict[int, _End] = {}
        self._prepare_at = from_micros(0)
        self.waits = False
        """Whether another session had a lock when it was last asked for."""

    @property
    def partitions(self) -> Sequence[int]:
        """Those of which it is the appender, in order of number."""
        return sorted(self._ends)

    @property
    def alive(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return not self._connection.is_closed()

    async def begin(self, most: int | None = None) -> None:
        """Wait for the locks, or for up to `most` that are free, then learn where the partitions end."""
        await self._connection.execute(queries.NEVER_LOSE)
        taken = await take_locks(self._target.partitions, most, self._lock, lambda: self._runtime.sleep(_LOCK_PAUSE))
        rows = await self._connection.fetch(queries.ENDS, self._target.workspace, self._target.stream, taken)
        for partition, _, end, appended_at in rows:
            self._ends[partition] = _End(end, appended_at or from_micros(0))

    async def _lock(self, partition: int) -> bool:
        key = self._target.place(partition).lock_key()
        locked: bool = await self._connection.fetchval(queries.LOCK, key)
        self.waits = not locked
        return locked

    async def write(self, group: Sequence[tuple[int, Sequence[Records]]], now: int) -> list[int]:
        """
        See `Session.write`. It is committed as a whole, or nothing is known of it.

        Raises:
            one of connection.FAILURES: nothing is known of the group, and the session must be ended.
        """
        ends = [self._ends[partition] for partition, _ in group]
        # The clock may have been set back; time within a partition never falls.
        at = max(from_micros(now), *(end.appended_at for end in ends))
        await self._prepare(at)
        rows = [
            seal(
                self._target.place(partition),
                end.offset,
                sum(one.count for one in records),
                at,
                b"".join(one.body for one in records),
            )
            for (partition, records), end in zip(group, ends, strict=True)
        ]
        partitions = [partition for partition, _ in group]
        stream, workspace = self._target.stream, self._target.workspace
        # `fetch`, for it returns when the server is ready again, and so only after the commit.
        await self._connection.fetch(
            queries.APPEND,
            workspace,
            stream,
            at,
            partitions,
            [row.first for row in rows],
            [row.count for row in rows],
            [row.checksum for row in rows],
            [row.body for row in rows],
            queries.CHANNEL,
            f"{stream} {','.join(map(str, partitions))} {workspace}",
            timeout=COMMIT_LIMIT,
        )
        for end, row in zip(ends, rows, strict=True):
            end.offset, end.appended_at = row.end, at
        return [row.first for row in rows]

    async def _prepare(self, at: datetime) -> None:
        if at >= self._prepare_at:
            self._prepare_at = await self._connection.fetchval(
                queries.PREPARE, self._target.stream, at, self._target.segment_hours, timeout=COMMIT_LIMIT
            )

    async def end(self) -> None:
        """Let the next appender in."""
        await hang_up(self._connection)

    def abandon(self) -> None:
        """Cut the connection, waiting for nobody."""
        self._connection.terminate()


async def begin_session(
    target: Target, runtime: Runtime, *, limit: float | None = None, most: int | None = None
) -> AppendSession:
    """
    Become the appender of the target, waiting for the former one for up to `limit` seconds.

    With `most`, of as many of its partitions as are free, up to so many.

    Raises:
        Overtaken: another one was there for all of `limit`.
        one of connection.FAILURES: the server does not answer.
    """
    session: AppendSession | None = None
    try:
        async with asyncio.timeout(limit):
            connection = await connect(target.dsn, f"appends to {target.stream}")
            session = AppendSession(connection, target, runtime)
            try:
                await session.begin(most)
            except BaseException:
                connection.terminate()
                raise
            return session
    except TimeoutError as error:
        if session is None or not session.waits:
            raise
        raise Overtaken(f"append to {target.stream}: another appender is there, and has taken over") from error
