"""
A real shop's six weeks, turned over and told partly twice, in Flink and in Spark: the profiles of a plain reduce.

Beside it a made log, for merges and late events. Whoever folds is killed half-way, there are two of them and then one
again. It takes ten minutes: `make engines`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from brokers import kafka_settings
from engine_parts import memory_parts
from flinks import flink_home, until
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters.flink.engine import open_engine as open_flink_engine
from obverse.adapters.flink.hosting import FlinkHost
from obverse.adapters.flink.rest import FlinkRest
from obverse.adapters.flink.settings import FlinkSettings
from obverse.adapters.kafka import open_event_log
from obverse.adapters.spark.engine import open_engine as open_spark_engine
from obverse.adapters.spark.hosting import SparkHost
from obverse.adapters.spark.settings import SparkSettings
from obverse.contracts.engine_steps import append, expected, kept, load
from obverse.contracts.stories import tell
from obverse.core.events import Event
from obverse.ports.engine import Engine, EngineParts
from obverse.sandboxes.kafka import KafkaSandbox
from shop_steps import shop_documents, shop_story, turned_over
from spark_steps import executors, spark_environment

pytestmark = pytest.mark.service

PATIENCE = 900.0
PARTITIONS = 2
BUCKETS = 8


class Folds(Protocol):
    """Whoever hosts the buckets."""

    async def start(self, tasks: int) -> None:
        """Fold in so many tasks."""

    async def kill(self) -> None:
        """Kill whoever folds."""

    async def scale(self, tasks: int) -> None:
        """Fold in so many from now on."""

    async def end(self) -> None:
        """Fold no more."""


class InFlink:
    """In a cluster of its own, which is rescaled while it folds."""

    def __init__(self, table: dict[str, Any], folder: Path) -> None:
        flink_home()
        self.settings = FlinkSettings(
            kafka=table, folder=str(folder / "kept"), buckets=BUCKETS, checkpoint_ms=500, partitions=PARTITIONS
        )
        self._folder = folder

    async def open_engine(self, parts: EngineParts) -> Engine:
        return await open_flink_engine(self.settings, parts)

    async def start(self, tasks: int) -> None:
        self._host = FlinkHost(replace(self.settings, parallelism=tasks), self._folder / "cluster")
        self._work = asyncio.create_task(self._host.run())
        await self._until(tasks)

    async def kill(self) -> None:
        assert self._host.cluster is not None
        for one in self._host.cluster.task_managers:
            one.kill()

    async def scale(self, tasks: int) -> None:
        rest = self._rest()
        try:
            assert self._host.job is not None
            await rest.rescale(self._host.job.id, tasks)
        finally:
            await rest.close()
        await self._until(tasks)

    async def end(self) -> None:
        await _stop(self._work)

    def _rest(self) -> FlinkRest:
        assert self._host.cluster is not None
        return FlinkRest(self._host.cluster.rest)

    async def _until(self, tasks: int) -> None:
        async def folds() -> bool:
            if self._host.job is None:
                return False
            rest = self._rest()
            try:
                found = await rest.tasks(self._host.job.id)
            finally:
                await rest.close()
            return any("fold" in name and number == tasks for name, number in found.items())

        await until(folds, f"{tasks} tasks fold")


class InSpark:
    """In a cluster of its own; with another number of executors the job goes on from its checkpoint."""

    def __init__(self, table: dict[str, Any], folder: Path) -> None:
        spark_environment()
        self.settings = SparkSettings(
            kafka=table,
            folder=str(folder / "kept"),
            buckets=BUCKETS,
            partitions=PARTITIONS,
            topic_partitions=2,
            tasks=2,
            executor_java="-XX:TieredStopAtLevel=1",
        )
        self._folder = folder

    async def open_engine(self, parts: EngineParts) -> Engine:
        return await open_spark_engine(self.settings, parts)

    async def start(self, tasks: int) -> None:
        self._host = SparkHost(replace(self.settings, cores=tasks), self._folder / "scratch")
        self._work = asyncio.create_task(self._host.run())
        await self._host.folded.wait()

    async def kill(self) -> None:
        assert self._host.cluster is not None
        killed = executors(self._host.cluster)
        assert killed
        for one in killed:
            one.kill()

    async def scale(self, tasks: int) -> None:
        await self.end()
        await self.start(tasks)

    async def end(self) -> None:
        await _stop(self._work)


async def _stop(work: asyncio.Task[None]) -> None:
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


@pytest.fixture(scope="module")
def story() -> Sequence[Event]:
    return [*shop_story(), *tell(seed=31, people=200, events=6000)]


async def _until_folded(engine: Engine, events: int) -> None:
    async def folded() -> bool:
        return sum(engine.progress.folded.values()) >= events

    await until(folded, f"{events} are folded")


def only_where(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in os.environ, reason="`make engines` does it")


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(InFlink, marks=only_where("OBVERSE_FLINK_EVENTS")),
        pytest.param(InSpark, marks=only_where("OBVERSE_SPARK_EVENTS")),
    ],
)
async def test_a_shop_turned_over_killed_and_rescaled_is_what_a_reduce_makes_of_it(
    opening: type[InFlink | InSpark],
    kafka: KafkaSandbox,
    tmp_path: Path,
    story: Sequence[Event],
) -> None:
    documents = shop_documents()
    definitions = Reading()(1, documents)
    log = kafka_settings(kafka, partitions=PARTITIONS)
    table = {name: value for name, value in asdict(log).items() if name not in {"workspace", "partitions"}}
    host = opening(table, tmp_path)
    parts = await memory_parts(PARTITIONS, definitions)
    parts = replace(parts, log=await open_event_log(log, parts.runtime), documents=lambda _: documents)
    wanted = expected([(0, offset, event) for offset, event in enumerate(story)], definitions)
    told = turned_over(story, seed=3)
    half, third = len(told) // 2, len(told) // 3

    placed = await append(parts, told[:half], batch=173)
    engine = await host.open_engine(parts)
    work = parts.runtime.spawn("engine", engine.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await host.start(1)
            await _until_folded(engine, third)
            await host.kill()
            await _until_folded(engine, third + 1)
            await host.scale(2)
            placed += await append(parts, told[half:-third], batch=89)
            await _until_folded(engine, half + 1)
            await host.scale(1)
            placed += await append(parts, told[-third:], batch=211)
            await engine.drain()
        assert await kept(parts, placed) == wanted
        assert (await parts.store.overview()).events == len(story)
        assert any(len(one.identifiers) > 2 for one in await load(parts, placed))
    finally:
        await host.end()
        await work.stop()
        await parts.log.close()
