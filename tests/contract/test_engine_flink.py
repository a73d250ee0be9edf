"""Flink passes the suite of engines: a job for each test, in one cluster. It takes half an hour: `make engines`."""

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
from flinks import flink_home, until
from obverse.adapters.flink.cluster import FlinkCluster, open_cluster
from obverse.adapters.flink.engine import open_engine
from obverse.adapters.flink.hosting import FlinkHost
from obverse.adapters.flink.rest import FlinkRest
from obverse.adapters.flink.settings import FlinkSettings
from obverse.adapters.flink.submitting import Hosted
from obverse.adapters.kafka import open_event_log
from obverse.contracts.engine import EngineContract
from obverse.core.definitions import arriving
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import Stream
from obverse.sandboxes.kafka import KafkaSandbox

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif("OBVERSE_FLINK_EVENTS" not in os.environ, reason="`make engines` does it"),
]

TASK_MANAGERS = 3
HOSTED = Hosted(module="pickled_definitions", files=[Path(pickled_definitions.__file__)])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    home = flink_home()
    opened = asyncio.run(
        open_cluster(FlinkSettings(task_managers=TASK_MANAGERS), home, tmp_path_factory.mktemp("flink"))
    )
    yield opened
    for one in (*opened.task_managers, opened.job_manager):
        one.kill()


class TestFlink(EngineContract):
    keeps_what_was_stored = True
    one_order = False

    @pytest.fixture(autouse=True)
    async def hosts(self, cluster: FlinkCluster, kafka: KafkaSandbox, tmp_path: Path) -> AsyncIterator[None]:
        """What the test's jobs run in; they are gone when it ends."""
        self.cluster, self.kafka, self.folder = cluster, kafka, tmp_path
        self.works: dict[str, asyncio.Task[None]] = {}
        self.rest = FlinkRest(cluster.rest)
        yield
        while self.works:
            await self.end_oldest()
        await self.rest.close()

    async def end_oldest(self) -> None:
        """Have the oldest of the test's jobs be gone."""
        name = next(iter(self.works))
        work = self.works.pop(name)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        job = await self.rest.find(name)
        if job is not None:
            await self.rest.cancel(job.id)

        async def gone() -> bool:
            return await self.rest.find(name) is None

        await until(gone, "the job is gone")

    async def open_parts(self, partitions: int) -> EngineParts:
        # No promise needs all of them at once, and each wants a task manager.
        if len(self.works) == TASK_MANAGERS:
            await self.end_oldest()
        log = kafka_settings(self.kafka, partitions)
        table = {name: text for name, text in asdict(log).items() if name not in {"workspace", "partitions"}}
        settings = FlinkSettings(
            kafka=table,
            partitions=partitions,
            folder=str(self.folder / log.prefix),
            buckets=5,
            parallelism=1,
            checkpoint_ms=300,
            checkpoint_seconds=0.1,
            rest=self.cluster.rest,
        )
        parts = await memory_parts(partitions)
        parts = replace(parts, log=await open_event_log(log, parts.runtime))
        host = FlinkHost(settings, self.folder / "scratch", hosted=HOSTED)
        parts.runtime.__dict__["flink"] = settings
        # The suite is patient with engines, and not with Java that looks at a job: it runs before anything is routed.
        await (await parts.log.open_appender(Stream.ROUTED)).close()
        work = self.works[f"{log.prefix}.main"] = asyncio.create_task(host.run())

        async def folds() -> bool:
            assert not work.done()
            return host.job is not None and bool(await self.rest.tasks(host.job.id))

        await until(folds, "the job runs")
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

        return await open_engine(parts.runtime.__dict__["flink"], replace(parts, documents=documents))
