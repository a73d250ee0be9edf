"""Three brokers with three copies: one is killed while events come and are read, and nobody notices but the clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from brokers import kafka_running, kafka_settings
from obverse.adapters.kafka import open_event_log
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked
from obverse.ports.event_log import Batch, Reader
from obverse.ports.outcomes import Unreachable
from services import ShiftedRuntime

pytestmark = pytest.mark.service

PATIENCE = 240.0


async def follow(reader: Reader, seen: list[Batch]) -> None:
    """Read for ever."""
    while True:
        try:
            seen.extend(await reader.next())
        except Unreachable:
            await asyncio.sleep(0.02)


async def test_a_broker_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with kafka_running(tmp_path, 3) as sandbox, asyncio.timeout(PATIENCE):
        settings = kafka_settings(sandbox, partitions=1)
        assert (settings.replication, settings.min_insync) == (3, 2)
        log = await open_event_log(settings, ShiftedRuntime())
        appender = await log.open_appender(EVENTS)
        reader = await log.open_reader(EVENTS, {0: 0})
        kept, seen, killed = dict[int, int](), list[Batch](), asyncio.Event()

        async def append(caller: int) -> None:
            """Append one after another until some came after the kill."""
            number = caller * 10_000
            after = 0
            while after < 20:
                number += 1
                try:
                    kept[number] = await appender.append(0, marked(number, 1))
                    after += killed.is_set()
                except Unreachable:
                    await asyncio.sleep(0.02)

        following = asyncio.create_task(follow(reader, seen))
        appending = [asyncio.create_task(append(caller)) for caller in range(1, 6)]
        while len(kept) < 50:  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.01)
        topics = await asyncio.to_thread(AdminClient(settings.client()).list_topics, timeout=60)
        leader = topics.topics[settings.topic("events")].partitions[0].leader
        sandbox.brokers[leader - 1].kill()
        killed.set()
        # Who begins now is told that the dead one leads, and does not go on asking that one for ever.
        fresh = await open_event_log(replace(settings, delivery_ms=20_000), ShiftedRuntime())
        assert (await fresh.bounds(EVENTS))[0][1] >= 50
        await fresh.close()
        await asyncio.gather(*appending)
        while not seen or seen[-1].end <= max(kept.values()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        following.cancel()
        await appender.close()
        await log.close()

    end = seen[-1].end
    assert dense(seen, 0) == end
    body = joined(seen)
    stored = [body[at : at + 8] for at in range(0, 8 * end, 8)]
    assert len(set(stored)) == end, "doubled"
    assert len(kept) >= 50
    for number, offset in kept.items():
        assert stored[offset] == marked(number, 1).body
    for caller in range(1, 6):
        mine = [offset for number, offset in sorted(kept.items()) if number // 10_000 == caller]
        assert mine == sorted(mine), "each caller waits for its answers, so its events are in order"
