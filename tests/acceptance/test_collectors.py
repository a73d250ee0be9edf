"""Collectors by count: two take events in at once, one is killed, and a third takes over what that one had."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from brokers import kafka_settings
from installation import PATIENCE, kill, start, until
from obverse.apps.sources import add_source, new_key
from services import Database

pytestmark = pytest.mark.service

BATCH = 10
SENDERS = 4
LOGS = ["kafka", "postgres"] if "OBVERSE_KILLS" in os.environ else ["kafka"]


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path: sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=LOGS)
def settings(request: pytest.FixtureRequest, database: Database) -> dict[str, str]:
    """Of every role: four partitions, of which a collector takes two."""
    shared = {"DATABASE_URL": database.dsn(), "OBVERSE_PARTITIONS": "4", "OBVERSE_COLLECTOR__PARTITIONS": "2"}
    if request.param == "postgres":
        return shared
    log = kafka_settings(request.getfixturevalue("kafka"))
    kafka = {"servers": log.servers, "prefix": log.prefix, "replication": "1", "min_insync": "1", "lease_ms": "2000"}
    more = {f"OBVERSE_EVENT_LOG__KAFKA__{name.upper()}": value for name, value in kafka.items()}
    return {**shared, "OBVERSE_EVENT_LOG__ADAPTER": "kafka", **more}


@dataclass
class Collector:
    """A process that takes events in."""

    url: str
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession

    async def partitions(self) -> list[int]:
        """Which it has; none, while it stands by or is gone."""
        try:
            async with self.http.get(f"{self.url}/ready") as answer:
                told = await answer.json()
                assert answer.ok is (told["partitions"] != [])
                assert answer.ok is (told["log"] == "ok")
                return list(told["partitions"])
        except (aiohttp.ClientError, TimeoutError):
            return []


@dataclass
class Senders:
    """SDKs behind a proxy that knows nothing: each try goes to the next collector, until it is answered 200."""

    http: aiohttp.ClientSession
    key: str
    urls: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """Message ids that were answered 200."""
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By address and status."""
    stop: bool = False

    async def send(self, sender: int) -> None:
        tries = count(sender)
        for turn in count():
            if self.stop:
                return
            ids = [f"{sender}-{turn}-{place}" for place in range(BATCH)]
            event = {"type": "track", "event": "Sent", "userId": f"sender-{sender}"}
            body = {"batch": [{**event, "messageId": one} for one in ids], "writeKey": self.key}
            while not await self._was_taken(self.urls[next(tries) % len(self.urls)], body):  # noqa: ASYNC110 - as SDKs
                await asyncio.sleep(0.01)
            self.taken.update(ids)

    async def _was_taken(self, url: str, body: Any) -> bool:
        try:
            async with self.http.post(f"{url}/v1/batch", json=body) as answer:
                assert answer.status in {200, 429, 503}, await answer.text()
                assert answer.status == 200 or "Retry-After" in answer.headers
                self.answers[url, str(answer.status)] += 1
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            self.answers[url, "cut off"] += 1
            return False

    async def go_on_at(self, collector: Collector) -> None:
        """Wait until that one has taken more."""
        before = self.answers[collector.url, "200"]

        async def more() -> bool:
            return self.answers[collector.url, "200"] > before + SENDERS

        await until(more)


@dataclass
class Shop:
    """A data folder of each process, and what they share."""

    data: Path
    settings: dict[str, str]
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    numbers: Iterator[int] = field(default_factory=count)

    async def run(self, role: str) -> Collector:
        port = _free_port()
        folder = self.data / f"{role}-{next(self.numbers)}"
        more = {f"OBVERSE_{role.upper()}__PORT": str(port)}
        process = await start(folder, "run", role, **self.settings, **more)
        self.stack.push_async_callback(_end, process)
        return Collector(f"http://127.0.0.1:{port}", process, self.http)


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    sys.stderr.write(errors.decode()[-2000:])


@asynccontextmanager
async def opened(data: Path, settings: dict[str, str], key: str) -> AsyncIterator[Shop]:
    data.mkdir()  # noqa: ASYNC240 - a folder of the test's own
    add_source(data / "apply" / "definitions", "shop", key)
    applied = await start(data / "apply", "apply", "--yes", **settings)
    _, errors = await asyncio.wait_for(applied.communicate(), PATIENCE)
    assert applied.returncode == 0, errors.decode()
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=20)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        yield Shop(data, settings, http, stack)


async def test_two_take_in_and_a_third_takes_over_that_of_a_dead_one(
    data: Path, settings: dict[str, str], database: Database
) -> None:
    key = new_key()
    async with opened(data, settings, key) as shop:
        one, other = await shop.run("collector"), await shop.run("collector")

        async def share() -> bool:
            return sorted([*await one.partitions(), *await other.partitions()]) == [0, 1, 2, 3]

        await until(share)
        theirs = await one.partitions()
        standby = await shop.run("collector")
        senders = Senders(shop.http, key, [one.url, other.url])
        sending = [asyncio.create_task(senders.send(number)) for number in range(SENDERS)]
        await senders.go_on_at(one)
        await senders.go_on_at(other)
        await until(lambda: _is_healthy(standby))
        assert await standby.partitions() == []
        senders.urls.append(standby.url)
        worker = await shop.run("worker")

        kill(one.process.pid)
        await senders.go_on_at(other)
        await until(standby.partitions)
        assert await standby.partitions() == theirs
        await senders.go_on_at(standby)
        assert senders.answers[standby.url, "503"]

        # One that is stopped in good order gives its partitions up at once, and another may come at any time.
        fourth = await shop.run("collector")
        senders.urls.append(fourth.url)
        await until(lambda: _is_healthy(fourth))
        os.kill(other.process.pid, signal.SIGTERM)
        await senders.go_on_at(standby)
        await until(fourth.partitions)
        await senders.go_on_at(fourth)
        assert sorted([*await standby.partitions(), *await fourth.partitions()]) == [0, 1, 2, 3]

        senders.stop = True
        await asyncio.gather(*sending)
        await until(lambda: _is_healthy(worker))
        await until(lambda: _all_are_stored(database, senders.taken))


async def _is_healthy(process: Collector) -> bool:
    try:
        async with process.http.get(f"{process.url}/health") as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _all_are_stored(database: Database, taken: set[str]) -> bool:
    """Whether as many are stored as were taken; if so, they are those, and each of them once."""
    connection = await asyncpg.connect(database.dsn())
    try:
        rows = await connection.fetch("select message_id from event_stream")
    finally:
        await connection.close()
    assert {row["message_id"] for row in rows} <= taken
    assert max(Counter(row["message_id"] for row in rows).values(), default=1) == 1
    return len(rows) == len(taken)
