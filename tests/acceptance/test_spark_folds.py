"""Profiles folded in Spark are those of a plain reduce, though processes are killed and a trait changes meanwhile."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from brokers import kafka_settings
from obverse.adapters.spark.engine import open_engine
from obverse.adapters.spark.hosting import open_engine_host
from obverse.adapters.spark.settings import SparkSettings
from obverse.contracts.engine_steps import append, expected, kept
from obverse.contracts.stories import tell
from obverse.ports.backfills import Phase
from obverse.sandboxes.kafka import KafkaSandbox
from spark_folds import NEWEST, definitions, kafka_parts
from spark_steps import PATIENCE, executors, spark_environment

pytestmark = pytest.mark.service

EVENTS = int(os.environ.get("OBVERSE_SPARK_EVENTS", "4000"))


async def test_profiles_are_those_of_a_plain_reduce_whatever_is_killed(kafka: KafkaSandbox, tmp_path: Path) -> None:
    spark_environment()
    log = kafka_settings(kafka, partitions=1)
    changing, parts = await kafka_parts(log)
    settings = SparkSettings(
        kafka={name: value for name, value in asdict(log).items() if name not in {"workspace", "partitions"}},
        folder="kept",
        buckets=6,
        topic_partitions=2,
        cores=1,
        tasks=2,
        batch_records=8,
        executor_java="-XX:TieredStopAtLevel=1",
        history="kafka",
    )
    placed = await append(parts, tell(seed=7, people=60, events=EVENTS), batch=50)
    engine = await open_engine(settings, parts)
    host = await open_engine_host(settings, tmp_path / "scratch")
    works = [parts.runtime.spawn("engine", engine.run()), parts.runtime.spawn("host", host.run())]
    try:
        async with asyncio.timeout(PATIENCE):
            await host.folded.wait()
            assert host.cluster is not None
            for executor in executors(host.cluster):
                executor.kill()
            driver = host.job
            assert driver is not None
            driver.kill()
            host.cluster.workers[0].kill()
            await engine.drain()
        assert host.job is not driver
        assert (tmp_path / "kept" / "offsets").is_dir()
        assert await kept(parts, placed) == expected(placed, definitions())
        assert engine.progress.events == EVENTS
        changing.change(definitions(NEWEST))
        async with asyncio.timeout(PATIENCE):
            while (known := await parts.store.backfill()) is None or known.phase is not Phase.DONE:
                await parts.runtime.sleep(0.1)
        assert await kept(parts, placed) == expected(placed, definitions(NEWEST))
        assert (tmp_path / "scratch" / "histories" / "driver.log").is_file(), "a batch job has computed it"
    finally:
        for work in works:
            await work.stop()
        await parts.log.close()
