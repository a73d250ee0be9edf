"""`obverse bench overload`: what a collector does with several times as much as it can take."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiohttp

from obverse.apps.bench.installed import installed
from obverse.apps.bench.load import OK, Doors, Load, bodies, count_stored, doors_of, drained, make_known
from obverse.apps.bench.machine import Watch, database_settings, machine, memory_bytes, percentile

PATIENCE: Final = 60.0
"""Seconds within which everything that was sent must be answered."""
ENOUGH: Final = 0.99
"""Share of the asked rate that must be sent; less is a failure of the generator."""
FLAT: Final = 1.25
"""How much more memory the collector may have at the end of the overload than in its first tenth."""
_MAY_BE: Final = frozenset({int(HTTPStatus.OK), int(HTTPStatus.TOO_MANY_REQUESTS)})


@dataclass(slots=True)
class _Phase:
    """One rate, kept up; what came of it."""

    rate: int
    seconds: int
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[float] = field(default_factory=list)
    """Seconds from the moment a batch was to be sent to its 200."""
    refused: list[float] = field(default_factory=list)
    """The same, to its 429."""
    memory: list[int] = field(default_factory=list)
    """The collector's, each second, in bytes."""
    took: float = 0.0

    def figures(self, batch: int) -> dict[str, Any]:
        sent = sum(self.statuses.values())
        return {
            "asked_per_s": self.rate,
            "sent_per_s": round(sent * batch / self.took),
            "accepted_per_s": round(len(self.accepted) * batch / self.took),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "accepted_p50_ms": round(percentile(self.accepted, 0.5) * 1000, 1),
            "accepted_p99_ms": round(percentile(self.accepted, 0.99) * 1000, 1),
            "refused_p99_ms": round(percentile(self.refused, 0.99) * 1000, 1) if self.refused else None,
            "collector_memory_bytes": {"first": self.memory[0], "most": max(self.memory), "last": self.memory[-1]},
        }


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
            usual = _Phase(load.rate, max(1, load.seconds // 3))
            much = _Phase(load.rate * times, load.seconds)
            for number, phase in enumerate((usual, much)):
                await _go(phase, doors, load, b"phase-%d-%d" % (number, os.getpid()), here.pids["collector"])
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


def _flaws(usual: _Phase, much: _Phase, batch: int) -> list[str]:
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


async def _go(phase: _Phase, doors: Doors, load: Load, run: bytes, collector: int) -> None:
    """Send at a constant rate, whatever the answers do; each latency counts from the moment of its batch."""
    loop = asyncio.get_running_loop()
    waiting: set[asyncio.Future[int]] = set()
    began = loop.time()
    looking = asyncio.create_task(_look(phase, collector))
    every, count = load.batch / phase.rate, phase.seconds * phase.rate // load.batch
    for number, body in zip(range(count), bodies(load, run), strict=False):
        due = began + number * every
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        answer = doors.send(body)
        waiting.add(answer)
        answer.add_done_callback(partial(_answered, phase, due))
        answer.add_done_callback(waiting.discard)
    phase.took = max(loop.time() - began, phase.seconds)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*waiting)
    looking.cancel()


def _answered(phase: _Phase, due: float, answer: asyncio.Future[int]) -> None:
    status, took = answer.result(), answer.get_loop().time() - due
    phase.statuses[status] += 1
    if status == OK:
        phase.accepted.append(took)
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        phase.refused.append(took)


async def _look(phase: _Phase, collector: int) -> None:
    while True:
        phase.memory.append(memory_bytes([collector]))
        await asyncio.sleep(1)
