"""A whole installation whose log moves to Kafka and back while events arrive: none is lost, none is doubled."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from brokers import kafka_settings
from installation import Installation, installation, start, until
from obverse.sandboxes.kafka import KafkaSandbox

pytestmark = pytest.mark.service


class Shop:
    """Sends orders until it is told to stop, each again until it is answered 200, as an SDK does."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self.sent = 0
        self.stopped = False

    async def run(self) -> None:
        key = b64encode(f"{self.here.key}:".encode()).decode()
        while not self.stopped:
            body = {
                "userId": f"u{self.sent % 7}",
                "messageId": f"m-{self.sent}",
                "event": "Order Completed",
                "properties": {"revenue": 1},
            }
            try:
                status, _ = await self.here.post("/v1/track", body, Authorization=f"Basic {key}")
            except (aiohttp.ClientError, TimeoutError):
                continue
            if status == 200:
                self.sent += 1
            await asyncio.sleep(0.005)


def environment_of(kafka: KafkaSandbox) -> dict[str, str]:
    place = kafka_settings(kafka)
    known = {"servers": place.servers, "prefix": place.prefix, "replication": "1", "min_insync": "1"}
    return {f"OBVERSE_EVENT_LOG__KAFKA__{name.upper()}": value for name, value in known.items()}


@asynccontextmanager
async def selling(here: Installation) -> AsyncIterator[Shop]:
    shop = Shop(here)
    work = asyncio.create_task(shop.run())
    try:
        yield shop
    finally:
        shop.stopped = True
        await work


async def moved(data: Path, to: str, settings: dict[str, str], *more: str) -> tuple[int, Any, str]:
    """What `obverse migrate log` says: its exit code, the last line as JSON, and its words."""
    process = await start(data, "migrate", "log", "--to", to, "--json", *more, **settings)
    out, errors = await process.communicate()
    lines = out.decode().splitlines()
    return (
        process.returncode or 0,
        msgspec.json.decode(lines[-1]) if lines and "{" in lines[-1] else out,
        errors.decode(),
    )


async def refused(data: Path, settings: dict[str, str]) -> None:
    """What cannot be is told, with what to do."""
    for to, environment, more, why in (
        ("tape", settings, (), "event_log.adapter is 'tape', but only these are installed"),
        ("kafka", {}, (), "servers"),
        ("kafka", settings, ("--give-up",), "the log is in postgres, and nothing of it moves to kafka"),
    ):
        code, _, errors = await moved(data, to, environment, *more)
        assert (code, why in errors) == (1, True), errors


async def counts(here: Installation) -> tuple[int, int]:
    """Orders in the store, and the distinct ones of them."""
    async with here.sql() as sql:
        row = await sql.fetchrow(
            "select count(*), count(distinct message_id) from event_stream where message_id ~ '^m-'"
        )
        return row[0], row[1]


async def test_the_log_moves_to_kafka_and_back_while_events_arrive(tmp_path: Path, kafka: KafkaSandbox) -> None:
    data, settings = tmp_path / "data", environment_of(kafka)
    async with installation(data, **settings) as here:
        await refused(data, settings)
        async with selling(here) as shop:

            async def more(count: int = 30) -> None:
                enough = shop.sent + count

                async def sold() -> bool:
                    return shop.sent >= enough

                await until(sold)

            await more()
            code, told, errors = await moved(data, "kafka", settings)
            assert code == 0, errors
            assert told["records"]["events"] >= 30
            await more()
            assert (await moved(data, "kafka", settings))[1]["records"] == {
                "events": 0,
                "rejected": 0,
                "decisions": 0,
                "changes": 0,
                "routed": 0,
            }, "it is there already"
            code, told, errors = await moved(data, "postgres", settings)
            assert (code, told["from"], told["to"]) == (0, "kafka", "postgres"), errors
            await more()
        await until(here.ready)
        await until(here.drained)
        assert await counts(here) == (shop.sent, shop.sent)
        orders = 0
        for number in range(7):
            status, profile = await here.get(f"/v1/profiles/user_id:u{number}")
            assert status == 200
            orders += profile["events"]
        assert orders == shop.sent
