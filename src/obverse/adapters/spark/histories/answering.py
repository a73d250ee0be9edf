"""The side of the role `engine-spark`: submits a batch job for what was asked last, and tells how it ended."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from obverse.adapters._kafka.clients import FAILURES, Sender, trouble
from obverse.adapters._kafka.java_client import java_client
from obverse.adapters._kafka.scout import Scout
from obverse.adapters.spark.cluster import Reach
from obverse.adapters.spark.histories.records import ASKS, GIVEN, PEOPLE, Answer, Ask, read_ask, write
from obverse.adapters.spark.histories.topics import make_history_topics
from obverse.adapters.spark.processes import SparkProcess
from obverse.adapters.spark.settings import SparkSettings, history_words, url_of
from obverse.adapters.spark.submitting import driver_of, write_library
from obverse.ports.event_log import Stream

_LAST_WORDS: Final = 1500
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class BatchJob:
    """A batch job under way."""

    ask: Ask
    driver: SparkProcess
    begin: int
    """Where the topic of what was computed ended before."""


class Answering:
    """
    Looks for asks now and then, and answers the latest of them; one job at a time.

    A router that takes over asks anew: what it was asked for before is of no use any more.
    """

    def __init__(self, settings: SparkSettings, folder: Path) -> None:
        """Files of jobs go to the folder."""
        self._settings = settings
        self._log = settings.log()
        self._folder = folder
        self._topic = self._log.topic(ASKS)
        self._scout: Scout | None = None
        self._sender: Sender | None = None
        self._heard = 0
        """Up to where asks were heard."""
        self._ask: Ask | None = None
        """The latest that nobody has answered."""
        self.job: BatchJob | None = None

    async def look(self, reached: Reach) -> None:
        """
        Hear what is asked, and see to it; waits for no job.

        Raises:
            Unreachable, AccessRefused: Kafka cannot be reached, or refuses something.
        """
        try:
            scout = self._scout or await self._open()
            await self._hear(scout)
            if self.job is not None and self.job.ask is not self._ask:
                await self._give_up()
            if self.job is not None and not self.job.driver.alive:
                await self._answer(scout, self.job)
            elif self.job is None and self._ask is not None:
                self.job = await self._submit(scout, self._ask, reached)
        except FAILURES as error:
            raise trouble(error, "hear which histories are asked for", self._log) from error

    async def stop(self) -> None:
        """End what runs; whoever looks next begins with it again."""
        await self._give_up()
        scout, sender, self._scout, self._sender = self._scout, self._sender, None, None
        if scout is not None:
            await scout.close()
        if sender is not None:
            await sender.close()

    async def _open(self) -> Scout:
        await make_history_topics(self._log)
        self._sender = Sender(self._log)
        self._scout = Scout(self._log)
        self._heard = (await self._scout.bounds(self._topic, 0))[0]
        return self._scout

    async def _hear(self, scout: Scout) -> None:
        end = (await scout.bounds(self._topic, 0))[1]
        for message in await scout.read(self._topic, 0, self._heard, end):
            heard = read_ask(message.value())
            if isinstance(heard, Ask):
                self._ask = heard
            elif isinstance(heard, Answer) and self._ask is not None and heard.run == self._ask.run:
                self._ask = None
        self._heard = max(self._heard, end)

    async def _submit(self, scout: Scout, ask: Ask, reached: Reach) -> BatchJob:
        begin = (await scout.bounds(self._log.topic(GIVEN), 0))[1]
        driver = await asyncio.to_thread(self._prepare, ask, reached)
        driver.start()
        _log.info("histories are computed", version=ask.wanted.version, driver=driver.pid)
        return BatchJob(ask, driver, begin)

    def _prepare(self, ask: Ask, reached: Reach) -> SparkProcess:
        folder, settings = self._folder, self._settings
        folder.mkdir(parents=True, exist_ok=True)
        library, words = folder / "library.zip", folder / "histories.json"
        # There may be passwords among them.
        words.touch(mode=0o600)
        words.write_text(json.dumps(batch_words(settings, ask)), encoding="utf-8")
        write_library(library)
        # On its own, as `job.py`.
        program = Path(shutil.copy(Path(__file__).with_name("batch.py"), folder))
        return driver_of("the batch job", reached, history_words(settings), (library, program, words))

    async def _answer(self, scout: Scout, job: BatchJob) -> None:
        assert self._sender is not None  # noqa: S101 - it was opened with the scout
        end = (await scout.bounds(self._log.topic(GIVEN), 0))[1]
        answer = Answer(job.ask.run, begin=job.begin, end=end)
        if job.driver.process is None or job.driver.process.returncode != 0:
            last = (await asyncio.to_thread(job.driver.said))[-_LAST_WORDS:]
            answer = Answer(job.ask.run, f"the batch job failed; its last words, in {job.driver.log}: {last}")
            _log.warning("histories could not be computed", reason=answer.fault)
        else:
            _log.info("histories are computed, and told", version=job.ask.wanted.version)
        await self._sender.send(self._topic, 0, write(answer), 0)
        self.job = self._ask = None

    async def _give_up(self) -> None:
        job, self.job = self.job, None
        if job is not None:
            await job.driver.stop()


def batch_words(settings: SparkSettings, ask: Ask) -> dict[str, object]:
    """What a batch job that computes histories is told, as JSON."""
    log = settings.log()
    archive = f"{url_of(settings.archive)}/{log.workspace}/events/*/*.parquet" if settings.history == "archive" else ""
    clients = java_client(log)
    return {
        "workspace": log.workspace,
        "trait_modules": settings.trait_modules,
        "run": base64.b64encode(ask.run).decode(),
        "version": ask.wanted.version,
        "documents": base64.b64encode(ask.wanted.documents).decode(),
        "kept": {str(partition): first for partition, first in ask.wanted.kept.items()},
        "begin": ask.begin,
        "end": ask.end,
        "archive": archive,
        "topics": {"people": log.topic(PEOPLE), "events": log.topic(Stream.EVENTS), "given": log.topic(GIVEN)},
        "reading": clients,
        "writing": {**clients, "linger.ms": "20", "batch.size": str(256 << 10)},
    }
