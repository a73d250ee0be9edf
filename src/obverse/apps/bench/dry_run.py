"""`obverse bench dry-run`: how long the command takes to hold other identity rules against a large log."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Final

import msgspec

from obverse.adapters.postgres import schema
from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.bodies import CONTEXT, happenings, traits_of
from obverse.apps.bench.installed import new_folder
from obverse.apps.bench.machine import BenchFailed, database_settings, machine
from obverse.core.definitions import Definitions
from obverse.core.dry_run import DryRun
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Appender, EventLog, Records, Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow, ProfileStore

_BATCH: Final = 500
_AT_ONCE: Final = 16
"""Appends on their way together."""
_BEGAN: Final = 1_767_225_600_000_000
"""When the first event arrived, in microseconds since 1970; each of the others `_APART` later."""
_APART: Final = 10_000
_POOL: Final = 4096
"""Different events, apart from whose they are and when."""
_CONTEXT: Final = CONTEXT % (1, 1)
_TRIED: Final = """
version: obverse/v1
kind: identity
metadata: {name: tried}
spec: {limits: {user_id: {values: 2}, anonymous_id: none}}
"""
"""Two who share a tablet would be one person."""


async def bench_dry_run(*, events: int, people: int) -> dict[str, Any]:
    """Fill a log and a store, run the command in a process of its own, and tell what it took."""
    folder = new_folder()
    server = EmbeddedServer(folder / "data")
    await server.start()
    try:
        await schema.migrate(server.dsn("obverse_owner"))
        filled = await _fill(server.dsn("obverse_worker"), events, people)
        figures = await _measure(folder, server.dsn("obverse_api"))
        return {
            "events": events,
            "people": people,
            "machine": machine(),
            "postgres": await database_settings(server.dsn("obverse_owner")),
            "rules_tried": _TRIED.splitlines()[-1],
            "filled_in_s": filled,
            **figures,
            "events_per_second": round(events / figures["seconds"]),
            "flaws": [] if figures["read"]["events"] == events else ["not every event was read"],
        }
    finally:
        await server.stop()
        await server.erase()
        shutil.rmtree(folder, ignore_errors=True)


async def _fill(dsn: str, events: int, people: int) -> float:
    """Append the events, and keep the people that they make under the rules of today; returns the seconds."""
    began, runtime = perf_counter(), open_runtime()
    async with AsyncExitStack() as stack:
        log = await open_event_log(PostgresLogSettings(dsn=dsn), runtime)
        stack.push_async_callback(log.close)
        store = await open_profile_store(PostgresStoreSettings(dsn=dsn), runtime)
        stack.push_async_callback(store.close)
        today = DryRun("main", IdentityRules(), Definitions())
        await _append(log, _story(events, people), today)
        await _keep(store, today, events)
    return round(perf_counter() - began, 1)


async def _append(log: EventLog, story: Iterator[Event], today: DryRun) -> None:
    appender = await log.open_appender(Stream.EVENTS)
    while batches := [batch for _ in range(_AT_ONCE) if (batch := list(islice(story, _BATCH)))]:
        await asyncio.gather(*(_append_batch(appender, batch) for batch in batches))
        for event in (event for batch in batches for event in batch):
            today.take(event)
    await appender.close()


async def _append_batch(appender: Appender, batch: Sequence[Event]) -> None:
    for records in Records.of(batch):
        await appender.append(0, records)


async def _keep(store: ProfileStore, today: DryRun, events: int) -> None:
    writer = await store.open_writer(WRITER)
    profiles = iter(list(today.people.profiles.values()))
    while some := list(islice(profiles, 20 * _BATCH)):
        rows = [ProfileRow.of(profile, today.people.definitions) for profile in some]
        await writer.commit(Checkpoint(marks={Stream.EVENTS: {0: events}}, profiles=rows))
    await writer.close()


async def _measure(folder: Path, dsn: str) -> dict[str, Any]:
    tried = folder / "tried"
    tried.mkdir()
    (tried / "identity.yml").write_text(_TRIED)
    command = [sys.executable, "-m", "obverse.apps.cli", "dry-run", "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        "--data",
        str(folder / "none"),
        "--definitions",
        str(tried),
        env={**os.environ, "DATABASE_URL": dsn},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    seconds, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not out:
        raise BenchFailed(f"`obverse dry-run` failed: {errors.decode()[-2000:]}")
    report = msgspec.json.decode(out)
    found = report["comparison"]
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_memory_bytes": after.ru_maxrss * 1024,
        "read": report["log"],
        "people_before": found["before"]["people"],
        "people_after": found["after"]["people"],
        "would_merge": found["merged"],
        "would_split": found["split"],
        "identifiers": found["after"]["identifiers"],
    }


def _story(events: int, people: int) -> Iterator[Event]:
    """
    What people do, in the order of its arrival.

    Everybody has three devices. One event in twenty is an identify, a quarter are pages of whom only the device is
    known, a fifth are pages with user and device, half are tracks of a user; one in ten is made at a tablet that two
    people share.
    """
    dice = Random(1)  # noqa: S311 - a load that can be repeated
    pool = [(name.decode(), properties) for name, properties, _ in happenings(_POOL)]
    for number in range(events):
        person, kind = int(dice.random() * people), dice.random()
        device = f"device-{person}-{number % 3}" if dice.random() > 0.1 else f"tablet-{person // 2}"  # noqa: PLR2004
        at = _BEGAN + number * _APART
        named: dict[str, Any] = {"user_id": f"person-{person}"}
        if kind < 0.05:  # noqa: PLR2004 - as the docstring says, and so the others
            named |= {"type": "identify", "anonymous_id": device, "properties": traits_of(person)}
        elif kind < 0.3:  # noqa: PLR2004
            named = {"type": "page", "anonymous_id": device}
        elif kind < 0.5:  # noqa: PLR2004
            named |= {"type": "page", "anonymous_id": device}
        else:
            name, properties = pool[number % _POOL]
            named |= {"type": "track", "name": name, "properties": properties}
        yield Event(
            message_id=f"bench-{number}",
            source="bench",
            received_at=at,
            timestamp=at - 1000,
            context=_CONTEXT,
            **named,
        )
