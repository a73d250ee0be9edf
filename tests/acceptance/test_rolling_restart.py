"""Each role is stopped in good order and started again while events keep coming: each arrives, and only once."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys

import pytest

from installation import Installation, until
from journal import BATCH, Journal, is_stored, send

pytestmark = pytest.mark.service

SENDERS = 8
MOST_TURNED_AWAY = 0.0001
"""Share of all requests that may be refused for now while roles are restarted in good order."""


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

    sys.stdout.write(f"{journal.answers}\n")
    assert journal.answers["200"] * BATCH == len(journal.taken) == journal.made
    assert set(journal.answers) <= {"200", "429", "503", "cut off"}, journal.answers
    turned_away = journal.answers["429"] + journal.answers["503"]
    assert turned_away < MOST_TURNED_AWAY * journal.answers.total(), journal.answers
    assert not journal.unexplained, "a refusal for now says when to come again"
    # Those whose kept connection was closed as they were about to send; nobody was turned away in the midst.
    assert journal.answers["cut off"] <= 2 * SENDERS, journal.answers
    await is_stored(here, journal)
