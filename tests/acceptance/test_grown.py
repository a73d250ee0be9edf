"""
A grown installation on one machine: brokers, Redis, PostgreSQL, an engine and every role, each a process of its own.

It plays the demo; whatever is killed meanwhile, it comes to the demo's figures, each profile is what a plain reduce
over the very log makes of it, and so does the embedded engine; each event is one row, and nothing stands twice in the
changes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from hashlib import blake2b
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from acceptance.demos import appended, assert_figures, lag_of, secret_is_there, short_folder, summary_of
from acceptance.shop_figures import shop_figures
from acceptance.test_demo_kafka import has_kafka
from brokers import kafka_running, kafka_settings
from engine_parts import memory_parts
from grown_steps import PATIENCE, SECONDS, Grown, Probe
from installation import running, start, until
from obverse.adapters.definition_files import read_folder
from obverse.adapters.embedded import EmbeddedSettings
from obverse.adapters.embedded import open_engine as open_embedded
from obverse.adapters.kafka import open_event_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import SystemRuntime
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.apps.sources import add_source, new_key
from obverse.contracts.engine_steps import append, load
from obverse.core import codec, profiles
from obverse.core.changes import Change
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from obverse.ports.event_log import EventLog, Stream
from obverse.sandboxes.redis import RedisSandbox
from obverse.wiring import trait_kinds

pytestmark = pytest.mark.service

ENGINES = [one for one in os.environ.get("OBVERSE_GROWN", "").split(",") if one]

Hashes = dict[frozenset[str], str]


def installed(engine: str) -> bool:
    return has_kafka() and (Path(__file__).parents[2] / f".venv-{engine}" / "ready").exists()


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
                async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                    summary = group.create_task(_summary(process))
                    group.create_task(_kill_all(grown, figures.events_accepted))
                assert_figures(summary.result(), figures)
                await _compare(grown)
                await _recover(grown)
                await _compare(grown)
            except BaseException:
                sys.stderr.write(b"".join(told)[-6000:].decode())
                raise
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
    async with _session(grown) as http:
        for number, victim in enumerate(victims, 1):

            async def so_far(share: float = number / (len(victims) + 1)) -> bool:
                note = running(grown.data)
                return note is not None and await appended(http, note["api"]) > events * share

            await until(so_far, seconds=PATIENCE)
            await victim()


async def _recover(grown: Grown) -> None:
    """Kill each once more while few events come, and tell how long the slowest of them waited."""
    victims: dict[str, Callable[[], Any]] = {
        "nothing": lambda: asyncio.sleep(0),
        "who folds": grown.kill_folding,
        "who leads those": grown.kill_leading,
        "host of the engine": lambda: grown.kill_role(f"engine-{grown.engine}"),
        "broker": grown.kill_broker,
        "keeper": lambda: grown.kill_role("worker-keep"),
        "router": lambda: grown.kill_role("worker-identity"),
        "Redis": grown.kill_redis,
        "collector": lambda: grown.kill_role("collector"),
        "api": lambda: grown.kill_role("api"),
    }
    key = new_key()
    add_source(grown.data / "definitions", "probe", key)
    async with _session(grown) as http:
        probe = Probe(grown, http, key)
        for name, victim in victims.items():
            await grown.mend_brokers()
            await probe.until_well()
            await victim()
            waits = sorted(await probe.waits(SECONDS))
            slowest, median = waits[-1], waits[len(waits) // 2]
            sys.stdout.write(f"{grown.engine}: {name} killed: slowest {slowest:.1f} s, median {median:.2f} s\n")
        await probe.until_well()

        async def drained() -> bool:
            note = running(grown.data)
            lag = await lag_of(http, note["api"]) if note else {}
            return bool(lag) and not any(part["lag"] for part in lag.values())

        await until(drained, seconds=PATIENCE)


def _session(grown: Grown) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {own_secret(grown.data, API_KEY)}"}
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), headers=headers)


async def _compare(grown: Grown) -> None:
    definitions = read_folder(grown.data / "definitions", trait_kinds())
    log = await open_event_log(grown.log, SystemRuntime())
    try:
        events = await _read(log, Stream.EVENTS, Event)
        changes = [_named(one) for one in await _read(log, Stream.CHANGES, Change)]
    finally:
        await log.close()
    wanted, stored = _reduced(events, definitions)
    assert await _kept(grown.data, definitions) == wanted
    assert await _stored(grown.data) == stored
    assert await _embedded(events, definitions) == wanted
    assert [one for one, count in Counter(changes).items() if count > 1] == []


async def _read(log: EventLog, stream: Stream, record: type[Any]) -> list[Any]:
    end = (await log.bounds(stream))[0][1]
    reader, found = await log.open_reader(stream, {0: 0}), list[Any]()
    while len(found) < end:
        for batch in await reader.next():
            found += codec.Decoder(record).decode(batch.count, batch.body)
    await reader.close()
    return found


def _reduced(events: Sequence[Event], definitions: Definitions) -> tuple[Hashes, Mapping[str, int]]:
    """A plain reduce: profiles matched by identifiers, and how often each message is to be stored."""
    people, stored = People("main", definitions), Counter[str]()
    for offset, event in enumerate(events):
        folded = people.fold(event, (0, offset))
        if folded.profile is not None and not folded.repeated:
            stored[event.message_id] += 1
    return {frozenset(one.identifiers): _hash(one, definitions) for one in people.profiles.values()}, stored


async def _embedded(events: Sequence[Event], definitions: Definitions) -> Hashes:
    """What the embedded engine makes of the same."""
    parts = await memory_parts(1, definitions)
    placed = await append(parts, events, batch=1000)
    engine = await open_embedded(EmbeddedSettings(), parts)
    work = parts.runtime.spawn("engine", engine.run())
    await engine.drain()
    await work.stop()
    return {frozenset(one.identifiers): _hash(one, definitions) for one in await load(parts, placed)}


async def _stored(data: Path) -> Mapping[str, int]:
    """How many rows `event_stream` has of each message."""
    connection = await asyncpg.connect(EmbeddedServer(data).dsn("obverse_owner"))
    try:
        return Counter(one for (one,) in await connection.fetch("select message_id from event_stream"))
    finally:
        await connection.close()


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
