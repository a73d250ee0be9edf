"""The load of the benchmarks, and the doors of the installation that it goes to."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from obverse.apps.bench.installed import Installed
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.sender import Sender
from obverse.apps.own_secrets import API_KEY, own_secret

OK: Final = 200
"""Exactly this is success."""
LOOKERS: Final = 20
"""Connections to the API."""


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


def bodies(load: Load, run: bytes) -> Iterator[bytes]:
    """Batches for ever, each event with its own id, person and time; orders among views, as in a shop."""
    dice = Random(load.rate)  # noqa: S311 - a load that can be repeated
    number = 0
    while True:
        events = []
        now = time.time()
        sent = b"%b.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)).encode(), int(now * 1000) % 1000)
        for _ in range(load.batch):
            number += 1
            events.append(_event(number, dice, run, sent, load.people))
        yield b'{"batch":[%b],"sentAt":"%b"}' % (b",".join(events), sent)


def _event(number: int, dice: Random, run: bytes, sent: bytes, people: int) -> bytes:
    return _EVENT % (
        b"Order Completed" if number % 5 == 0 else b"Product Added",
        run,
        number,
        int(dice.random() * people),
        sent,
        number,
        number * 7919 % 3000,
        number % 12 + 1,
        number % 4000 / 100,
        number % 9000 / 100,
        number % 97,
        number % 250,
        number % 500,
    )


_EVENT: Final = (
    b'{"type":"track","event":"%b","messageId":"%b-%d","userId":"person-%d","anonymousId":null,"timestamp":"%b",'
    b'"properties":{"order_id":"o-%d","sku":"%05d","quantity":%d,"price":%.2f,"revenue":%.2f,"currency":"GBP",'
    b'"name":"WHITE HANGING HEART T-LIGHT HOLDER %d"},'
    b'"context":{"library":{"name":"obverse-bench","version":"1"},"ip":"192.0.2.%d","page":{"path":"/p/%d"}},'
    b'"integrations":{}}'
)


@dataclass(frozen=True, slots=True)
class Doors:
    """Where events go in, and where they are looked for."""

    collector: Sender
    api: Sender
    headers: bytes
    authorization: bytes
    """Of whoever looks."""

    def send(self, body: bytes) -> asyncio.Future[int]:
        """Send one batch; the status that it is answered with."""
        return self.collector.post("/v1/batch", self.headers, body)


@asynccontextmanager
async def doors_of(here: Installed, load: Load) -> AsyncIterator[Doors]:
    """Open them for as long as the block runs."""
    collector, api = sender_to(here.collector, load.connections), sender_to(here.api, LOOKERS)
    credentials = b64encode(f"{here.key}:".encode()).decode()
    headers = f"authorization: Basic {credentials}\r\ncontent-type: application/json\r\n".encode()
    try:
        await collector.open()
        await api.open()
        authorization = f"authorization: Bearer {own_secret(here.data, API_KEY)}\r\n".encode()
        yield Doors(collector, api, headers, authorization)
    finally:
        collector.close()
        api.close()


def sender_to(url: str, connections: int) -> Sender:
    """A sender to one of our doors, not opened yet."""
    place = urlsplit(url)
    return Sender(place.hostname or "", place.port or 80, connections=connections)


async def make_known(http: aiohttp.ClientSession, here: Installed, doors: Doors, load: Load) -> int:
    """Send everybody's first event, so that the load meets people whom the profiles know."""
    size = 500
    for first in range(0, load.people, size):
        events = [
            f'{{"type":"track","event":"Signed Up","messageId":"known-{one}","userId":"person-{one}"}}'
            for one in range(first, min(first + size, load.people))
        ]
        body = '{"batch":[' + ",".join(events) + "]}"
        if await doors.send(body.encode()) != OK:
            raise BenchFailed("the people's first events were not accepted")
    await drained(http, here)
    return load.people


async def drained(http: aiohttp.ClientSession, here: Installed) -> float:
    """Wait until everything accepted is in the store; returns how many seconds that took."""
    began = asyncio.get_running_loop().time()
    while True:
        headers = {"Authorization": f"Bearer {own_secret(here.data, API_KEY)}"}
        async with http.get(f"{here.api}/v1/overview", headers=headers) as answer:
            lag = (await answer.json())["lag"] if answer.ok else {}
        if lag and all(part["lag"] == 0 for part in lag.values()):
            return asyncio.get_running_loop().time() - began
        await asyncio.sleep(0.05)


async def count_stored(here: Installed) -> tuple[int, int]:
    """How many events are in the store, and how many of them are distinct."""
    connection = await asyncpg.connect(here.dsn)
    try:
        row = await connection.fetchrow("select count(*), count(distinct message_id) from event_stream")
        return int(row[0]), int(row[1])
    finally:
        await connection.close()
