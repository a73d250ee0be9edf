"""A sender's journal: what it sent, what was answered, and whether exactly that is in the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg

from installation import Installation, until
from obverse.adapters.postgres.server import EmbeddedServer

BATCH = 10
FOR_NOW = frozenset({429, 500, 502, 503, 504, 507})
"""Statuses after which the same is to be sent again, later."""
COLOURS = ("red", "blue", "green")


@dataclass
class Journal:
    """What was sent, and what was answered."""

    user: str
    padding: str = ""
    """Something that makes each event larger."""
    taken: set[str] = field(default_factory=set)
    """Message ids that were answered 200."""
    answers: Counter[str] = field(default_factory=Counter)
    unexplained: Counter[str] = field(default_factory=Counter)
    """Refusals for now that did not say when to come again."""
    slowest: float = 0.0
    """Seconds that the slowest answer took."""
    made: int = 0
    stop: bool = False

    def batch(self) -> list[dict[str, Any]]:
        """The next ones: nine that something was sent, and one that tells of the person."""
        numbers = range(self.made, self.made + BATCH)
        self.made += BATCH
        return [self._told(number) if number % BATCH == 0 else self._sent(number) for number in numbers]

    def _sent(self, number: int) -> dict[str, Any]:
        properties = {"padding": self.padding, "number": number, "sku": f"s-{number % 7}"}
        return {"type": "track", "event": "Sent", "properties": properties, **self._who(number)}

    def _told(self, number: int) -> dict[str, Any]:
        traits = {"colour": COLOURS[number // BATCH % len(COLOURS)], "reached": number}
        return {"type": "identify", "traits": traits, **self._who(number)}

    def _who(self, number: int) -> dict[str, Any]:
        return {"userId": self.user, "messageId": f"{self.user}-{number}"}


async def send(here: Installation, journal: Journal, pause: float = 0.0, every: float = 0.0) -> None:
    """
    Send batch after batch, each as long as it takes, as SDKs do.

    `pause` seconds after an answer that is not 200, and `every` after one that is.
    """
    loop = asyncio.get_running_loop()
    while not journal.stop:
        events = journal.batch()
        answer = ""
        while answer != "200":
            began = loop.time()
            try:
                body = {"batch": events, "writeKey": here.key}
                async with here.http.post(f"{here.note['collector']}/v1/batch", json=body) as response:
                    answer = str(response.status)
                    if response.status in FOR_NOW and "Retry-After" not in response.headers:
                        journal.unexplained[answer] += 1
            except (aiohttp.ClientConnectionError, TimeoutError):
                answer = "cut off"
            journal.slowest = max(journal.slowest, loop.time() - began)
            journal.answers[answer] += 1
            await asyncio.sleep(every if answer == "200" else pause)
        journal.taken.update(event["messageId"] for event in events)


async def is_stored(here: Installation, journal: Journal, dsn: str | None = None) -> None:
    """See that everything that was answered 200 is stored, once, and nothing else; `dsn` of a database not our own."""
    await until(here.drained)
    connection = await asyncpg.connect(dsn or EmbeddedServer(here.data).dsn("obverse_owner"))
    try:
        rows = await connection.fetch("select message_id from event_stream where user_id = $1", journal.user)
    finally:
        await connection.close()
    assert Counter(row["message_id"] for row in rows) == Counter(journal.taken)
