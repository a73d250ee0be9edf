"""Keeps a job folding: what the role `engine-spark` does, until it is cancelled."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from confluent_kafka import KafkaException

from obverse.adapters._kafka.clients import Topics, trouble
from obverse.adapters._kafka.codes import UNSETTLED
from obverse.adapters._kafka.folded import make_topics
from obverse.adapters.spark.cluster import Reach, SparkCluster, open_spark_cluster
from obverse.adapters.spark.environment import SparkEnvironment, find_spark
from obverse.adapters.spark.histories.answering import Answering
from obverse.adapters.spark.settings import Hosted, SparkSettings
from obverse.adapters.spark.submitting import SparkJob, reach, submit
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import AccessRefused, Unreachable

_LOOK: Final = 1.0
"""Seconds between two looks at whether all that should run does."""
_BESIDE_MB: Final = 256
"""What a worker may give beyond the heap of an executor."""

_log = structlog.get_logger(__name__)


async def open_engine_host(settings: SparkSettings, scratch: Path) -> SparkHost:
    """
    Entry point `obverse.engine_host:spark`. Logs and scratch files of a cluster on this machine go to the folder.

    Raises:
        ValueError: Kafka is not set.
    """
    settings.log()
    if "://" not in settings.folder:
        settings = replace(settings, folder=str(scratch.parent / settings.folder))
    return SparkHost(settings, scratch)


class SparkHost:
    """
    A cluster on this machine, if the settings name no other, and one job in it.

    Processes that end are started again; a job goes on from its checkpoint.
    """

    def __init__(self, settings: SparkSettings, scratch: Path, *, hosted: Hosted | None = None) -> None:
        self.settings = settings
        self._scratch = scratch
        self._hosted = hosted
        self.cluster: SparkCluster | None = None
        """The one on this machine, once it runs."""
        self.job: SparkJob | None = None
        """The one that was submitted last."""
        self.folded = asyncio.Event()
        """Set once there was a micro-batch."""
        self._trouble = ""
        self._histories = Answering(settings, scratch / "histories") if settings.in_batch else None

    async def run(self) -> None:
        """
        Keep it folding.

        Raises:
            SparkLacking: Spark is not installed.
            SparkFailed: it does not start, or does not take the job.
            Unreachable: Kafka cannot be reached; run again.
        """
        environment = find_spark(self.settings.home)
        await self._until_routed()
        while True:
            async with AsyncExitStack() as stack:
                reached = await self._reached(environment, stack)
                if self._histories is not None:
                    stack.push_async_callback(self._histories.stop)
                while self.cluster is None or self.cluster.master.alive:
                    if self.cluster is not None:
                        await _mend(self.cluster)
                    await self._look(reached, stack)
                    await self._compute(reached)
                    await asyncio.sleep(_LOOK)
            _log.warning("the master of Spark ended; the cluster is started again")

    async def _reached(self, environment: SparkEnvironment, stack: AsyncExitStack) -> Reach:
        settings = self.settings
        if settings.master:
            return reach(environment, settings.master)
        self.cluster = await open_spark_cluster(
            environment, self._scratch, workers=settings.cores, worker_mb=settings.executor_mb + _BESIDE_MB
        )
        stack.push_async_callback(self.cluster.close)
        return self.cluster.reach()

    async def _compute(self, reached: Reach) -> None:
        """See to the histories that are asked for; what hinders that hinders nobody from being folded."""
        if self._histories is None:
            return
        try:
            await self._histories.look(self._beside(reached))
            self._trouble = ""
        except (Unreachable, AccessRefused) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.warning("histories cannot be computed now", reason=self._trouble)

    def _beside(self, reached: Reach) -> Reach:
        """How a batch job reaches its cores: on this machine its driver has them, since the cluster's are taken."""
        return reached if self.cluster is None else replace(reached, url=f"local[{self.settings.history_cores}]")

    async def _until_routed(self) -> None:
        """Wait until what a router writes into is there, for Spark would not."""
        log = self.settings.log()
        await make_topics(log, self.settings.topic_partitions)
        topics = Topics(log)
        while True:
            try:
                if await topics.partitions(log.topic(Stream.ROUTED)):
                    return
            except KafkaException as error:
                if error.args[0].code() not in UNSETTLED:
                    raise trouble(error, "look for what was routed", log) from error
            await asyncio.sleep(_LOOK)

    async def _look(self, reached: Reach, stack: AsyncExitStack) -> None:
        if self.job is not None and self.job.alive:
            if self.job.progress() is not None:
                self.folded.set()
            return
        if self.job is not None:
            _log.warning("the job ended and is submitted again", told=self.job.driver.said()[-2000:])
        self.job = await submit(reached, self.settings, self._scratch / "job", hosted=self._hosted)
        stack.push_async_callback(self.job.stop)
        _log.info("the job was submitted", driver=self.job.driver.pid)


async def _mend(cluster: SparkCluster) -> None:
    for number, worker in enumerate(cluster.workers, 1):
        if not worker.alive:
            _log.warning("a worker of Spark ended and is started again", worker=number, told=worker.said()[-500:])
            await cluster.restart_worker(number)
