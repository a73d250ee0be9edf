"""The log in Apache Kafka: a topic a stream, a record a group of appends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from obverse.adapters._group_commit import GroupCommit, Grouping, Session, Writing
from obverse.adapters._kafka.chain import Verdict
from obverse.adapters._kafka.clients import FAILURES, Sender, Topics, trouble
from obverse.adapters._kafka.records import Kind, Place, Record, write
from obverse.adapters._kafka.scout import Scout
from obverse.adapters._kafka.settings import MOST_BYTES, KafkaLogSettings
from obverse.adapters.kafka.finding import Partition
from obverse.adapters.kafka.reader import KafkaReader
from obverse.adapters.kafka.session import KafkaSession
from obverse.adapters.kafka.turns import TURNS, Turn
from obverse.ports.event_log import Appender, EventLog, Overtaken, Reader, Stream, check_most, partitions_of
from obverse.ports.runtime import Runtime, Work

_RECONNECT_LIMIT = 3.0
"""Seconds that an appender waits for a session in the place of one that was lost."""
_TRIM_AT_ONCE = 64
_NOTE = 5.0
"""Seconds between two times that Kafka is told how far we read."""
_LONG = str(2**63 - 1)


async def open_event_log(settings: KafkaLogSettings, runtime: Runtime) -> EventLog:
    """
    Entry point `obverse.event_log:kafka`.

    Nothing is connected before it is needed, so that a process can start before the brokers.
    """
    return KafkaEventLog(settings, runtime)


class KafkaEventLog:
    """See `EventLog`."""

    def __init__(self, settings: KafkaLogSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._topics = Topics(settings)
        self._scout = Scout(settings)
        self._own_sender: Sender | None = None
        self._partitions = {
            (stream, number): Partition(
                self._scout, settings.topic(stream), Place(settings.workspace, str(stream), number)
            )
            for stream in Stream
            for number in self._all(stream)
        }
        self._opened: list[Appender | Reader] = []
        self._noting: Work | None = None

    @property
    def partitions(self) -> int:
        """See `EventLog.partitions`."""
        return self._settings.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        check_most(most)
        wanted = self._known(stream, self._all(stream) if partitions is None else partitions)
        settings = self._settings
        turn = Turn(settings.topic(TURNS), self._sender, self._scout, self._runtime, settings.lease_ms)
        try:
            await self._ensure()
            session = await self._begin(stream, wanted, turn, most)
        except FAILURES as error:
            await turn.give()
            raise trouble(error, f"open the appender of {stream}", settings) from error
        except asyncio.CancelledError:
            self._runtime.spawn(f"give way in {stream}", turn.give())
            raise
        held = session.partitions

        async def again() -> Session:
            try:
                async with asyncio.timeout(_RECONNECT_LIMIT):
                    return await self._begin(stream, held, turn)
            except TimeoutError as error:
                if not turn.waits:
                    raise
                raise Overtaken(f"append to {stream}: another appender is there, and has taken over") from error

        def failure(error: Exception) -> Exception:
            return trouble(error, f"append to {stream}", settings)

        grouping = Grouping.of(stream, settings)
        writing = Writing(stream, held, again, failure, turn.give)
        appender = GroupCommit(session, writing, grouping, self._runtime)
        self._opened.append(appender)
        return appender

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """See `EventLog.open_reader`."""
        partitions = {number: self._partitions[stream, number] for number in self._known(stream, list(marks))}
        reader = KafkaReader(self._settings, stream, partitions, marks, self._ensure)
        # A process opens readers for as long as it lives.
        self._opened = [one for one in self._opened if not (isinstance(one, KafkaReader) and one.closed)]
        self._opened.append(reader)
        if self._settings.reader and self._noting is None:
            self._noting = self._runtime.spawn("note how far the log is read", self._note())
        return reader

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        try:
            await self._ensure()
            wholes = {number: await self._partitions[stream, number].whole() for number in self._all(stream)}
        except FAILURES as error:
            raise trouble(error, f"look where {stream} ends", self._settings) from error
        return {number: (whole.kept, whole.end) for number, whole in wholes.items()}

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """See `EventLog.begin`."""
        numbers = self._known(stream, list(offsets))
        try:
            await self._ensure()
            wholes = {number: await self._partitions[stream, number].whole() for number in numbers}
            for number, whole in wholes.items():
                if whole.end:
                    raise ValueError(f"{stream} partition {number} ends at {whole.end}: only an empty one begins anew")
            for number, whole in wholes.items():
                if offsets[number]:
                    await self._base(self._partitions[stream, number], whole.high, offsets[number], -1, 0)
        except FAILURES as error:
            raise trouble(error, f"begin {stream}", self._settings) from error

    async def trim(self, stream: Stream, before: int) -> None:
        """See `EventLog.trim`. Nothing older stays, but what is in one record with something newer."""
        try:
            await self._ensure()
            for number in self._all(stream):
                await self._trim(self._partitions[stream, number], before)
        except FAILURES as error:
            raise trouble(error, f"trim {stream}", self._settings) from error
        # They may hold what is gone now. Those of other processes are told when they come to the end of what they hold.
        for one in self._opened:
            if isinstance(one, KafkaReader) and one.stream is stream:
                one.begin_anew()

    async def close(self) -> None:
        """See `EventLog.close`."""
        opened, self._opened = self._opened, []
        if self._noting is not None:
            await self._noting.stop()
        for one in opened:
            await one.close()
        if self._own_sender is not None:
            await self._own_sender.close()
        await self._scout.close()

    @property
    def _sender(self) -> Sender:
        self._own_sender = self._own_sender or Sender(self._settings)
        return self._own_sender

    async def _begin(self, stream: Stream, wanted: Sequence[int], turn: Turn, most: int | None = None) -> KafkaSession:
        partitions = {number: self._partitions[stream, number] for number in wanted}
        session = KafkaSession(stream, partitions, self._sender, turn)
        await session.begin(self._runtime.now(), most)
        return session

    async def _trim(self, partition: Partition, before: int) -> None:
        """Let go of the records of a partition up to the first that counts and is not older."""
        whole = await partition.whole()
        at = await self._scout.at(partition.topic, partition.place.partition, before // 1000)
        at = whole.high if at is None else at
        if at <= whole.low or whole.kept == whole.end:
            return
        chain = await partition.before(at)
        while at < whole.high:
            end = min(whole.high, at + _TRIM_AT_ONCE)
            for offset, record in await partition.stored(at, end):
                counts = chain.take(offset, record) is Verdict.COUNTS
                if counts and isinstance(record, Record) and record.appended_at >= before:
                    await self._topics.trim(partition.topic, partition.place.partition, offset)
                    return
            at = end
        # All is older. Something must stay that tells with which offset the partition goes on.
        owner = -1 if chain.owner is None else chain.owner
        got = await self._base(partition, whole.high, chain.expected or 0, owner, chain.appended_at)
        if got == whole.high:
            await self._topics.trim(partition.topic, partition.place.partition, got)

    async def _base(self, partition: Partition, at: int, first: int, owner: int, appended_at: int) -> int:
        """Write a base that is meant to stand at this Kafka offset, and return the one that it got."""
        record = Record(kind=Kind.BASE, epoch=owner, first=first, appended_at=appended_at, body=at.to_bytes(8))
        value, now = write(partition.place, record), self._runtime.now() // 1000
        return await self._sender.send(partition.topic, partition.place.partition, value, now)

    async def _note(self) -> None:
        """Tell Kafka now and then how far the slowest reader of each partition is."""
        while True:
            await self._runtime.sleep(_NOTE)
            slowest: dict[tuple[str, int], int] = {}
            for one in self._opened:
                if isinstance(one, KafkaReader):
                    for number, at in one.positions.items():
                        place = (self._settings.topic(one.stream), number)
                        slowest[place] = min(at, slowest.get(place, at))
            if slowest:
                # Should it fail, it is told again.
                with contextlib.suppress(*FAILURES):
                    await self._scout.note(slowest)

    async def _ensure(self) -> None:
        settings = self._settings
        ours = {
            "cleanup.policy": "delete",
            # What is old is let go of by us, and by nobody else.
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "max.message.bytes": str(MOST_BYTES),
            "message.timestamp.type": "CreateTime",
            "message.timestamp.after.max.ms": _LONG,
            "min.insync.replicas": str(settings.min_insync),
            "unclean.leader.election.enable": "false",
        }
        if settings.flushes:
            ours["flush.messages"] = "1"
        turns = {
            "retention.ms": "3600000",
            "segment.ms": "600000",
            "message.timestamp.type": "LogAppendTime",
        }
        partitions = {settings.topic(stream): len(self._all(stream)) for stream in Stream}
        turns_topic = settings.topic(TURNS)
        await self._topics.ensure(
            {**partitions, turns_topic: 1},
            {**dict.fromkeys(partitions, ours), turns_topic: turns},
            # It had one partition once, and any event may be in any.
            grows={settings.topic(Stream.REJECTED)},
        )

    def _all(self, stream: Stream) -> list[int]:
        return list(range(partitions_of(stream, self._settings.partitions)))

    def _known(self, stream: Stream, partitions: Sequence[int]) -> list[int]:
        unknown = sorted(set(partitions) - set(self._all(stream)))
        if unknown:
            raise KeyError(f"{stream} has no partition {unknown[0]}: it has {len(self._all(stream))}, from 0")
        return sorted(set(partitions))
