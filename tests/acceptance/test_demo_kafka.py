"""The demo over Apache Kafka comes to what it comes to over PostgreSQL."""

from __future__ import annotations

import asyncio
import os

import aiohttp
import pytest
from confluent_kafka.admin import AdminClient

from acceptance.demos import appended, assert_figures, play, secret_is_there, short_folder, summary_of
from acceptance.shop_figures import shop_figures
from brokers import kafka_running, kafka_settings
from installation import PATIENCE, running, start, until
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.ports.event_log import Stream
from obverse.sandboxes import SandboxLacking
from obverse.sandboxes.kafka.broker import find_java

pytestmark = pytest.mark.service

AT_LENGTH = "OBVERSE_KILLS" in os.environ


def has_kafka() -> bool:
    try:
        find_java(None, 64)
    except SandboxLacking:
        return False
    return True


@pytest.mark.skipif(not has_kafka(), reason="Java or the jars of Apache Kafka are not here: `make kafka`")
@pytest.mark.parametrize("partitions", [1, 4] if AT_LENGTH else [1])
async def test_the_figures_are_the_same(partitions: int) -> None:
    with short_folder() as folder:
        summary = await play(folder / "kafka", "--log", "kafka", "--partitions", str(partitions))

    assert_figures(summary, shop_figures(), merges=partitions == 1)


@pytest.mark.skipif(not AT_LENGTH, reason="`make chaos` does it")
async def test_a_broker_of_three_that_is_killed_amid_the_demo_changes_nothing() -> None:
    figures = shop_figures()
    with short_folder() as folder:
        async with kafka_running(folder, 3) as sandbox:
            place = kafka_settings(sandbox, partitions=1)
            table = {"servers": place.servers, "prefix": place.prefix, "replication": "3", "min_insync": "2"}
            settings = {f"OBVERSE_EVENT_LOG__KAFKA__{name.upper()}": value for name, value in table.items()}
            data = folder / "demo"
            process = await start(data, "demo", "--exit", "--json", "--log", "kafka", **settings)
            communicating = asyncio.create_task(process.communicate())
            await until(lambda: secret_is_there(data))
            headers = {"Authorization": f"Bearer {own_secret(data, API_KEY)}"}
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2), headers=headers) as http:

                async def half_way() -> bool:
                    note = running(data)
                    return note is not None and await appended(http, note["api"]) > figures.events_accepted // 4

                await until(half_way)
            topics = await asyncio.to_thread(AdminClient(place.client()).list_topics, timeout=60)
            leader = topics.topics[place.topic(Stream.EVENTS)].partitions[0].leader
            assert process.returncode is None, "the demo is still at work"
            sandbox.brokers[leader - 1].kill()
            out, errors = await asyncio.wait_for(communicating, 6 * PATIENCE)
    assert process.returncode == 0, errors.decode()[-4000:]
    assert_figures(summary_of(out), figures)
