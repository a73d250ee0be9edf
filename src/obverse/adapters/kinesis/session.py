"""The appender's session: a connection to PostgreSQL holds its locks, and Kinesis what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from obverse.adapters._group_commit import take_locks
from obverse.adapters._postgres import connect, from_micros, hang_up, to_micros
from obverse.adapters.kinesis import queries, records
from obverse.adapters.kinesis.client import Entry, Where
from obverse.adapters.kinesis.ends import announcement
from obverse.adapters.kinesis.finding import Source, find_end
from obverse.adapters.kinesis.putting import put_all
from obverse.adapters.kinesis.records import Kind, Part, Place
from obverse.ports.event_log import Overtaken, Records, Stream
from obverse.ports.outcomes import Unreachable

_ACKNOWLEDGE_LIMIT: Final = 10.0
_LOCK_PAUSE: Final = 0.1
_PRUNE_EVERY: Final = 1000
"""How many positions of a partition are noted until those that nobody needs are forgotten."""
_POSITION_BYTES: Final = 4 << 20
"""How much is put before a position is noted, though the time has not come."""


@dataclass(slots=True)
class _End:
    place: Place
    epoch: int
    offset: int
    appended_at: int
    noted_at: int = 0
    """When the position of an offset was noted last; microseconds since 1970."""
    noted: int = 0
    """How often."""
    bytes: int = 0
    """What was put since then."""


@dataclass(frozen=True, slots=True)
class _Group:
    """What one partition gets in one commit."""

    end: _End
    count: int
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class _Position:
    end: _End
    first: int
    where: Where
    before_at: int
    """When what is before it was appended; 0 if there is nothing."""


class KinesisSession:
    """
    The appender of its partitions for as long as its connection to PostgreSQL lives.

    Kinesis takes records from anybody, so who appends is settled in PostgreSQL. Each session first raises the epoch
    there and then puts a claim with it; readers pass over what older epochs put behind that. What this session has put
    is acknowledged only when PostgreSQL still had its epoch afterwards: then no later claim can stand before it.
    """

    def __init__(
        self, connection: asyncpg.Connection, source: Source, stream: Stream, partitions: Sequence[int]
    ) -> None:
        self._connection = connection
        self._source = source
        self._stream = stream
        self.partitions = sorted(partitions)
        """Those of which it is to be the appender; once it has its locks, those of which it is."""
        self.waits = False
        """Whether another session had a lock when it was last asked for."""
        self._ends: dict[int, _End] = {}

    @property
    def alive(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return not self._connection.is_closed()

    async def lock(self, most: int | None = None) -> None:
        """Wait for the locks, one after another, or for up to `most` that are free."""
        await self._connection.execute(queries.NEVER_LOSE)
        sleep = self._source.runtime.sleep
        self.partitions = await take_locks(self.partitions, most, self._lock, lambda: sleep(_LOCK_PAUSE))

    async def _lock(self, partition: int) -> bool:
        locked: bool = await self._connection.fetchval(queries.LOCK, self._place(partition).lock_key())
        self.waits = not locked
        return locked

    async def claim(self) -> None:
        """Claim the partitions, and learn where they end."""
        waiting = list(self.partitions)
        least = self._source.runtime.now()
        while waiting:
            # Should the database have been restored from a backup, the stream may know greater epochs than it.
            overtaken = await self._claim(waiting, least)
            waiting, least = list(overtaken), max(overtaken.values(), default=0) + 1
        await self._source.ends.prune(self._stream)

    async def _claim(self, partitions: Sequence[int], least: int) -> dict[int, int]:
        """Begin an epoch in each partition; returns those that know a greater one, with it."""
        workspace = self._source.settings.workspace
        rows = await self._connection.fetch(queries.CLAIM, workspace, self._stream, partitions, least)
        for partition, epoch, end, appended_at in rows:
            at = 0 if appended_at is None else to_micros(appended_at)
            self._ends[partition] = _End(self._place(partition), epoch, end, at)
        ends = [self._ends[partition] for partition in partitions]
        entries = [_entry(end.place, records.claim(end.place, end.epoch)) for end in ends]
        places = [_told(one) for one in await self._put(entries)]
        found = await asyncio.gather(*(find_end(self._source, self._stream, end.place, end.epoch) for end in ends))
        overtaken: dict[int, int] = {}
        for end, assembly in zip(ends, found, strict=True):
            if assembly.epoch > end.epoch:
                overtaken[end.place.partition] = assembly.epoch
            end.offset = max(end.offset, assembly.expected or 0)
            end.appended_at = max(end.appended_at, assembly.appended_at)
        positions = [
            _Position(end, end.offset, where, end.appended_at)
            for end, where in zip(ends, places, strict=True)
            if end.place.partition not in overtaken
        ]
        if positions:
            await self._acknowledge([one.end for one in positions], positions)
        return overtaken

    async def write(self, group: Sequence[tuple[int, Sequence[Records]]], now: int) -> Sequence[int | Exception]:
        """
        See `Session.write`. Kinesis may take the records of one partition and not those of another.

        Raises:
            Unreachable, AccessRefused, one of FAILURES: nothing is known of the group, and the session must be ended.
        """
        ends = [self._ends[partition] for partition, _ in group]
        # The clock may have been set back; time within a partition never falls.
        at = max(now, *(end.appended_at for end in ends))
        groups = [_packed(end, parts, at) for end, (_, parts) in zip(ends, group, strict=True)]
        entries = [entry for one in groups for entry in one.entries]
        places = iter(await self._put(entries))
        outcomes: list[int | Exception] = []
        taken: list[_End] = []
        positions: list[_Position] = []
        for one in groups:
            mine = [next(places) for _ in one.entries]
            lost = next((place for place in mine if isinstance(place, Unreachable)), None)
            outcomes.append(lost or one.end.offset)
            if lost is None:
                positions += self._position(one, [place for place in mine if isinstance(place, Where)], at)
                taken.append(one.end)
                one.end.offset += one.count
                one.end.appended_at = at
        if taken:
            await self._acknowledge(taken, positions)
        if any(one.end.noted % _PRUNE_EVERY == 0 for one in positions):
            await self._source.ends.prune(self._stream)
        return outcomes

    async def _put(self, entries: Sequence[Entry]) -> list[Where | Unreachable]:
        source = self._source
        return await put_all(
            source.kinesis, self._stream, entries, source.runtime, give_up=source.settings.give_up_seconds
        )

    def _position(self, group: _Group, places: Sequence[Where], at: int) -> list[_Position]:
        """The position of a group, if it is time to note one."""
        end = group.end
        end.bytes += sum(len(one.data) for one in group.entries)
        if at - end.noted_at < self._source.settings.position_seconds * 1_000_000 and end.bytes < _POSITION_BYTES:
            return []
        end.noted_at, end.bytes = at, 0
        end.noted += 1
        if len({where.shard for where in places}) > 1:
            return []  # The shard was split or merged in between: the next position is as good.
        where = min(places, key=lambda one: int(one.sequence))
        return [_Position(end, end.offset, where, end.appended_at)]

    async def _acknowledge(self, ends: Sequence[_End], positions: Sequence[_Position]) -> None:
        """See in PostgreSQL that nobody has followed us, and note how far we came."""
        settings = self._source.settings
        # `fetch`, for it returns when the server is ready again, and so only after the commit.
        ((moved, _),) = await self._connection.fetch(
            queries.APPENDED,
            settings.workspace,
            self._stream,
            [end.place.partition for end in ends],
            [end.epoch for end in ends],
            [end.offset for end in ends],
            [_moment(end.appended_at) for end in ends],
            settings.name_of(self._stream),
            [one.end.place.partition for one in positions],
            [one.first for one in positions],
            [one.where.shard for one in positions],
            [one.where.sequence for one in positions],
            [one.end.epoch for one in positions],
            [_moment(one.before_at) for one in positions],
            queries.CHANNEL,
            announcement(self._stream, [(end.place.partition, end.offset) for end in ends], settings.workspace),
            timeout=_ACKNOWLEDGE_LIMIT,
        )
        if moved != len(ends):
            raise Overtaken(
                f"another appender of {self._stream} has begun meanwhile: what was put since then counts for nothing"
            )

    async def end(self) -> None:
        """Let the next appender in."""
        await hang_up(self._connection)

    def abandon(self) -> None:
        """Cut the connection, waiting for nobody."""
        self._connection.terminate()

    def _place(self, partition: int) -> Place:
        return Place(self._source.settings.workspace, self._stream, partition)


async def begin_session(
    source: Source,
    stream: Stream,
    partitions: Sequence[int],
    *,
    limit: float | None = None,
    most: int | None = None,
) -> KinesisSession:
    """
    Become the appender of some partitions, waiting for the former one for up to `limit` seconds.

    With `most`, of as many of them as are free, up to so many. Once the former one has gone, that takes as long as
    reading what was appended since a position was noted.

    Raises:
        Overtaken: another one was there for all of `limit`.
        one of FAILURES, Unreachable, AccessRefused: a server does not answer.
    """
    await source.kinesis.keep(stream)
    connection = await connect(source.settings.dsn, f"appends to {stream}")
    session = KinesisSession(connection, source, stream, partitions)
    try:
        async with asyncio.timeout(limit):
            await session.lock(most)
        await session.claim()
    except TimeoutError as error:
        connection.terminate()
        if not session.waits:
            raise
        raise Overtaken(f"append to {stream}: another appender is there, and has taken over") from error
    except BaseException:
        connection.terminate()
        raise
    return session


def _packed(end: _End, parts: Sequence[Records], at: int) -> _Group:
    head = Part(
        kind=Kind.PART,
        partition=end.place.partition,
        epoch=end.epoch,
        first=end.offset,
        count=sum(one.count for one in parts),
        appended_at=at,
    )
    packed = records.pack(end.place, head, b"".join(one.body for one in parts))
    return _Group(end, head.count, [_entry(end.place, data) for data in packed])


def _told(place: Where | Unreachable) -> Where:
    if isinstance(place, Unreachable):
        raise place
    return place


def _moment(micros: int) -> datetime | None:
    return from_micros(micros) if micros else None


def _entry(place: Place, data: bytes) -> Entry:
    return Entry(place.partition, place.hash_key, data)
