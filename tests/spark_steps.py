"""Steps of tests with a real cluster of Spark: topics, what is sent, what must come of it."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is documented there

import spark_parts
from obverse.adapters.spark.cluster import SparkCluster
from obverse.adapters.spark.environment import SparkEnvironment, SparkLacking, find_spark
from obverse.adapters.spark.settings import Hosted, SparkSettings
from obverse.adapters.spark.submitting import SparkJob
from obverse.sandboxes.kafka import KafkaSandbox
from spark_parts import BUCKETS, MOVED, Folded

PATIENCE = 300.0
"""Seconds to wait for a state; other work may load the machine heavily."""
PARTITIONS = 2
"""Of `moves` and `folded`."""


def spark_environment() -> SparkEnvironment:
    """Spark; where it is not, the tests are skipped, but not in CI."""
    try:
        return find_spark()
    except SparkLacking as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@dataclass
class Ledger:
    """The topics of one job, what was sent, and what was read of what it folded."""

    kafka: KafkaSandbox
    checkpoint: Path
    prefix: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")
    cuts: int = 0
    """Slices sent."""
    expected: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    """(bucket, key) -> the sum of its amounts."""
    folded: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By bucket, what was folded, in the order of the numbers."""
    totals: dict[tuple[int, int], int] = field(default_factory=dict)
    """(bucket, key) -> its sum, as the machines told it last."""
    cut: list[int] = field(default_factory=list)
    """The numbers of the slices that were folded."""
    repeated: int = 0
    """Records that were written twice."""

    def __post_init__(self) -> None:
        client: dict[str, Any] = {"bootstrap.servers": self.kafka.servers, "log_level": 0}
        topics = [NewTopic(self.topic("routed"), 1, 1)]
        topics += [NewTopic(self.topic(stream), PARTITIONS, 1) for stream in ("moves", "folded")]
        admin = AdminClient(client)
        for made in admin.create_topics(topics, operation_timeout=60).values():
            made.result()
        self._producer = Producer(client | {"linger.ms": 5})
        self._consumer = Consumer(client | {"group.id": "tests", "enable.auto.commit": False})
        name = self.topic("folded")
        self._consumer.assign([TopicPartition(name, one, OFFSET_BEGINNING) for one in range(PARTITIONS)])
        self._dice = random.Random(11)

    def settings(self, *, cores: int = 1) -> SparkSettings:
        return SparkSettings(
            kafka={"servers": self.kafka.servers, "prefix": self.prefix},
            folder=str(self.checkpoint),
            cores=cores,
            tasks=2,
            batch_records=40,
            executor_java="-XX:TieredStopAtLevel=1",
        )

    def topic(self, stream: str) -> str:
        return self.settings().log().topic(stream)

    def send(self, records: int) -> None:
        """Append records to `routed`, each with a few slices of a few amounts."""
        for _ in range(records):
            slices = []
            for _ in range(self._dice.randrange(1, 6)):
                bucket = self._dice.randrange(BUCKETS)
                amounts = {self._dice.randrange(300): self._dice.randrange(1000) for _ in range(20)}
                slices.append((bucket, amounts))
                for key, amount in amounts.items():
                    self.expected[(bucket if key % MOVED else (bucket + 1) % BUCKETS), key] += amount
            self.cuts += len(slices)
            self._producer.produce(self.topic("routed"), msgspec.msgpack.encode(slices))
        assert self._producer.flush(60) == 0

    def read(self) -> None:
        """Read what was folded meanwhile. What was written twice must be the same both times, and nothing missing."""
        for message in self._consumer.consume(1000, timeout=0.2):
            assert message.error() is None, message.error()
            value = message.value() or b""
            record = msgspec.msgpack.decode(value, type=Folded)
            seen = self.folded[record.bucket]
            if record.number < len(seen):
                assert seen[record.number] == value
                self.repeated += 1
            else:
                assert record.number == len(seen), f"bucket {record.bucket}: {len(seen)} is missing"
                seen.append(value)
                self.totals.update({(record.bucket, key): total for key, total in record.totals.items()})
                self.cut += [] if record.cut is None else [record.cut]

    async def until(self, reached: Callable[[], bool], job: SparkJob) -> None:
        """Read until a state is reached, while the job lives."""
        async with asyncio.timeout(PATIENCE):
            while not reached():
                assert job.alive, job.driver.said()[-5000:]
                await asyncio.to_thread(self.read)

    async def until_begun(self, before: int, job: SparkJob) -> None:
        """Read until some more were folded than those before, and most were not yet."""
        await self.until(lambda: len(self.cut) > before + 20, job)

    async def until_all(self, job: SparkJob) -> None:
        """Read until all that was sent was folded; then it must be right."""
        await self.until(self._all, job)

    async def until_end(self, job: SparkJob) -> None:
        """Wait for a job that ends by itself; all that was sent must have been folded then."""
        process = job.driver.process
        assert process is not None
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0, job.driver.said()[-5000:]
        async with asyncio.timeout(PATIENCE):
            while not self._all():
                await asyncio.to_thread(self.read)

    def _all(self) -> bool:
        if len(self.cut) < self.cuts or self.totals != self.expected:
            return False
        assert sorted(self.cut) == list(range(self.cuts))
        return True


def hosted(*, once: bool = False) -> Hosted:
    """The parts that stand in for the real ones."""
    return Hosted(module=spark_parts.__name__, files=[Path(spark_parts.__file__)], once=once)


def executors(cluster: SparkCluster) -> list[psutil.Process]:
    """The executors of all workers."""
    found = []
    for worker in cluster.workers:
        if worker.alive:
            found += [child for child in psutil.Process(worker.pid).children() if child.is_running()]
    return found


async def ended(job: SparkJob) -> None:
    """Wait until the driver is gone."""
    process = job.driver.process
    assert process is not None
    await asyncio.to_thread(process.wait, PATIENCE)
