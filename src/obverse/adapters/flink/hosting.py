"""Keeps a job folding: what the role `engine-flink` does, until it is cancelled."""

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
from obverse.adapters.flink.cluster import FlinkCluster, open_cluster
from obverse.adapters.flink.home import FlinkHome, find_home
from obverse.adapters.flink.rest import FlinkFailed, FlinkRest, Job
from obverse.adapters.flink.settings import FlinkSettings
from obverse.adapters.flink.submitting import Hosted, job_name, newest_checkpoint, submit
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable

_LOOK: Final = 1.0
"""Seconds between two looks at whether all that should run does."""

_log = structlog.get_logger(__name__)


async def open_engine_host(settings: FlinkSettings, scratch: Path) -> FlinkHost:
    """
    Entry point `obverse.engine_host:flink`. Logs and scratch files of a cluster on this machine go to the folder.

    Raises:
        ValueError: Kafka is not set.
    """
    settings.log()
    scratch = _absolute(scratch)  # its processes run elsewhere
    if "://" not in settings.folder:
        settings = replace(settings, folder=str(scratch.parent / settings.folder))
    return FlinkHost(settings, scratch)


def _absolute(folder: Path) -> Path:
    return folder.absolute()


class FlinkHost:
    """
    A cluster on this machine, if the settings name no other, and one job in it.

    Processes of the cluster that end are started again. If there is no job, one is submitted with the latest
    checkpoint; a job that runs already goes on as it is.
    """

    def __init__(self, settings: FlinkSettings, scratch: Path, *, hosted: Hosted | None = None) -> None:
        self.settings = settings
        self._scratch = scratch
        self._hosted = hosted
        self._failed_at = 0
        self.cluster: FlinkCluster | None = None
        """The one on this machine, once it runs."""
        self.job: Job | None = None
        """As it was when it was looked at last."""

    async def run(self) -> None:
        """
        Keep it folding.

        Raises:
            FlinkLacking: Flink is not installed.
            FlinkFailed: it does not start, or does not take the job.
            Unreachable: Kafka, or a cluster elsewhere, cannot be reached; run again.
        """
        home = find_home(self.settings.home)
        await self._until_routed()
        async with AsyncExitStack() as stack:
            if not self.settings.rest:
                self.cluster = await open_cluster(self.settings, home, self._scratch)
                stack.push_async_callback(self.cluster.close)
            settings = self.settings if self.cluster is None else replace(self.settings, rest=self.cluster.rest)
            rest = FlinkRest(settings.rest)
            stack.push_async_callback(rest.close)
            while True:
                if self.cluster is not None:
                    await _mend(self.cluster)
                await self._look(settings, home, rest)
                await asyncio.sleep(_LOOK)

    async def _until_routed(self) -> None:
        """Wait until what a router writes into is there, for Flink would not."""
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

    async def _look(self, settings: FlinkSettings, home: FlinkHome, rest: FlinkRest) -> None:
        try:
            self.job = await rest.find(job_name(settings))
            if self.job is not None:
                await self._tell_failure(rest, self.job.id)
        except Unreachable:
            if self.cluster is None:
                raise
            return  # it was just started again
        except FlinkFailed:
            return  # the job ended between two questions
        if self.job is None:
            restore = newest_checkpoint(settings.place())
            try:
                self.job = Job(await submit(settings, home, restore=restore, hosted=self._hosted), "CREATED")
            except FlinkFailed:
                if self.cluster is None or self.cluster.job_manager.alive:
                    raise
                return  # it died meanwhile, and is started again
            _log.info("the job was submitted", job=self.job.id, restored=restore or "nothing")

    async def _tell_failure(self, rest: FlinkRest, job: str) -> None:
        """Say why the job failed, once; Flink has it begin anew with its latest checkpoint, for ever."""
        at, reason = await rest.failure(job)
        if at > self._failed_at:
            self._failed_at = at
            _log.error("the job failed and begins anew with its latest checkpoint", job=job, reason=reason)


async def _mend(cluster: FlinkCluster) -> None:
    for one in (cluster.job_manager, *cluster.task_managers):
        if not one.alive:
            _log.warning(
                "a process of Flink ended and is started again", process=one.name, told=one.last_words()[-500:]
            )
            one.start()
