"""Each role is stopped in good order and started again while events keep coming: each arrives, and only once."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from installation import Installation, until

pytestmark = pytest.mark.service

SENDERS = 8
BATCH = 10


@dataclass
class Journal:
    """What was sent, and what was answered."""

    user: str
    taken: set[str] = field(default_factory=set)
    """Message ids that were answered 200."""
    answers: Counter[str] = field(default_factory=Counter)
    made: int = 0
    stop: bool = False

    def batch(self) -> list[dict[str, Any]]:
        ids = [f"{self.user}-{place}" for place in range(self.made, self.made + BATCH)]
        self.made += BATCH
        return [{"type": "track", "event": "Sent", "userId": self.user, "messageId": one} for one in ids]


async def send(here: Installation, journal: Journal) -> None:
    """Send batch after batch, each as long as it takes, as SDKs do."""
    while not journal.stop:
        events = journal.batch()
        answer = ""
        while answer != "200":
            try:
                status, _ = await here.post("/v1/batch", {"batch": events, "writeKey": here.key})
                answer = str(status)
            except (aiohttp.ClientConnectionError, TimeoutError):
                answer = "cut off"
            journal.answers[answer] += 1
        journal.taken.update(event["messageId"] for event in events)


async def restart(here: Installation, role: str, journal: Journal) -> None:
    """Stop a role in good order, and wait until another stands in its place and events are taken again."""
    before = here.note["pids"][role]
    os.kill(before, signal.SIGTERM)

    async def back() -> bool:
        note = here.note
        return note["pids"][role] != before and await here.ready()

    await until(back)
    reached = journal.answers["200"]

    async def going_on() -> bool:
        return journal.answers["200"] > reached + SENDERS

    await until(going_on)


async def test_a_rolling_restart_loses_nothing(here: Installation) -> None:
    journal = Journal(f"roll-{secrets.token_hex(4)}")
    senders = [asyncio.create_task(send(here, journal)) for _ in range(SENDERS)]
    for role in ("collector", "worker", "api", "collector", "worker"):
        await restart(here, role, journal)
    journal.stop = True
    await asyncio.gather(*senders)

    assert journal.answers["200"] * BATCH == len(journal.taken) == journal.made
    # 429: all of them come at once to a collector that has just begun.
    assert set(journal.answers) <= {"200", "429", "503", "cut off"}, journal.answers
    # Those whose kept connection was closed as they were about to send; nobody was turned away in the midst.
    assert journal.answers["cut off"] <= 2 * SENDERS, journal.answers
    await until(here.drained)
    async with here.sql() as connection:
        rows = await connection.fetch("select message_id from event_stream where user_id = $1", journal.user)
    assert Counter(row["message_id"] for row in rows) == Counter(journal.taken)
