"""Spark as an engine's host, with a real cluster and a real broker: whatever dies, everything is folded once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obverse.adapters.spark.cluster import SparkCluster
from obverse.adapters.spark.settings import job_name
from obverse.adapters.spark.submitting import SparkJob, end, running, submit
from obverse.sandboxes.kafka import KafkaSandbox
from spark_steps import Ledger, ended, executors, hosted

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif("OBVERSE_SPARK_EVENTS" not in os.environ, reason="`make engines` does it"),
]

RECORDS = int(os.environ.get("OBVERSE_SPARK_RECORDS", "200"))
"""Records of `routed` in each part of the story."""
ROUNDS = int(os.environ.get("OBVERSE_SPARK_ROUNDS", "1"))
"""How often the story is told."""


async def test_all_is_folded_once_whatever_is_killed(
    spark_cluster: SparkCluster, kafka: KafkaSandbox, tmp_path: Path
) -> None:
    ledger = Ledger(kafka, tmp_path / "checkpoint")

    async def submitted(cores: int, *, once: bool = False) -> SparkJob:
        settings = ledger.settings(cores=cores)
        return await submit(spark_cluster.reach(), settings, tmp_path / "job", hosted=hosted(once=once))

    job = await submitted(cores=1)
    try:
        for left in reversed(range(ROUNDS)):
            # An executor dies in the middle, and the job goes on with another one.
            before = ledger.cuts
            ledger.send(RECORDS)
            await ledger.until_begun(before, job)
            for executor in executors(spark_cluster):
                executor.kill()
            await ledger.until_all(job)
            # It is stopped in the middle, and goes on with two cores.
            before = ledger.cuts
            ledger.send(RECORDS)
            name = job_name(ledger.settings())
            assert name in await running(spark_cluster)
            assert await end(spark_cluster, name)
            assert not await end(spark_cluster, "another")
            await ended(job)
            job = await submitted(cores=2)
            # The driver dies in the middle, and the job goes on with one core, until nothing is left.
            await ledger.until_begun(before, job)
            job.kill()
            ledger.send(RECORDS)
            job = await submitted(cores=1, once=True)
            await ledger.until_end(job)
            job = await submitted(cores=1) if left else job
    finally:
        job.kill()
