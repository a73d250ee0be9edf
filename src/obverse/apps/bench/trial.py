"""An installation under a load: what all benchmarks of the road prepare, watch and count afterwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiohttp
import asyncpg

from obverse.apps.bench.doors import Doors, doors_of
from obverse.apps.bench.installed import Installed, installed, log_of
from obverse.apps.bench.known import make_known
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import Watch, database_settings, heaps_mb, machine
from obverse.apps.bench.rolls import Rolls, arrange_rolls
from obverse.apps.own_secrets import API_KEY, own_secret

_FOLDER: Final = Path(str(files("obverse.apps.bench")))
DEFINITIONS: Final = _FOLDER / "definitions"
"""Eight traits, one of each kind, and three audiences."""
HEAVY: Final = _FOLDER / "definitions_heavy"
"""Ten traits, four of them over windows, and twenty audiences."""
MARKED: Final = _FOLDER / "definitions_marked"
"""A marked event has its person enter an audience, for which a message is written."""
CLOSING: Final = _FOLDER / "definitions_closing"
"""Audiences that people leave by time alone."""
_LOOK: Final = 10.0
"""Seconds between two looks at what all processes use."""


@dataclass(slots=True)
class Trial:
    """One installation, and what was found of it."""

    load: Load
    here: Installed
    doors: Doors
    watch: Watch
    postgres: dict[str, str]
    known: int
    """Events that were sent to make the people known."""
    known_in: float
    """Seconds until these were in the store."""
    sending: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each process until the load ended."""
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each process has used until all was in the store."""
    ended: float = 0.0
    """When the last of the load had been sent, by `perf_counter`."""
    lag: float = 0.0
    """Seconds from then until everything accepted was in the store."""
    stored: int = 0
    """Events in the store, without those that made people known."""
    distinct: int = 0
    """Of these, the distinct ones."""
    heaps: dict[str, list[int]] = field(default_factory=dict)
    """Java's heaps, in MB, by who it runs for."""
    rolls: Rolls | None = None
    """What rolls over in the middle of the load, if something is to."""

    def figures(self, own: dict[str, Any]) -> dict[str, Any]:
        """A benchmark's own figures among those that all have."""
        return {
            "load": self.load.told(),
            "machine": machine(),
            "postgres": self.postgres,
            "people_known_in_s": round(self.known_in, 1),
            **own,
            "distinct_stored": self.distinct,
            "lag_after_s": round(self.lag, 2),
            "cpu_core_seconds": round(sum(cost["cpu_seconds"] for cost in self.costs.values()), 2),
            "peak_memory_bytes": self.watch.peak,
            **({"java_heaps_mb": self.heaps} if self.heaps else {}),
            "processes": {
                name: {**cost, "cpu_seconds_sending": self.sending[name]} for name, cost in self.costs.items()
            },
        }

    def losses(self, accepted: int) -> list[str]:
        """The flaw that something was lost or doubled, if it was."""
        if accepted == self.distinct == self.stored:
            return []
        return [f"{accepted} accepted, {self.stored} stored, {self.distinct} of them distinct"]


@asynccontextmanager
async def trial_of(load: Load) -> AsyncIterator[Trial]:
    """
    Have an installation that knows the load's people; once the block has sent the load, wait for it and count.

    Raises:
        BenchFailed: the installation did not start, or did not accept the people.
    """
    async with log_of(load.log) as log, installed(*_definitions(load), environment=log.environment()) as here:
        here.pids.update(log.pids)
        postgres = await database_settings(here.dsn)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as http, doors_of(here, load) as doors:
            began = perf_counter()
            known = await make_known(doors, load)
            await drained(http, here)
            took = perf_counter() - began
            rolls = await arrange_rolls(here, load) if load.roll else None
            watch = Watch({**here.pids, "generator": os.getpid()})
            trial = Trial(load, here, doors, watch, postgres, known, took, rolls=rolls)
            trial.watch.look()
            looking = asyncio.create_task(_look(trial.watch))
            async with nullcontext() if rolls is None else rolls.watched():
                try:
                    yield trial
                finally:
                    looking.cancel()
                trial.ended = trial.ended or perf_counter()
                trial.sending = trial.watch.spent()
                await drained(http, here)
            trial.lag = perf_counter() - trial.ended
            trial.watch.look()
            # The supervisor's are those of the roles, told by their own names.
            trial.heaps = heaps_mb({name: pid for name, pid in here.pids.items() if name != "supervisor"})
        trial.costs = trial.watch.report()
        stored, distinct = await count_stored(here)
        trial.stored, trial.distinct = stored - known, distinct - known


def _definitions(load: Load) -> list[Path]:
    beside = ((load.marked, MARKED), (bool(load.closing), CLOSING))
    return [HEAVY if load.heavy else DEFINITIONS, *(folder for asked, folder in beside if asked)]


async def _look(watch: Watch) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        # In a thread: the kernel adds up the pages of every process, a fifth of a second of CPU.
        await asyncio.to_thread(watch.look)


async def drained(http: aiohttp.ClientSession, here: Installed) -> None:
    """Wait until everything accepted is in the store."""
    headers = {"Authorization": f"Bearer {own_secret(here.data, API_KEY)}"}
    while True:
        began = perf_counter()
        async with http.get(f"{here.api}/v1/overview", headers=headers) as answer:
            lag = (await answer.json())["lag"] if answer.ok else {}
        if lag and all(part["lag"] == 0 for part in lag.values()):
            break
        # The answer counts the members of audiences: asking for it all the time would delay what is waited for.
        await asyncio.sleep(max(0.05, 4 * (perf_counter() - began)))


async def count_stored(here: Installed) -> tuple[int, int]:
    """How many events are in the store, and how many of them are distinct."""
    connection = await asyncpg.connect(here.dsn)
    try:
        # A table of ids is quicker than sorting them, and a long run has tens of millions.
        await connection.execute("set work_mem = '1GB'")
        row = await connection.fetchrow(
            "select coalesce(sum(times), 0), count(*) from"
            " (select count(*) as times from event_stream group by message_id) as ids"
        )
        return int(row[0]), int(row[1])
    finally:
        await connection.close()
