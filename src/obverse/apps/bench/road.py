"""`obverse bench road`: the whole road at a constant rate, from the sender's body to the visible profile."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiohttp

from obverse.apps.bench.installed import installed
from obverse.apps.bench.load import OK, Doors, Load, bodies, count_stored, doors_of, drained, make_known
from obverse.apps.bench.machine import Watch, database_settings, histogram, machine, percentile

MARKS: Final = 20
"""Marked events a second, each looked for until it is visible."""
LOOK: Final = 0.008
"""Seconds between the first two looks for one marked event; each wait is a fifth longer than the last."""
PATIENCE: Final = 60.0
"""Seconds within which everything that was sent must be answered, and seen."""
ENOUGH: Final = 0.99
"""Share of the asked rate that must be sent; less is a failure of the generator."""


@dataclass(slots=True)
class Sent:
    """What came of it; seconds each."""

    answers: list[float] = field(default_factory=list)
    """From the moment a batch was to be sent to its answer."""
    visible: list[float] = field(default_factory=list)
    """From the moment a marked event was to be sent until the API showed it."""
    accepted: int = 0
    failed: int = 0
    began: float = 0.0
    last_sent: float = 0.0


async def bench_road(load: Load) -> dict[str, Any]:
    """
    Start an installation, send the load, and tell the figures.

    Raises:
        BenchFailed: the generator could not keep up, an answer was not 200, or something was lost or doubled.
    """
    definitions = Path(str(files("obverse.apps.demo") / "definitions"))
    async with installed(definitions) as here:
        settings = await database_settings(here.dsn)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as http, doors_of(here, load) as doors:
            known = await make_known(http, here, doors, load)
            watch = Watch({**here.pids, "generator": os.getpid()})
            watch.look()
            sent = await _Run(doors, load).go(watch)
            lag = await drained(http, here)
            watch.look()
        stored, distinct = await count_stored(here)
        costs = watch.report()
    rate = sent.accepted / (sent.last_sent - sent.began) if sent.accepted else 0.0
    figures = {
        "load": asdict(load),
        "machine": machine(),
        "postgres": settings,
        "rate_achieved": round(rate),
        "accepted": sent.accepted,
        "failed": sent.failed,
        "distinct_stored": distinct - known,
        "p50_ms": _ms(sent.answers, 0.5),
        "p99_ms": _ms(sent.answers, 0.99),
        "p999_ms": _ms(sent.answers, 0.999),
        "visible_p50_ms": _ms(sent.visible, 0.5),
        "visible_p99_ms": _ms(sent.visible, 0.99),
        "lag_after_s": round(lag, 2),
        "cpu_core_seconds": round(sum(cost["cpu_seconds"] for cost in costs.values()), 2),
        "peak_memory_bytes": watch.peak,
        "processes": costs,
        "histogram_ms": histogram(sent.answers),
    }
    _judge(figures, load, stored - known)
    return figures


def _ms(seconds: list[float], share: float) -> float:
    return round(percentile(seconds, share) * 1000, 2)


def _judge(figures: dict[str, Any], load: Load, stored: int) -> None:
    flaws = []
    if figures["failed"]:
        flaws.append(f"{figures['failed']} batches were not answered 200")
    if figures["rate_achieved"] < ENOUGH * load.rate:
        flaws.append(f"only {figures['rate_achieved']} events a second were sent, {load.rate} were asked")
    if not figures["accepted"] == figures["distinct_stored"] == stored:
        flaws.append(f"{figures['accepted']} accepted, {stored} stored, {figures['distinct_stored']} of them distinct")
    figures["flaws"] = flaws


@dataclass(frozen=True, slots=True)
class _Run:
    """One load on its way."""

    doors: Doors
    load: Load
    sent: Sent = field(default_factory=Sent)

    async def go(self, watch: Watch) -> Sent:
        """
        Send at a constant rate, whatever the answers do.

        Each batch has its moment, and its latency counts from it.
        """
        load, sent = self.load, self.sent
        loop = asyncio.get_running_loop()
        waiting: set[asyncio.Future[int]] = set()
        sent.began = loop.time()
        marking, looking = asyncio.create_task(self._mark()), asyncio.create_task(_look(watch))
        every, count = load.batch / load.rate, load.seconds * load.rate // load.batch
        for number, body in zip(range(count), bodies(load, b"load-%d" % os.getpid()), strict=False):
            due = sent.began + number * every
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            answer = self.doors.send(body)
            waiting.add(answer)
            answer.add_done_callback(partial(self._answered, due))
            answer.add_done_callback(waiting.discard)
        sent.last_sent = max(loop.time(), sent.began + load.seconds)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*waiting, marking)
        looking.cancel()
        return sent

    def _answered(self, due: float, answer: asyncio.Future[int]) -> None:
        self.sent.answers.append(answer.get_loop().time() - due)
        if answer.result() == OK:
            self.sent.accepted += self.load.batch
        else:
            self.sent.failed += 1

    async def _mark(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = []
        for number in range(self.load.seconds * MARKS):
            due = self.sent.began + number / MARKS
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.append(asyncio.create_task(self._mark_one(number, due)))
        await asyncio.gather(*tasks)

    async def _mark_one(self, number: int, due: float) -> None:
        user = f"marked-{number}"
        body = f'{{"batch":[{{"type":"track","event":"Marked","messageId":"{user}","userId":"{user}"}}]}}'
        if await self.doors.send(body.encode()) != OK:
            self.sent.failed += 1
            return
        self.sent.accepted += 1
        wait = LOOK
        while await self.doors.api.get(f"/v1/profiles/user_id:{user}", self.doors.authorization) != OK:
            await asyncio.sleep(wait)
            # What is late is late: looking often for it would only make all else late too.
            wait = min(wait * 1.2, 0.1)
        self.sent.visible.append(asyncio.get_running_loop().time() - due)


async def _look(watch: Watch) -> None:
    while True:
        # Seldom, and in a thread: the kernel adds up the pages of every process, a fifth of a second of CPU.
        await asyncio.sleep(10)
        await asyncio.to_thread(watch.look)
