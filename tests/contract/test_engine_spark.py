"""Spark passes the suite of engines: a job for each test, in one cluster. It takes an hour: `make engines`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import pickled_definitions
from brokers import kafka_settings
from engine_parts import SettableRuntime, memory_parts
from obverse.adapters.kafka import open_event_log
from obverse.adapters.spark.cluster import SparkCluster, open_spark_cluster
from obverse.adapters.spark.engine import open_engine
from obverse.adapters.spark.hosting import SparkHost
from obverse.adapters.spark.settings import Hosted, SparkSettings
from obverse.contracts.engine import EngineContract
from obverse.core.definitions import arriving
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import Stream
from obverse.sandboxes.kafka import KafkaSandbox
from spark_steps import PATIENCE, spark_environment

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif("OBVERSE_SPARK_EVENTS" not in os.environ, reason="`make engines` does it"),
]

WORKERS = 2
HOSTED = Hosted(module=pickled_definitions.__name__, files=[Path(pickled_definitions.__file__)])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    environment = spark_environment()
    with asyncio.Runner() as runner:
        opened = runner.run(open_spark_cluster(environment, tmp_path_factory.mktemp("spark"), workers=WORKERS))
        yield opened
        runner.run(opened.close())


class TestSpark(EngineContract):
    keeps_what_was_stored = True
    one_order = False

    @pytest.fixture(autouse=True)
    async def hosts(
        self, cluster: SparkCluster, kafka: KafkaSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[None]:
        """What the test's jobs run in: for them it is a cluster that somebody else runs."""
        self.cluster, self.kafka, self.folder = cluster, kafka, tmp_path
        for name, value in cluster.reach().variables.items():
            if name.startswith("SPARK_"):
                monkeypatch.setenv(name, value)
        self.works: list[asyncio.Task[None]] = []
        yield
        while self.works:
            await self.end_oldest()

    async def end_oldest(self) -> None:
        """Have the oldest of the test's jobs be gone."""
        work = self.works.pop(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    async def open_parts(self, partitions: int) -> EngineParts:
        # No promise needs more than two at once, and each wants a worker.
        if len(self.works) == WORKERS:
            await self.end_oldest()
        log = kafka_settings(self.kafka, partitions)
        table = {name: value for name, value in asdict(log).items() if name not in {"workspace", "partitions"}}
        settings = SparkSettings(
            kafka=table,
            partitions=partitions,
            folder=str(self.folder / log.prefix),
            buckets=5,
            topic_partitions=2,
            cores=1,
            tasks=1,
            checkpoint_seconds=0.1,
            master=self.cluster.url,
            executor_java="-XX:TieredStopAtLevel=1",
        )
        parts = await memory_parts(partitions)
        parts = replace(parts, log=await open_event_log(log, parts.runtime))
        # The suite's patience is for an engine that runs: the appender's claim is the first micro-batch.
        await (await parts.log.open_appender(Stream.ROUTED)).close()
        host = SparkHost(settings, self.folder / log.prefix / "scratch", hosted=HOSTED)
        self.works.append(asyncio.create_task(host.run()))
        async with asyncio.timeout(PATIENCE):
            await host.folded.wait()
        parts.runtime.__dict__["spark"] = settings
        return parts

    def set_clock(self, parts: EngineParts, now: int) -> None:
        assert isinstance(parts.runtime, SettableRuntime)
        parts.runtime.set(now)

    async def open_engine(self, parts: EngineParts) -> Engine:
        def documents(beside: bool) -> bytes:  # noqa: FBT001 - as the port has it
            defined, coming = parts.definitions(), parts.arriving()
            if beside and coming is not None:
                fresh = arriving.fresh(coming.definitions, defined)
                defined = arriving.folding(defined, fresh, coming.version)
            return pickled_definitions.written(defined)

        return await open_engine(parts.runtime.__dict__["spark"], replace(parts, documents=documents))
