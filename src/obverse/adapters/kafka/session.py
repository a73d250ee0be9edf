"""One turn at appending: from the claims with which it begins to the record that tells that it was overtaken."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from obverse.adapters._kafka.chain import Chain
from obverse.adapters._kafka.records import Kind, Record, pack, write
from obverse.adapters.kafka.finding import Partition
from obverse.ports.event_log import Overtaken, Records, Stream


class Sending(Protocol):
    """What writes records for us: see `Sender`."""

    async def send(self, topic: str, partition: int, value: bytes, at: int) -> int: ...  # noqa: D102 - see `Sender.send`


class Courtesy(Protocol):
    """What has us wait for our turn: see `Turn`."""

    async def take(  # noqa: D102 - see `Turn.take`
        self, stream: Stream, partitions: Sequence[int], most: int | None = None
    ) -> Sequence[int]: ...


@dataclass(slots=True)
class _End:
    """Where a partition ends, as far as this session wrote it."""

    epoch: int
    """The Kafka offset of our claim."""
    next: int
    """The Kafka offset that our next record gets, if nobody else writes."""
    offset: int
    """Of our next event."""
    appended_at: int


class KafkaSession:
    """The appender of its partitions, from its claims on until it is overtaken or something is not known."""

    def __init__(self, stream: Stream, partitions: Mapping[int, Partition], sender: Sending, turn: Courtesy) -> None:
        self._stream = stream
        self._partitions = partitions
        self._sender = sender
        self._turn = turn
        self._ends: dict[int, _End] = {}
        self.alive = True
        """Whether nothing has gone wrong yet."""

    @property
    def partitions(self) -> Sequence[int]:
        """Those that it has claimed, in order of number."""
        return list(self._ends)

    async def begin(self, now: int, most: int | None = None) -> None:
        """
        Wait for our turn, and claim the partitions; with `most`, up to so many of those that are nobody's.

        Raises:
            one of FAILURES: the brokers do not answer.
        """
        for number in await self._turn.take(self._stream, list(self._partitions), most):
            self._ends[number] = await self._claim(number, now)

    async def write(self, group: Sequence[tuple[int, Sequence[Records]]], now: int) -> list[int | Exception]:
        """
        Write a group, given as the records of each partition.

        Returns the first offset of each, or why nothing is known of its records; then the session must be ended.
        """
        outcomes = await asyncio.gather(
            *(self._append(number, records, now) for number, records in group), return_exceptions=True
        )
        self.alive = self.alive and not any(isinstance(outcome, BaseException) for outcome in outcomes)
        answers: list[int | Exception] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
                raise outcome
            answers.append(outcome)
        return answers

    async def end(self) -> None:
        """Write no more. The turn is the appender's, and outlives its sessions."""
        self.alive = False

    def abandon(self) -> None:
        """Give it up. Should a record of it still arrive, it comes behind the next session's claim, and is void."""
        self.alive = False

    async def _claim(self, number: int, now: int) -> _End:
        """Write a claim, and learn where the partition ends before it."""
        partition = self._partitions[number]
        whole = await partition.whole()
        chain, token = whole.chain, secrets.token_bytes(16)
        record = Record(
            kind=Kind.CLAIM,
            epoch=whole.high,
            first=whole.end,
            appended_at=max(now, chain.appended_at),
            body=token,
        )
        at = await self._send(partition, record)
        if at != whole.high:
            # Others wrote meanwhile: what counts of it is final, for it stands before our claim.
            at = await self._own(partition, chain, whole.high, token)
        return _End(at, at + 1, chain.expected or 0, max(now, chain.appended_at))

    async def _own(self, partition: Partition, chain: Chain, start: int, token: bytes) -> int:
        """Go on with the chain up to our own claim, and return the Kafka offset that it got."""
        _, high = await partition.bounds()
        for offset, record in await partition.stored(start, high):
            if isinstance(record, Record) and record.kind is Kind.CLAIM and record.body == token:
                return offset
            chain.take(offset, record)
        raise TimeoutError("our claim is not in the partition")

    async def _append(self, number: int, records: Sequence[Records], now: int) -> int:
        partition, end = self._partitions[number], self._ends[number]
        # The clock may have been set back; time within a partition never falls.
        at = max(now, end.appended_at)
        record = Record(
            kind=Kind.DATA,
            epoch=end.epoch,
            first=end.offset,
            count=sum(one.count for one in records),
            appended_at=at,
            body=pack(b"".join(one.body for one in records)),
        )
        got = await self._send(partition, record)
        end.next = got + 1 if got == end.next else await self._look(partition, end, record, got)
        end.offset, end.appended_at = record.end, at
        return record.first

    async def _send(self, partition: Partition, record: Record) -> int:
        place = partition.place
        value = write(place, record)
        return await self._sender.send(partition.topic, place.partition, value, record.appended_at // 1000)

    async def _look(self, partition: Partition, end: _End, record: Record, got: int) -> int:
        """
        See what others wrote where our record was to stand, and return which Kafka offset comes next.

        Raises:
            Overtaken: another appender's claim stands before our record, so that nobody counts it.
            one of FAILURES: it cannot be seen.
        """
        _, high = await partition.bounds()
        stored = await partition.stored(end.next, got + 1 if got >= 0 else high)
        for offset, found in stored:
            if not isinstance(found, Record):
                continue
            if found.kind is Kind.CLAIM:
                raise Overtaken(
                    f"{self._stream} partition {partition.place.partition}: another appender has taken over"
                )
            if (found.kind, found.epoch, found.first) == (record.kind, record.epoch, record.first):
                # Should a claim stand behind it, the next record will meet that: this one counts.
                return offset + 1
        raise TimeoutError("our record is not in the partition")
