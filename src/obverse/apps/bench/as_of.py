"""`obverse bench history`: how long it takes to read a profile as of an earlier time, out of PostgreSQL."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from random import Random
from time import perf_counter, process_time
from typing import Any, Final

from obverse.adapters.definition_files import read_folder
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.postgres import schema
from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.bodies import CONTEXT, happenings
from obverse.apps.bench.installed import new_folder
from obverse.apps.bench.machine import database_settings, machine, percentile
from obverse.apps.bench.trial import DEFINITIONS
from obverse.core.events import Event
from obverse.flows.history import History
from obverse.flows.serve import Serve
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Records, Stream
from obverse.wiring import trait_kinds

_BEGAN: Final = 1_767_225_600_000_000
"""When the first event arrived, in microseconds since 1970; each of the others a minute later."""
_APART: Final = 60_000_000
_BATCH: Final = 50
_PATIENCE: Final = 300
_WHO: Final = "user_id:ada"
_CONTEXT: Final = CONTEXT % (1, 1)
_PLANS: Final = ("free", "basic", "pro")
_BROWSERS: Final = 3
_MOST_MS: Final = 50
"""Milliseconds that a read should take at most."""


async def bench_as_of(*, changes: int, instants: int, rounds: int) -> dict[str, Any]:
    """Fold a person of so many changes, and read them as of that many random instants, time after time."""
    folder = new_folder()
    server = EmbeddedServer(folder / "data")
    await server.start()
    try:
        await schema.migrate(server.dsn("obverse_owner"))
        figures = await _measure(server, list(_story(changes)), instants, rounds)
        return {
            "changes": changes,
            "instants": instants,
            "rounds": rounds,
            "machine": machine(),
            "postgres": await database_settings(server.dsn("obverse_owner")),
            **figures,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    finally:
        await server.stop()
        await server.erase()
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(server: EmbeddedServer, story: Sequence[Event], instants: int, rounds: int) -> dict[str, Any]:
    definitions, runtime = read_folder(DEFINITIONS, trait_kinds()), open_runtime()
    async with AsyncExitStack() as stack:
        log = await open_event_log(PostgresLogSettings(dsn=server.dsn("obverse_worker")), runtime)
        stack.push_async_callback(log.close)
        kept = await open_profile_store(PostgresStoreSettings(dsn=server.dsn("obverse_worker")), runtime)
        stack.push_async_callback(kept.close)
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        parts = EngineParts(
            workspace="main", log=log, store=kept, cache=cache, definitions=lambda: definitions, runtime=runtime
        )
        await _fold(parts, story)
        # Read as the api's role may, and out of the store: it has what the cache had of them.
        store = await open_profile_store(PostgresStoreSettings(dsn=server.dsn("obverse_api")), runtime)
        stack.push_async_callback(store.close)
        history = History(store, Serve(store, cache, lambda: definitions), lambda: definitions, runtime)
        return await _read(history, story, instants, rounds)


async def _fold(parts: EngineParts, story: Sequence[Event]) -> None:
    appender = await parts.log.open_appender(Stream.EVENTS)
    for at in range(0, len(story), _BATCH):
        for records in Records.of(story[at : at + _BATCH]):
            await appender.append(0, records)
    await appender.close()
    engine = await open_engine(EmbeddedSettings(idle_seconds=0.05), parts)
    work = parts.runtime.spawn("engine", engine.run())
    await asyncio.wait_for(engine.drain(), _PATIENCE)
    await work.stop()


async def _read(history: History, story: Sequence[Event], instants: int, rounds: int) -> dict[str, Any]:
    dice = Random(1)  # noqa: S311 - a load that can be repeated
    asked = [story[dice.randrange(len(story))].received_at for _ in range(instants)]
    took, own, flaws = list[float](), list[float](), list[str]()
    for _ in range(rounds):
        for at in asked:
            began, spent = perf_counter(), process_time()
            found = await history.profile(_WHO, at)
            took.append((perf_counter() - began) * 1000)
            own.append((process_time() - spent) * 1000)
            expected = sum(event.received_at <= at and event.user_id is not None for event in story)
            if found is None or not found.view.past or not found.view.past.complete:
                flaws.append(f"as of {at} nobody is told, or not all of them")
            elif found.view.events < expected:
                flaws.append(f"as of {at} {found.view.events} events are told of {expected}")
    return {
        "reads": len(took),
        "p50_ms": round(percentile(took, 0.5), 1),
        "p99_ms": round(percentile(took, 0.99), 1),
        "worst_ms": round(max(took), 1),
        "first_ms": round(took[0], 1),
        "cpu_p50_ms": round(percentile(own, 0.5), 1),
        "cpu_worst_ms": round(max(own), 1),
        "under_50_ms": sum(one < _MOST_MS for one in took),
        "flaws": flaws,
    }


def _story(changes: int) -> Iterator[Event]:
    """
    What one person does, in the order of its arrival; each of it changes something.

    One event in four tells their plan anew, the others are of a shop; one in ten is of one of three browsers that are
    nobody's yet or theirs by then.
    """
    pool = list(happenings(changes))
    for number, (name, properties, _) in enumerate(pool):
        at, browser = _BEGAN + number * _APART, f"browser-{number % _BROWSERS}"
        who: dict[str, Any] = {"user_id": "ada", "anonymous_id": browser if number % 7 == 0 else None}
        if number % 10 == 0 and number:
            who = {"anonymous_id": browser}
        what: dict[str, Any] = {"type": "track", "name": name.decode(), "properties": properties}
        if number % 4 == 0:
            told = b'{"plan":"%b","visits":%d}' % (_PLANS[number % 3].encode(), number)
            what = {"type": "identify", "properties": told}
        yield Event(
            message_id=f"bench-{number}",
            source="bench",
            received_at=at,
            timestamp=at - 1000,
            context=_CONTEXT,
            **who,
            **what,
        )
