"""`obverse bench road`: the whole road at a constant rate, from the sender's body to the visible profile."""

from __future__ import annotations

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from obverse.apps.bench.installed import Installed, installed
from obverse.apps.bench.machine import BenchFailed, Watch, database_settings, histogram, machine, percentile
from obverse.apps.bench.sender import Sender
from obverse.apps.own_secrets import API_KEY, own_secret

MARKS: Final = 20
"""Marked events a second, each looked for until it is visible."""
LOOK: Final = 0.008
"""Seconds between the first two looks for one marked event; each wait is a fifth longer than the last."""
PATIENCE: Final = 60.0
"""Seconds within which everything that was sent must be answered, and seen."""
_OK: Final = 200
"""Exactly this is success."""
ENOUGH: Final = 0.99
"""Share of the asked rate that must be sent; less is a failure of the generator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent."""

    rate: int = 20_000
    """Events a second."""
    batch: int = 20
    seconds: int = 20
    people: int = 50_000
    """Who are active, at random. Known before the clock starts: their first event is sent beforehand."""
    connections: int = 64


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


def bodies(load: Load, run: str) -> Iterator[bytes]:
    """Batches for ever, each event with its own id, person and time; orders among views, as in a shop."""
    dice = Random(load.rate)  # noqa: S311 - a load that can be repeated
    number = 0
    while True:
        events = []
        now = time.time()
        sent = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        for _ in range(load.batch):
            number += 1
            events.append(_event(number, dice, run, sent, load.people))
        yield b'{"batch":[' + b",".join(events) + b'],"sentAt":"' + sent.encode() + b'"}'


def _event(number: int, dice: Random, run: str, sent: str, people: int) -> bytes:
    order = number % 5 == 0
    return (
        f'{{"type":"track","event":"{"Order Completed" if order else "Product Added"}","messageId":"{run}-{number}",'
        f'"userId":"person-{dice.randrange(people)}","anonymousId":null,"timestamp":"{sent}",'
        f'"properties":{{"order_id":"o-{number}","sku":"{number * 7919 % 3000:05d}","quantity":{number % 12 + 1},'
        f'"price":{number % 4000 / 100:.2f},"revenue":{number % 9000 / 100:.2f},"currency":"GBP",'
        f'"name":"WHITE HANGING HEART T-LIGHT HOLDER {number % 97}"}},'
        f'"context":{{"library":{{"name":"obverse-bench","version":"1"}},"ip":"192.0.2.{number % 250}",'
        f'"page":{{"path":"/p/{number % 500}"}}}},"integrations":{{}}}}'
    ).encode()


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
        async with aiohttp.ClientSession(timeout=timeout) as http, _doors(here, load) as doors:
            known = await _make_known(http, here, doors, load)
            watch = Watch({**here.pids, "generator": os.getpid()})
            watch.look()
            sent = await _Run(doors, load).go(watch)
            lag = await _drained(http, here)
            watch.look()
        stored, distinct = await _stored(here)
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
class _Doors:
    """Where events go in, and where they are looked for."""

    collector: Sender
    api: Sender
    headers: bytes
    authorization: bytes
    """Of whoever looks."""

    def send(self, body: bytes) -> asyncio.Future[int]:
        return self.collector.post("/v1/batch", self.headers, body)


@asynccontextmanager
async def _doors(here: Installed, load: Load) -> AsyncIterator[_Doors]:
    collector, api = _sender(here.collector, load.connections), _sender(here.api, MARKS)
    credentials = b64encode(f"{here.key}:".encode()).decode()
    headers = f"authorization: Basic {credentials}\r\ncontent-type: application/json\r\n".encode()
    try:
        await collector.open()
        await api.open()
        authorization = f"authorization: Bearer {own_secret(here.data, API_KEY)}\r\n".encode()
        yield _Doors(collector, api, headers, authorization)
    finally:
        collector.close()
        api.close()


def _sender(url: str, connections: int) -> Sender:
    place = urlsplit(url)
    return Sender(place.hostname or "", place.port or 80, connections=connections)


async def _make_known(http: aiohttp.ClientSession, here: Installed, doors: _Doors, load: Load) -> int:
    """Send everybody's first event, so that the load meets people whom the profiles know."""
    size = 500
    for first in range(0, load.people, size):
        events = [
            f'{{"type":"track","event":"Signed Up","messageId":"known-{one}","userId":"person-{one}"}}'
            for one in range(first, min(first + size, load.people))
        ]
        body = '{"batch":[' + ",".join(events) + "]}"
        if await doors.send(body.encode()) != _OK:
            raise BenchFailed("the people's first events were not accepted")
    await _drained(http, here)
    return load.people


@dataclass(frozen=True, slots=True)
class _Run:
    """One load on its way."""

    doors: _Doors
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
        for number, body in zip(range(count), bodies(load, f"load-{os.getpid()}"), strict=False):
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
        if answer.result() == _OK:
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
        if await self.doors.send(body.encode()) != _OK:
            self.sent.failed += 1
            return
        self.sent.accepted += 1
        wait = LOOK
        while await self.doors.api.get(f"/v1/profiles/user_id:{user}", self.doors.authorization) != _OK:
            await asyncio.sleep(wait)
            # What is late is late: looking often for it would only make all else late too.
            wait = min(wait * 1.2, 0.1)
        self.sent.visible.append(asyncio.get_running_loop().time() - due)


async def _look(watch: Watch) -> None:
    while True:
        # Seldom, and in a thread: the kernel adds up the pages of every process, a fifth of a second of CPU.
        await asyncio.sleep(10)
        await asyncio.to_thread(watch.look)


async def _drained(http: aiohttp.ClientSession, here: Installed) -> float:
    """Wait until everything accepted is in the store; returns how many seconds that took."""
    began = asyncio.get_running_loop().time()
    while True:
        headers = {"Authorization": f"Bearer {own_secret(here.data, API_KEY)}"}
        async with http.get(f"{here.api}/v1/overview", headers=headers) as answer:
            lag = (await answer.json())["lag"] if answer.ok else {}
        if lag and all(part["lag"] == 0 for part in lag.values()):
            return asyncio.get_running_loop().time() - began
        await asyncio.sleep(0.05)


async def _stored(here: Installed) -> tuple[int, int]:
    connection = await asyncpg.connect(here.dsn)
    try:
        row = await connection.fetchrow("select count(*), count(distinct message_id) from event_stream")
        return int(row[0]), int(row[1])
    finally:
        await connection.close()
