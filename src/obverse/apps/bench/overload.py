"""`obverse bench overload`: what a collector does with several times as much as it can take."""

from __future__ import annotations

import os
from dataclasses import asdict
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiohttp

from obverse.apps.bench.installed import installed
from obverse.apps.bench.load import Load, count_stored, doors_of, drained, make_known
from obverse.apps.bench.machine import Watch, database_settings, machine, percentile
from obverse.apps.bench.phases import Phase, send_phase

ENOUGH: Final = 0.99
"""Share of the asked rate that must be sent; less is a failure of the generator."""
FLAT: Final = 1.25
"""How much more memory the collector may have at the end of the overload than in its first tenth."""
_MAY_BE: Final = frozenset({int(HTTPStatus.OK), int(HTTPStatus.TOO_MANY_REQUESTS)})


async def bench_overload(load: Load, times: int) -> dict[str, Any]:
    """
    Send a third as long at the load's rate, then its seconds at `times` that, and tell how the two differ.

    Raises:
        BenchFailed: the installation did not start.
    """
    definitions = Path(str(files("obverse.apps.demo") / "definitions"))
    async with installed(definitions) as here:
        settings = await database_settings(here.dsn)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as http, doors_of(here, load) as doors:
            known = await make_known(http, here, doors, load)
            watch = Watch({**here.pids, "generator": os.getpid()})
            watch.look()
            usual = Phase(load.rate, max(1, load.seconds // 3))
            much = Phase(load.rate * times, load.seconds)
            for number, phase in enumerate((usual, much)):
                await send_phase(phase, doors, load, b"phase-%d-%d" % (number, os.getpid()), here.pids["collector"])
                watch.look()
            lag = await drained(http, here)
        stored, distinct = await count_stored(here)
        costs = watch.report()
    accepted = (len(usual.accepted) + len(much.accepted)) * load.batch
    figures: dict[str, Any] = {
        "load": asdict(load),
        "times": times,
        "machine": machine(),
        "postgres": settings,
        "usual": usual.figures(load.batch),
        "overload": much.figures(load.batch),
        "p99_ratio": round(percentile(much.accepted, 0.99) / percentile(usual.accepted, 0.99), 2),
        "accepted": accepted,
        "distinct_stored": distinct - known,
        "lag_after_s": round(lag, 1),
        "peak_memory_bytes": watch.peak,
        "processes": costs,
    }
    figures["flaws"] = flaws = _flaws(usual, much, load.batch)
    if not accepted == distinct - known == stored - known:
        flaws.append(f"{accepted} accepted, {stored - known} stored, {distinct - known} of them distinct")
    return figures


def _flaws(usual: Phase, much: Phase, batch: int) -> list[str]:
    flaws = []
    for phase in (usual, much):
        others = sum(count for status, count in phase.statuses.items() if status not in _MAY_BE)
        if others:
            flaws.append(f"{others} requests at {phase.rate}/s were answered neither 200 nor 429")
        sent = sum(phase.statuses.values()) * batch / phase.took
        if sent < ENOUGH * phase.rate:
            flaws.append(f"only {sent:.0f} events a second were sent, {phase.rate} were asked")
    if usual.refused:
        flaws.append(f"{len(usual.refused)} requests were refused at {usual.rate}/s already: ask for a lower rate")
    if not much.refused:
        flaws.append(f"{much.rate}/s is no overload: ask for a higher rate")
    at_first = max(much.memory[: max(1, len(much.memory) // 10)])
    if much.memory[-1] > FLAT * at_first:
        flaws.append(f"the collector grew from {at_first} to {much.memory[-1]} bytes")
    return flaws
