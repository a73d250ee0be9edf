"""Whoever appends to a partition of Kafka and however they overtake each other: what was acknowledged counts once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest
import zstandard

from obverse.adapters._kafka.chain import EVENTS, Chain, follow
from obverse.adapters._kafka.records import Foreign, Kind, Place, Record, read, unpack, write
from obverse.adapters.kafka.finding import Partition
from obverse.adapters.kafka.session import KafkaSession
from obverse.ports.event_log import Records, Stream
from obverse.ports.outcomes import Unreachable

SEEDS = int(os.environ.get("OBVERSE_EXAMPLES", "0")) or 24
PLACE = Place("main", "events", 0)


@dataclass(frozen=True)
class Kept:
    at: int
    content: bytes

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes:
        return self.content


@dataclass
class Topic:
    """A partition as Kafka keeps it, over a network that delays, doubles, and loses answers."""

    dice: Random
    values: list[bytes] = field(default_factory=list)

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        del topic, partition
        await self.pause()
        return 0, len(self.values)

    async def read(self, topic: str, partition: int, start: int, end: int) -> Sequence[Kept]:
        del topic, partition
        await self.pause()
        return [Kept(at, self.values[at]) for at in range(start, min(end, len(self.values)))]

    async def send(self, topic: str, partition: int, value: bytes, at: int) -> int:
        del topic, partition, at
        await self.pause()
        fate = self.dice.random()
        if fate < 0.05:
            # It arrives, much later, and nobody is told.
            asyncio.get_running_loop().call_later(self.dice.random() / 50, self.values.append, value)
            raise TimeoutError
        if fate < 0.1:
            raise TimeoutError
        self.values.append(value)
        offset = len(self.values) - 1
        if fate < 0.2:
            # Sent again, for the answer was lost; the second copy is the one that is told.
            await self.pause()
            self.values.append(value)
            offset = len(self.values) - 1
        await self.pause()
        if fate < 0.25:
            raise TimeoutError
        return -1 if fate < 0.35 else offset

    async def pause(self) -> None:
        for _ in range(self.dice.randrange(4)):
            await asyncio.sleep(0)


class NoTurn:
    """Nobody waits for anybody."""

    async def take(self, stream: Stream, partitions: Sequence[int], most: int | None = None) -> Sequence[int]:
        del stream, most
        return partitions


async def fight(seed: int) -> tuple[Topic, dict[int, bytes]]:
    """Let three appenders write as if each were alone; returns what was acknowledged, by offset."""
    dice = Random(seed)
    topic, acknowledged = Topic(dice), dict[int, bytes]()

    async def append(name: int) -> None:
        session: KafkaSession | None = None
        for number in range(25):
            if session is None or not session.alive or dice.random() < 0.05:
                session = KafkaSession(Stream.EVENTS, {0: Partition(topic, "t", PLACE)}, topic, NoTurn())
                try:
                    await session.begin(number)
                except TimeoutError:
                    session = None
                    continue
            body = b"".join(b"%d.%02d.%d;" % (name, number, place) for place in range(dice.randrange(1, 4)))
            (outcome,) = await session.write([(0, [Records(body.count(b";"), body)])], number)
            if isinstance(outcome, int):
                assert outcome not in acknowledged
                acknowledged[outcome] = body
            else:
                assert isinstance(outcome, TimeoutError | Unreachable)
            if dice.random() < 0.1:
                topic.values.append(b"rubbish")
            await topic.pause()

    await asyncio.gather(*(append(name) for name in range(3)))
    await asyncio.sleep(0.03)
    return topic, acknowledged


def counted(stored: Sequence[tuple[int, Record | Foreign]], chain: Chain) -> dict[int, bytes]:
    """The bodies of what counts from where the chain stands, by offset."""
    found: dict[int, bytes] = {}
    for offset, record in stored:
        if chain.take(offset, record) in EVENTS:
            assert isinstance(record, Record)
            assert record.first not in found, "counted twice"
            found[record.first] = unpack(record.body)[1]
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_was_acknowledged_counts_once_whoever_fights(seed: int) -> None:
    topic, acknowledged = await fight(seed)
    stored = [(at, read(PLACE, value)) for at, value in enumerate(topic.values)]

    found = counted(stored, Chain(expected=0))

    assert acknowledged.items() <= found.items()
    events = b"".join(body for _, body in sorted(found.items())).split(b";")[:-1]
    assert len(events) == len(set(events)), "doubled"
    ends = [first + body.count(b";") for first, body in sorted(found.items())]
    assert sorted(found) == [0, *ends[:-1]], "not dense"


@pytest.mark.parametrize("seed", range(SEEDS // 2))
async def test_wherever_one_begins_to_look_one_finds_the_same(seed: int) -> None:
    topic, _ = await fight(seed)
    stored = [(at, read(PLACE, value)) for at, value in enumerate(topic.values)]
    whole = Chain(expected=0)
    for high in range(1, len(stored) + 1):
        whole.take(*stored[high - 1])
        for start in range(0, high, 3):
            chain = follow(stored[start:high], lowest=0 if start == 0 else None)
            if chain is not None:
                assert (chain.owner, chain.expected) == (whole.owner, whole.expected)


@pytest.mark.parametrize("seed", range(SEEDS // 4))
async def test_reading_from_any_mark_misses_and_repeats_nothing(seed: int) -> None:
    topic, _ = await fight(seed)
    stored = [(at, read(PLACE, value)) for at, value in enumerate(topic.values)]
    found = counted(stored, Chain(expected=0))
    partition = Partition(topic, "t", PLACE)
    whole = await partition.whole()
    assert whole.end == max(first + body.count(b";") for first, body in found.items())
    for mark in range(0, whole.end + 1, 5):
        start, chain = await partition.find(whole, mark)
        rest = counted(stored[start:], chain)
        expected = {first: body for first, body in found.items() if first + body.count(b";") > mark}
        assert {first: body for first, body in rest.items() if first in expected} == expected
        assert rest.items() <= found.items()


class TestRecords:
    """What is no record of ours is never taken for one."""

    record = Record(kind=Kind.DATA, epoch=3, first=5, count=2, appended_at=7, body=b"body")

    def test_a_record_comes_back_equal(self) -> None:
        assert read(PLACE, write(PLACE, self.record)) == self.record

    def test_of_all_flipped_bits_none_is_overlooked(self) -> None:
        value = write(PLACE, self.record)
        for bit in range(8 * len(value)):
            flipped = bytearray(value)
            flipped[bit // 8] ^= 1 << bit % 8
            found = read(PLACE, bytes(flipped))
            assert isinstance(found, Foreign) or (found.damage and found.body == b"" and found.first == 5)
            assert isinstance(found, Foreign) or found.stored == bytes(flipped[-4:])

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, "no value"),
            (b"", "no value"),
            (b"hello", "begins with 68656c6c6f"),
            (b"OBVL", "cut off after 4 bytes"),
            (write(PLACE, record)[:40], "cut off after 40"),
            (write(Place("main", "events", 1), record), "copied here"),
        ],
    )
    def test_what_cannot_be_read_says_why(self, value: bytes | None, reason: str) -> None:
        found = read(PLACE, value)
        assert isinstance(found, Foreign)
        assert reason in found.reason

    def test_a_later_version_still_says_which_offsets_it_holds(self) -> None:
        found = read(PLACE, write(PLACE, self.record, version=9))
        assert isinstance(found, Record)
        assert (found.first, found.count, found.body) == (5, 2, b"")
        assert "version 9" in found.damage

    def test_a_body_that_claims_to_be_huge_is_not_unpacked(self) -> None:
        damage, body = unpack(zstandard.ZstdCompressor().compress(bytes(200_000_000)))
        assert "claims to hold more" in damage
        assert body == b""
