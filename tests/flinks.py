"""Apache Flink for tests: a cluster, topics of one's own, and what came of them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is documented there

import counting
from obverse.adapters.flink.cluster import FlinkCluster, open_cluster
from obverse.adapters.flink.home import FlinkHome, FlinkLacking, find_home
from obverse.adapters.flink.rest import FlinkRest
from obverse.adapters.flink.settings import FlinkSettings
from obverse.adapters.flink.submitting import Hosted, job_name, submit
from obverse.sandboxes.kafka import KafkaSandbox

PARTITIONS = 4
BUCKETS = 8
PATIENCE = 240.0


def flink_home() -> FlinkHome:
    """Find Flink; where it is not the tests are skipped, but not in CI."""
    try:
        return find_home()
    except FlinkLacking as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until something holds that other processes bring about."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await holds():  # noqa: ASYNC110 - other processes bring it about
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"after {PATIENCE:.0f} s not: {what}") from None


@dataclass(slots=True)
class Counted:
    """What is routed into a job that counts, and what came of it."""

    settings: FlinkSettings
    home: FlinkHome
    cluster: FlinkCluster
    rest: FlinkRest
    job: str = ""
    sent: Counter[tuple[int, str]] = field(default_factory=Counter)
    dice: Random = field(default_factory=lambda: Random(7))
    _counts: dict[tuple[int, str], int] = field(default_factory=dict)
    _told: dict[int, int] = field(default_factory=dict)
    _offsets: dict[int, int] = field(default_factory=dict)

    async def submit(self, *, parallelism: int, restore: str = "") -> None:
        """Have a job count, and wait until it runs."""
        settings = replace(self.settings, parallelism=parallelism)
        hosted = Hosted(module="counting", files=[Path(counting.__file__)])
        self.job = await submit(settings, self.home, restore=restore, hosted=hosted)
        await self.until_folding(parallelism)

    async def until_folding(self, parallelism: int) -> None:
        """Wait until so many tasks fold."""

        async def folds() -> bool:
            tasks = await self.rest.tasks(self.job)
            return any("fold" in name and number == parallelism for name, number in tasks.items())

        await until(folds, f"{parallelism} tasks fold")

    async def until_checkpoint(self) -> None:
        """Wait until the job has made one more."""
        before = await self.rest.checkpoints(self.job)

        async def more() -> bool:
            return await self.rest.checkpoints(self.job) > before

        await until(more, "one more checkpoint")

    def send(self, records: int) -> None:
        """Route some more."""
        producer = Producer({"bootstrap.servers": self.settings.log().servers, "linger.ms": 5})
        for _ in range(records):
            routed: dict[str, dict[str, int]] = {}
            for bucket in self.dice.sample(range(BUCKETS), BUCKETS // 2):
                counts = Counter(f"k{self.dice.randrange(20)}" for _ in range(12))
                routed[str(bucket)] = dict(counts)
                self.sent.update({(bucket, key): more for key, more in counts.items()})
            producer.produce(self.settings.log().topic("routed"), json.dumps(routed).encode(), partition=0)
        assert producer.flush(60) == 0

    def read(self) -> None:
        """See what else was folded: the highest count of each key, for what is folded twice says less at first."""
        assert not list(Path().glob("*obverse.log*")), "whoever submits finds no log where they were"
        topic = self.settings.log().topic("folded")
        consumer = Consumer(
            {"bootstrap.servers": self.settings.log().servers, "group.id": "tests", "enable.auto.commit": False}
        )
        ends = {one: consumer.get_watermark_offsets(TopicPartition(topic, one), 60)[1] for one in range(PARTITIONS)}
        at = {one: self._offsets.get(one, 0) for one in ends}
        consumer.assign([TopicPartition(topic, one, offset or OFFSET_BEGINNING) for one, offset in at.items()])
        while any(at[one] < end for one, end in ends.items()):
            for message in consumer.consume(1000, 0.1):
                assert message.error() is None
                at[message.partition() or 0] = (message.offset() or 0) + 1
                said = json.loads(message.value() or b"")
                bucket = said["bucket"]
                assert int.from_bytes(message.key() or b"") == bucket
                self._told[bucket] = max(self._told.get(bucket, 0), said["told"])
                for key, count in said["counts"].items():
                    self._counts[bucket, key] = max(self._counts.get((bucket, key), 0), count)
        self._offsets = at
        consumer.close()

    @property
    def counted(self) -> int:
        """How much of what was sent is counted, as far as it was read."""
        return sum(self._counts.values())

    async def until_counted(self, least: int) -> None:
        """Wait until so much is counted."""

        async def enough() -> bool:
            await asyncio.to_thread(self.read)
            return self.counted >= least

        await until(enough, f"{least} counted")

    async def until_exact(self) -> None:
        """Wait until all that was sent is counted and told of; then no count is too high."""
        told = sum(count // counting.MOVED for count in self.sent.values())

        async def all_there() -> bool:
            await asyncio.to_thread(self.read)
            return self.counted >= self.sent.total() and sum(self._told.values()) >= told

        await until(all_there, f"{self.sent.total()} counted and {told} told of")
        assert self._counts == dict(self.sent)
        assert sum(self._told.values()) == told


@asynccontextmanager
async def counted_in(
    kafka: KafkaSandbox, home: FlinkHome, cluster: FlinkCluster, folder: Path
) -> AsyncIterator[Counted]:
    """Topics, and a cluster that has no job yet; jobs are cancelled at the end."""
    settings = FlinkSettings(
        kafka={"servers": kafka.servers, "prefix": f"test-{secrets.token_hex(4)}"},
        folder=str(folder),
        buckets=BUCKETS,
        checkpoint_ms=500,
        rest=cluster.rest,
        trait_modules=[str(BUCKETS)],
    )
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    partitions = {"routed": 1, "moves": 2, "folded": PARTITIONS}
    new = [NewTopic(settings.log().topic(name), number, 1) for name, number in partitions.items()]
    for made in admin.create_topics(new, operation_timeout=60).values():
        made.result()
    rest = FlinkRest(cluster.rest)
    counted = Counted(settings, home, cluster, rest)
    try:
        yield counted
    finally:
        job = await rest.find(job_name(settings))
        if job is not None:
            await rest.cancel(job.id)
        await rest.close()


@asynccontextmanager
async def cluster_in(folder: Path, home: FlinkHome) -> AsyncIterator[FlinkCluster]:
    """A cluster with two task managers."""
    settings = FlinkSettings()
    cluster = await open_cluster(settings, home, folder)
    try:
        yield cluster
    finally:
        for one in (*cluster.task_managers, cluster.job_manager):
            one.kill()  # nobody needs what they would tidy up
