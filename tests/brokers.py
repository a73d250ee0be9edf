"""Apache Kafka for tests: one broker a session, and a prefix of its own for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is documented there

from obverse.adapters._kafka.codes import AT_END
from obverse.adapters._kafka.records import Place, Record, read
from obverse.adapters.kafka import KafkaLogSettings
from obverse.adapters.runtime.system import TaskWork
from obverse.ports.event_log import Stream
from obverse.ports.runtime import Work
from obverse.sandboxes import SandboxLacking
from obverse.sandboxes.kafka import KafkaSandbox, open_kafka_sandbox
from services import ShiftedRuntime


async def start_kafka(folder: Path, brokers: int = 1) -> KafkaSandbox:
    """Start brokers; where that is impossible the tests are skipped, but not in CI."""
    try:
        return await open_kafka_sandbox(folder, brokers=brokers)
    except SandboxLacking as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def kill_kafka(sandbox: KafkaSandbox) -> None:
    """End them at once: nobody needs what they would tidy up."""
    for broker in sandbox.brokers:
        broker.kill()


@asynccontextmanager
async def kafka_running(folder: Path, brokers: int = 1) -> AsyncIterator[KafkaSandbox]:
    """Have brokers of one's own for a while."""
    sandbox = await start_kafka(folder, brokers)
    try:
        yield sandbox
    finally:
        kill_kafka(sandbox)


def kafka_settings(sandbox: KafkaSandbox, partitions: int = 2) -> KafkaLogSettings:
    """Of a log that nobody else uses."""
    return KafkaLogSettings(
        servers=sandbox.servers,
        prefix=f"test-{secrets.token_hex(4)}",
        partitions=partitions,
        replication=len(sandbox.brokers),
        min_insync=(len(sandbox.brokers) + 1) // 2,
        flush=False,
        lease_ms=1000,
    )


@dataclass(frozen=True, slots=True)
class Topic:
    """A partition of a topic, as anybody reaches it who has a client of Kafka."""

    settings: KafkaLogSettings
    stream: Stream
    partition: int

    @property
    def name(self) -> str:
        return self.settings.topic(self.stream)

    @property
    def place(self) -> Place:
        return Place(self.settings.workspace, str(self.stream), self.partition)

    def values(self) -> list[tuple[int, bytes]]:
        """Kafka offset and value of every record."""
        consumer = Consumer(self._client() | {"group.id": "tests", "enable.partition.eof": True})
        found: list[tuple[int, bytes]] = []
        try:
            consumer.assign([TopicPartition(self.name, self.partition, OFFSET_BEGINNING)])
            while True:
                message = consumer.poll(60)
                assert message is not None
                error = message.error()
                if error is None:
                    found.append((message.offset() or 0, message.value() or b""))
                elif error.code() == AT_END:
                    return found
        finally:
            consumer.close()

    def records(self) -> list[tuple[int, bytes, Record]]:
        """The same, of what is ours, with what it says."""
        seen = [(offset, value, read(self.place, value)) for offset, value in self.values()]
        return [(offset, value, record) for offset, value, record in seen if isinstance(record, Record)]

    def send(self, values: Sequence[bytes]) -> list[int]:
        """Write records; returns their Kafka offsets."""
        offsets: list[int] = []
        producer = Producer(self._client() | {"acks": "all"})
        for value in values:
            producer.produce(
                self.name,
                value,
                partition=self.partition,
                on_delivery=lambda error, message: offsets.append(-1 if error else message.offset() or 0),
            )
        producer.flush(60)
        assert len(offsets) == len(values)
        assert -1 not in offsets
        return offsets

    def write_anew(self, values: Sequence[bytes]) -> None:
        """Have the topic hold these records and nothing else."""
        admin = AdminClient(self._client())
        admin.delete_topics([self.name], operation_timeout=60)[self.name].result()
        while self.name in admin.list_topics(timeout=60).topics:
            pass
        new = NewTopic(self.name, self.settings.partitions, self.settings.replication)
        admin.create_topics([new], operation_timeout=60)[self.name].result()
        self.send(values)

    def _client(self) -> dict[str, Any]:
        return self.settings.client() | {"topic.metadata.refresh.fast.interval.ms": 20}


def segments(folder: Path, topic: Topic) -> list[Path]:
    """The files in which a broker keeps a partition."""
    return sorted((folder / "data" / f"{topic.name}-{topic.partition}").glob("*.log"))


class MortalRuntime(ShiftedRuntime):
    """A runtime whose process can be killed: all that it was doing stops at once, and nothing is tidied up."""

    def __init__(self) -> None:
        super().__init__()
        self._works: list[Work] = []

    def spawn(self, name: str, work: object) -> Work:
        """See `Runtime.spawn`."""
        started = super().spawn(name, work)  # type: ignore[arg-type]  # passed on as it is
        self._works.append(started)
        return started

    async def kill(self) -> None:
        """Stop everything."""
        works, self._works = self._works, []
        for work in works:
            assert isinstance(work, TaskWork)
            await work.stop()
