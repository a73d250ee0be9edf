"""Kill -9, again and again, under load: what was answered 200 is stored once, and each profile has seen just that."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from pathlib import Path
from random import Random

import pytest

from installation import Installation, installation, kill, until
from journal import Journal, is_stored, send
from obverse.adapters.postgres.server import EmbeddedServer
from oracle import define, profiles_are_a_fold

pytestmark = pytest.mark.service

KILLS = int(os.environ.get("OBVERSE_KILLS", "12"))
"""How many; `make chaos` asks for 500."""
SENDERS = 4
ROLES = ("collector", "collector", "collector", "worker", "postgres", "api")
"""The collector most often: it is who has promised something."""
READY_SECONDS = 5.0


async def back(here: Installation, role: str, before: int) -> float:
    """Wait until another process stands in the place of one that was killed, and all are ready; seconds it took."""
    began = time.monotonic()

    async def standing() -> bool:
        return here.note["pids"][role] != before and await here.ready()

    await until(standing)
    return time.monotonic() - began


async def test_whoever_is_killed_nothing_is_lost_or_doubled(short: Path) -> None:
    seed = int(os.environ.get("OBVERSE_SEED", secrets.randbits(32)))
    sys.stdout.write(f"seed {seed} (set OBVERSE_SEED to repeat the kills in their order)\n")
    dice = Random(seed)
    define(short / "data")
    async with installation(short / "data") as here:
        journals = [Journal(f"kill-{number}") for number in range(SENDERS)]
        sending = [asyncio.create_task(send(here, journal, pause=0.02)) for journal in journals]
        slowest = 0.0
        for _ in range(KILLS):
            role = dice.choice(ROLES)
            reached = sum(len(journal.taken) for journal in journals)

            async def going_on(reached: int = reached, more: int = dice.randrange(10, 400)) -> bool:
                return sum(len(journal.taken) for journal in journals) >= reached + more

            await until(going_on)
            before = here.note["pids"][role]
            kill(before)
            slowest = max(slowest, await back(here, role, before))
        for journal in journals:
            journal.stop = True
        await asyncio.gather(*sending)

        assert slowest < READY_SECONDS
        for journal in journals:
            assert set(journal.answers) <= {"200", "429", "503", "cut off"}, journal.answers
            await is_stored(here, journal)
            status, profile = await here.get(f"/v1/profiles/user_id:{journal.user}")
            assert (status, profile["events"]) == (200, len(journal.taken))
            assert profile["traits"].keys() == {"sent", "total", "favourite", "latest"}
            assert not journal.unexplained, "a refusal for now says when to come again"
        assert await profiles_are_a_fold(here.data, EmbeddedServer(here.data).dsn("obverse_owner")) >= SENDERS
