"""What a router asks of Spark is answered, whatever becomes of the batch job; a script stands in for Spark itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from brokers import kafka_settings
from obverse.adapters._buckets.histories import Given, NotComputed, Person, Wanted
from obverse.adapters._kafka.clients import Sender
from obverse.adapters.spark.cluster import Reach
from obverse.adapters.spark.environment import SparkEnvironment
from obverse.adapters.spark.histories.answering import Answering, BatchJob
from obverse.adapters.spark.histories.asking import SparkHistories
from obverse.adapters.spark.histories.records import ASKS
from obverse.adapters.spark.histories.topics import make_history_topics
from obverse.adapters.spark.settings import SparkSettings
from obverse.sandboxes.kafka import KafkaSandbox

pytestmark = pytest.mark.service

PATIENCE = 120.0
WANTED = Wanted(7, b"{}", {0: 0})


async def people(count: int) -> AsyncIterator[Person]:
    for number in range(count):
        yield Person(number.to_bytes(16), 0, None, [(0, number, None)])


class Role:
    """The part of the role `engine-spark` that sees to histories."""

    def __init__(self, kafka: KafkaSandbox, folder: Path) -> None:
        log = kafka_settings(kafka, partitions=1)
        table = {name: value for name, value in asdict(log).items() if name not in {"workspace", "partitions"}}
        self.settings = SparkSettings(kafka=table, history="kafka")
        self.histories = SparkHistories(self.settings.log())
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        environment = SparkEnvironment(folder / "python", folder, ())
        self.reach = Reach(environment, "local[1]", {"PATH": "/usr/bin:/bin"})

    def spark_is(self, script: str) -> None:
        submit = self.folder / "bin" / "spark-submit"
        submit.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        submit.chmod(0o755)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Answering]:
        answering = Answering(self.settings, self.folder / "jobs")

        async def work() -> None:
            while True:
                await answering.look(self.reach)
                await asyncio.sleep(0.05)

        working = asyncio.create_task(work())
        try:
            yield answering
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await answering.stop()

    async def ask(self, count: int = 3) -> list[Given]:
        async with asyncio.timeout(PATIENCE):
            return [one async for some in self.histories.compute(WANTED, people(count)) for one in some]


async def other_job(answering: Answering, than: BatchJob | None) -> BatchJob:
    """Wait until another job is under way."""

    async def moment() -> None:
        await asyncio.sleep(0.02)

    async with asyncio.timeout(PATIENCE):
        while answering.job is None or answering.job is than:
            await moment()
        return answering.job


@pytest.fixture
async def role(kafka: KafkaSandbox, tmp_path: Path) -> Role:
    role = Role(kafka, tmp_path / "spark")
    await make_history_topics(role.settings.log())
    return role


async def test_of_a_job_that_fails_its_last_words_are_told(role: Role) -> None:
    role.spark_is("echo there is no room; exit 3")
    async with role.at_work():
        with pytest.raises(NotComputed, match=r"(?s)the batch job failed.*driver\.log.*there is no room"):
            await role.ask()
        role.spark_is("exit 0")
        assert await role.ask() == []


async def test_without_people_nobody_is_asked(role: Role) -> None:
    assert await role.ask(0) == []


async def test_what_is_asked_last_is_done_and_a_role_that_takes_over_goes_on_with_it(role: Role) -> None:
    role.spark_is("exec sleep 600")
    first = asyncio.create_task(role.ask())
    async with role.at_work() as answering:
        before = await other_job(answering, None)
        second = asyncio.create_task(role.ask())
        after = await other_job(answering, before)
        assert not before.driver.alive
    assert not after.driver.alive, "it ends with the role"
    role.spark_is("exit 0")
    async with role.at_work():
        assert await second == []
    assert not first.done(), "whoever asked before is not there any more"
    first.cancel()


async def test_what_others_write_there_is_passed_over(role: Role) -> None:
    sender = Sender(role.settings.log())
    await sender.send(role.settings.log().topic(ASKS), 0, b"rubbish", 0)
    await sender.close()
    role.spark_is("exit 0")
    async with role.at_work():
        assert await role.ask() == []
