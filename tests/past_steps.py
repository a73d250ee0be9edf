"""Steps of the tests that ask the API for the past of a small shop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from msgspec import structs

from asgi import Answer, App, ask
from obverse.core import times
from obverse.core.events import Event
from reading import NOON, Shop, identify, open_shop, track

MINUTE = 60_000_000
ADA, BROWSER = "user_id:ada", "anonymous_id:a-1"


def minute(number: float) -> str:
    return times.to_text(NOON + round(number * MINUTE))


def at(event: Event, happened: float, arrived: float) -> Event:
    """The same event, at other minutes."""
    return structs.replace(event, timestamp=NOON + round(happened * MINUTE), received_at=NOON + round(arrived * MINUTE))


STORY = [
    at(track(0, "0.10", anonymous_id="a-1"), 0, 0),
    identify(1, '{"plan": "free", "city": "Oslo"}', user_id="ada"),
    identify(2, '{"plan": "pro", "score": 1.50}', user_id="ada", source="crm"),
    identify(3, '{"email": "ada@example.com"}', user_id="ada", anonymous_id="a-1"),
    at(track(4, "1000.20", user_id="ada"), 4, 4),
    at(identify(5, '{"city": "Rome", "plan": "trial"}', user_id="ada"), 2.5, 5),
    identify(6, '{"city": null}', user_id="ada", source="crm"),
]
"""A browser and a customer, who are one from minute 3 on; what arrived in minute 5 is late."""


@asynccontextmanager
async def open_past_shop() -> AsyncIterator[Shop]:
    """A shop in which all of `STORY` has come, and is in the store."""
    opened = await open_shop()
    await opened.fold(*STORY)
    await opened.checkpoint()
    yield opened
    await opened.close()


async def as_of(api: App, at: float | str, name: str = ADA) -> Answer:
    return await ask(api, f"/v1/profiles/{name}?as_of={quote(at if isinstance(at, str) else minute(at))}")


async def compare(api: App, query: str, name: str = ADA) -> Answer:
    return await ask(api, f"/v1/profiles/{name}/compare?{query}")


async def restore(api: App, body: Any, name: str = ADA) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(api, f"/v1/profiles/{name}/restore", method="POST", body=text)


def told(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return {name: one["value"] for name, one in answer.json["attributes"].items()}
