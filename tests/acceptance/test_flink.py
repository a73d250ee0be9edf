"""Flink hosts buckets: whatever is killed, saved and rescaled, each slice counts once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flinks import Counted, cluster_in, counted_in, flink_home
from obverse.adapters.flink.submitting import job_name, newest_checkpoint
from obverse.sandboxes.kafka import KafkaSandbox

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif("OBVERSE_FLINK_EVENTS" not in os.environ, reason="`make engines` does it"),
]


@pytest.fixture
async def counted(kafka: KafkaSandbox, tmp_path: Path) -> AsyncIterator[Counted]:
    home = flink_home()
    async with (
        cluster_in(tmp_path / "cluster", home) as cluster,
        counted_in(kafka, home, cluster, tmp_path / "kept") as one,
    ):
        yield one


async def test_what_is_killed_saved_and_rescaled_counts_each_slice_once(counted: Counted) -> None:
    counted.send(50)
    await counted.submit(parallelism=1)
    await counted.until_checkpoint()

    # kill -9 of whoever folds, amid the work.
    counted.send(300)
    await counted.until_counted(counted.sent.total() // 5)
    for one in counted.cluster.task_managers:
        one.kill()
    for one in counted.cluster.task_managers:
        one.start()
    counted.send(50)
    await counted.until_exact()

    # A savepoint, and another number of tasks.
    saved = await counted.rest.save(counted.job, f"{counted.settings.place()}/savepoints", stop=True)
    counted.send(50)
    await counted.submit(parallelism=2, restore=saved)
    counted.send(50)
    await counted.until_exact()

    # Fewer tasks while it runs.
    counted.send(100)
    await counted.rest.rescale(counted.job, 1)
    await counted.until_folding(1)
    counted.send(50)
    await counted.until_exact()

    # kill -9 of the job manager, which alone knew of its job.
    counted.send(100)
    counted.cluster.job_manager.kill()
    counted.cluster.job_manager.start()
    await counted.cluster.until_ready()
    assert await counted.rest.find(job_name(counted.settings)) is None
    await counted.submit(parallelism=2, restore=newest_checkpoint(counted.settings.place()))
    counted.send(50)
    await counted.until_exact()
