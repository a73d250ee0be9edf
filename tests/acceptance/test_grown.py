"""
A grown installation on one machine: brokers, Redis, PostgreSQL, an engine and every role, each a process of its own.

It plays the demo; whatever is killed meanwhile, it comes to the demo's figures, each profile is what a plain reduce
over the very log makes of it, and nothing stands twice in the changes.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from confluent_kafka.admin import AdminClient

from acceptance.demos import appended, assert_figures, secret_is_there, short_folder, summary_of
from acceptance.shop_figures import shop_figures
from acceptance.test_demo_kafka import has_kafka
from brokers import kafka_running, kafka_settings
from installation import kill, running, start, until
from obverse.adapters.definition_files import read_folder
from obverse.adapters.kafka import KafkaLogSettings, open_event_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import SystemRuntime
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.core import codec, profiles
from obverse.core.changes import Change
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from obverse.ports.event_log import EventLog, Stream
from obverse.sandboxes.kafka import KafkaSandbox
from obverse.sandboxes.redis import RedisSandbox
from obverse.wiring import trait_kinds

pytestmark = pytest.mark.service

ENGINES = [one for one in os.environ.get("OBVERSE_GROWN", "").split(",") if one]
PATIENCE = 420.0
WORKERS = {"flink": "TaskManagerRunner", "spark": "CoarseGrainedExecutorBackend"}
"""What the command line of a process has that folds."""

Hashes = dict[frozenset[str], str]


def installed(engine: str) -> bool:
    return has_kafka() and (Path(__file__).parents[2] / f".venv-{engine}" / "ready").exists()


@dataclass(slots=True)
class Grown:
    """What runs, as far as a test touches it."""

    data: Path
    engine: str
    kafka: KafkaSandbox
    log: KafkaLogSettings
    redis: RedisSandbox

    def pid(self, name: str) -> int:
        note = running(self.data)
        return 0 if note is None else int(note["pids"].get(name, 0))

    def folding(self) -> list[int]:
        """The processes in which the engine folds."""
        host = self.pid(f"engine-{self.engine}")
        children = psutil.Process(host).children(recursive=True) if psutil.pid_exists(host) else []
        return [one.pid for one in children if WORKERS[self.engine] in " ".join(one.cmdline())]

    async def kill_folding(self) -> None:
        async def some() -> list[int]:
            return self.folding()

        kill((await until(some, seconds=PATIENCE))[0])

    async def kill_broker(self) -> None:
        topics = await asyncio.to_thread(AdminClient(self.log.client()).list_topics, timeout=60)
        leader = topics.topics[self.log.topic(Stream.ROUTED)].partitions[0].leader
        self.kafka.brokers[leader - 1].kill()

    async def kill_redis(self) -> None:
        self.redis.kill()
        await self.redis.start()

    async def kill_role(self, name: str) -> None:
        kill(self.pid(name))


@pytest.mark.skipif(not ENGINES, reason="`make grown` does it")
@pytest.mark.parametrize("engine", ENGINES or ["flink"])
async def test_whatever_is_killed_it_comes_to_what_a_plain_reduce_does(engine: str) -> None:
    if not installed(engine):
        pytest.skip(f"what it takes is not here: `make kafka {engine}`")
    figures = shop_figures()
    with short_folder() as folder:
        async with kafka_running(folder / "kafka", 3) as kafka, AsyncExitStack() as stack:
            redis = RedisSandbox(folder)
            await redis.start()
            stack.callback(redis.kill)
            log = kafka_settings(kafka, partitions=1)
            table = {"servers": log.servers, "prefix": log.prefix, "replication": "3", "min_insync": "2"}
            settings = {f"OBVERSE_EVENT_LOG__KAFKA__{name.upper()}": value for name, value in table.items()}
            settings |= {"OBVERSE_PROFILE_CACHE__ADAPTER": "redis", "REDIS_URL": redis.url}
            process = await start(folder / "demo", "demo", "--json", "--engine", engine, **settings)
            grown = Grown(folder / "demo", engine, kafka, log, redis)
            told: list[bytes] = []
            errors = asyncio.create_task(_drained(process.stderr, told))
            try:
                summary = asyncio.create_task(_summary(process))
                killing = asyncio.create_task(_kill_all(grown, figures.events_accepted))
                done, _ = await asyncio.wait_for(
                    asyncio.wait([summary, killing], return_when=asyncio.ALL_COMPLETED), PATIENCE
                )
                assert all(one.exception() is None for one in done), b"".join(told)[-6000:].decode()
                assert_figures(summary.result(), figures)
                await _compare(grown)
            finally:
                process.terminate()
                await process.wait()
                await errors


async def _drained(stream: asyncio.StreamReader | None, told: list[bytes]) -> None:
    assert stream is not None
    while line := await stream.readline():
        told.append(line[:2000])


async def _summary(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the demo ended"
    return summary_of(line)


async def _kill_all(grown: Grown, events: int) -> None:
    """Kill one after another, each once so much of the demo has arrived."""
    victims: list[Callable[[], Any]] = [
        grown.kill_folding,
        grown.kill_broker,
        lambda: grown.kill_role("worker-keep"),
        grown.kill_redis,
        lambda: grown.kill_role("worker-identity"),
    ]
    await until(lambda: secret_is_there(grown.data), seconds=PATIENCE)
    headers = {"Authorization": f"Bearer {own_secret(grown.data, API_KEY)}"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), headers=headers) as http:
        for number, victim in enumerate(victims, 1):

            async def so_far(share: float = number / (len(victims) + 1)) -> bool:
                note = running(grown.data)
                return note is not None and await appended(http, note["api"]) > events * share

            await until(so_far, seconds=PATIENCE)
            await victim()


async def _compare(grown: Grown) -> None:
    definitions = read_folder(grown.data / "definitions", trait_kinds())
    log = await open_event_log(grown.log, SystemRuntime())
    try:
        wanted = await _reduced(log, definitions)
        changes = [_named(one) for one in await _read(log, Stream.CHANGES, Change)]
    finally:
        await log.close()
    assert await _kept(grown.data, definitions) == wanted
    assert [one for one, count in Counter(changes).items() if count > 1] == []


async def _read(log: EventLog, stream: Stream, record: type[Any]) -> list[Any]:
    end = (await log.bounds(stream))[0][1]
    reader, found = await log.open_reader(stream, {0: 0}), list[Any]()
    while len(found) < end:
        for batch in await reader.next():
            found += codec.Decoder(record).decode(batch.count, batch.body)
    await reader.close()
    return found


async def _reduced(log: EventLog, definitions: Definitions) -> Hashes:
    """A plain reduce over the log, profiles matched by identifiers."""
    people = People("main", definitions)
    for offset, event in enumerate(await _read(log, Stream.EVENTS, Event)):
        people.fold(event, (0, offset))
    return {frozenset(one.identifiers): _hash(one, definitions) for one in people.profiles.values()}


async def _kept(data: Path, definitions: Definitions) -> Hashes:
    dsn = EmbeddedServer(data).dsn("obverse_owner")
    store = await open_profile_store(PostgresStoreSettings(dsn=dsn), SystemRuntime())
    try:
        ids = await store.people(limit=100_000)
        people = [profiles.unpack(packed, definitions) for packed in await store.load((), ids)]
    finally:
        await store.close()
    return {frozenset(one.identifiers): _hash(one, definitions) for one in people}


def _hash(profile: profiles.Profile, definitions: Definitions) -> str:
    state = profiles.state_of(profile, definitions)
    return blake2b(repr(sorted((name, _plain(value)) for name, value in state.items())).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((str(name), _plain(one)) for name, one in value.items())
    return sorted(map(repr, value)) if isinstance(value, set | frozenset | type({}.keys())) else repr(value)


def _named(change: Change) -> tuple[bytes, str, str, str]:
    return change.profile, change.kind, change.name, str(change.number) if change.number else change.event
