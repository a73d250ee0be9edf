"""The log in Apache Kafka keeps the promises of every log, against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from brokers import MortalRuntime, Topic, kafka_settings, segments
from obverse.adapters.kafka import open_event_log
from obverse.contracts.event_log import EventLogContract
from obverse.ports.event_log import EventLog, Stream
from obverse.sandboxes.kafka import KafkaSandbox

pytestmark = pytest.mark.service


class TestKafkaEventLog(EventLogContract):
    @pytest.fixture
    async def log(self, kafka: KafkaSandbox) -> AsyncIterator[EventLog]:
        self.kafka, self.settings = kafka, kafka_settings(kafka)
        self.runtime, self.opened = MortalRuntime(), list[EventLog]()
        yield await self.open()
        for log in self.opened:
            with suppress(asyncio.CancelledError):  # of a process that was killed
                await log.close()

    async def open(self) -> EventLog:
        self.opened.append(await open_event_log(self.settings, self.runtime))
        return self.opened[-1]

    async def reopen(self, log: EventLog) -> EventLog:
        del log
        await self.runtime.kill()
        shift, self.runtime = self.runtime.shift, MortalRuntime()
        self.runtime.shift = shift
        return await self.open()

    def shift_clock(self, seconds: float) -> None:
        self.runtime.shift += seconds

    async def damage(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        """In the broker's own file, as a disk would."""
        del log
        topic = Topic(self.settings, stream, partition)
        (value,) = [
            value for _, value, record in topic.records() if getattr(record, "first", -1) == first and record.count
        ]
        (segment,) = segments(self.kafka.brokers[0].folder, topic)
        content = segment.read_bytes()
        assert content.count(value) == 1
        place = content.index(value) + len(value) - 1
        with segment.open("r+b") as file:
            file.seek(place)
            file.write(bytes([content[place] ^ 1]))

    async def remove(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        """By writing the topic anew: Kafka itself removes no record in the midst of others."""
        del log
        topic = Topic(self.settings, stream, partition)
        kept = [
            value
            for _, value, record in topic.records()
            if not (getattr(record, "first", -1) == first and record.count)
        ]
        topic.write_anew(kept)

    async def intrude(self, log: EventLog, stream: Stream, partition: int) -> None:
        del log
        Topic(self.settings, stream, partition).send([b"what others wrote"])
