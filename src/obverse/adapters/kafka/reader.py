"""Reading a stream from marks on: what counts as batches, what others wrote as damage, and what is missing as a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from obverse.adapters._kafka.chain import EVENTS, Chain, Verdict
from obverse.adapters._kafka.clients import FAILURES, trouble
from obverse.adapters._kafka.fetching import Fetching
from obverse.adapters._kafka.records import Foreign, Record, read, unpack
from obverse.adapters._kafka.settings import KafkaLogSettings
from obverse.adapters.kafka.finding import Partition
from obverse.core.events import STORED
from obverse.ports.event_log import Batch, LogGap, Stream, UnknownMark

NEXT_BYTES = 4 * 1024 * 1024
"""Stored bytes that one call of `next` returns, and at most one record of each partition more."""


class KafkaReader:
    """See `Reader`."""

    def __init__(
        self,
        settings: KafkaLogSettings,
        stream: Stream,
        partitions: Mapping[int, Partition],
        marks: Mapping[int, int],
        ensure: Callable[[], Awaitable[None]],
    ) -> None:
        self.stream = stream
        self._settings = settings
        self._partitions = partitions
        self._marks = dict(marks)
        self._ensure = ensure
        self._chains: dict[int, Chain] = {}
        self.positions: dict[int, int] = {}
        """The Kafka offset after what was returned, by partition; empty while it does not read."""
        self._fetching: Fetching | None = None
        self._woken: asyncio.Future[None] | None = None
        self.closed = False

    async def next(self) -> Sequence[Batch]:
        """See `Reader.next`."""
        while not self.closed:
            fetching = self._fetching or await self._begin()
            self._complain(fetching)
            # Nothing is awaited between here and the return, so a cancelled call has moved nothing.
            batches = self._look(fetching)
            if batches:
                return batches
            if fetching.moved:
                self.begin_anew()
            else:
                await self._sleep(fetching)
        raise asyncio.CancelledError("this reader of the log was closed")

    async def close(self) -> None:
        """See `Reader.close`."""
        self.closed = True
        self.begin_anew()
        if self._woken is not None:
            self._woken.cancel()

    def begin_anew(self) -> None:
        """Look again where the marks are: the log was trimmed."""
        fetching, self._fetching = self._fetching, None
        self.positions = {}
        if fetching is not None:
            fetching.stop()
        self._wake()

    async def _begin(self) -> Fetching:
        starts: dict[int, int] = {}
        chains: dict[int, Chain] = {}
        try:
            await self._ensure()
            for number, partition in self._partitions.items():
                starts[number], chains[number] = await self._find(number, partition)
        except FAILURES as error:
            raise trouble(error, f"read {self.stream}", self._settings) from error
        if self.closed:
            raise asyncio.CancelledError("this reader of the log was closed")
        topic = next(iter(self._partitions.values())).topic
        self._chains = chains
        self.positions = dict(starts)
        self._fetching = Fetching(self._settings, topic, starts, self._wake)
        return self._fetching

    async def _find(self, number: int, partition: Partition) -> tuple[int, Chain]:
        mark, whole = self._marks[number], await partition.whole()
        if not whole.kept <= mark <= whole.end:
            raise UnknownMark(
                f"{self.stream} partition {number} holds offsets {whole.kept} to {whole.end}, and nothing at {mark}: "
                f"begin at {whole.kept} to read all that is kept, or restore the log from a backup"
            )
        return await partition.find(whole, mark)

    def _complain(self, fetching: Fetching) -> None:
        failure, fetching.failure = fetching.failure, None
        if failure is not None:
            raise trouble(failure, f"read {self.stream}", self._settings) from failure

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def _sleep(self, fetching: Fetching) -> None:
        if (
            self.closed
            or self._fetching is not fetching
            or fetching.failure is not None
            or (not fetching.unheard and any(fetching.waiting.values()))
        ):
            return
        self._woken = asyncio.get_running_loop().create_future()
        await self._woken

    def _look(self, fetching: Fetching) -> list[Batch]:
        """Take what is there of every partition, the same share of each."""
        filled = [number for number, waiting in fetching.waiting.items() if waiting]
        if fetching.unheard or not filled:
            return []
        batches: list[Batch] = []
        for number in filled:
            batches += self._take(fetching, number, NEXT_BYTES // len(filled), alone=not batches)
        return batches

    def _take(self, fetching: Fetching, number: int, most: int, *, alone: bool) -> list[Batch]:
        """
        Take up to so many bytes of a partition, but one record if there is one.

        Raises:
            LogGap: offsets are missing, and there is nothing before them to be returned first.
        """
        partition, chain, waiting = self._partitions[number], self._chains[number], fetching.waiting[number]
        batches: list[Batch] = []
        while waiting and most > 0:
            message = waiting[0]
            offset, record = message.offset() or 0, read(partition.place, message.value())
            mark, verdict = self._marks[number], chain.take(offset, record)
            if verdict is Verdict.MISSING and isinstance(record, Record) and record.first > mark:
                if alone and not batches:
                    raise self._gap(number, mark, record.first)
                break
            most -= len(fetching.take(number))
            self.positions[number] = offset + 1
            if isinstance(record, Foreign):
                # What stands before the mark was told when that was read.
                if chain.expected is not None and chain.expected >= mark:
                    batches.append(self._foreign(number, chain.expected, offset, record))
            elif verdict in EVENTS:
                if verdict is not Verdict.COUNTS:
                    if record.first > mark:
                        batches.append(self._lost(number, mark, record.first))
                    chain.skip(record)
                    chain.take(offset, record)
                if record.end > mark:
                    batches.append(self._batch(number, record, offset))
            self._marks[number] = max(mark, chain.expected or 0)
        return batches

    def _batch(self, number: int, record: Record, offset: int) -> Batch:
        damage, body = (record.damage, b"") if record.damage else unpack(record.body)
        where = f"{self.stream} partition {number}, offsets {record.first} to {record.end - 1}"
        return Batch(
            partition=number,
            first=record.first,
            count=record.count,
            body=body,
            appended_at=record.appended_at,
            damage=damage and f"{where} ({self._at(number, offset)}): {damage}",
            stored=record.stored or record.body[:STORED] if damage else b"",
        )

    def _foreign(self, number: int, first: int, offset: int, record: Foreign) -> Batch:
        damage = f"{self._at(number, offset)} holds no record of ours: {record.reason}"
        return self._damaged(number, first, 0, damage)

    def _lost(self, number: int, first: int, end: int) -> Batch:
        damage = f"{self.stream} partition {number}, offsets {first} to {end - 1}: what held them cannot be read"
        return self._damaged(number, first, end - first, damage)

    def _damaged(self, number: int, first: int, count: int, damage: str) -> Batch:
        at = self._chains[number].appended_at
        return Batch(partition=number, first=first, count=count, body=b"", appended_at=at, damage=damage)

    def _at(self, number: int, offset: int) -> str:
        return f"topic {self._partitions[number].topic}, partition {number}, Kafka offset {offset}"

    def _gap(self, number: int, expected: int, found: int) -> LogGap:
        return LogGap(
            f"{self.stream} partition {number}: offset {expected} should follow, but the next record begins at "
            f"{found}; restore the records between them from a backup, or begin at {found} to go on without them"
        )
