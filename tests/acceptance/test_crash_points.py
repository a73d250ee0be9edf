"""Kill -9 at every point between a process and its database: nothing that was answered 200 is lost, or counts twice."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from crash_points import CrashPoints
from installation import Installation, installation, kill, until
from journal import Journal, is_stored, send
from oracle import define, profiles_are_a_fold
from services import Database, PostgresServer, fresh_name

pytestmark = pytest.mark.service

POINTS = int(os.environ.get("OBVERSE_POINTS", "10"))
"""How many; `make chaos` asks for all that there are."""
QUIET = 15.0
"""Seconds without a new point after which there are no more."""
SENDERS = 3


class Crowd:
    """Senders, and whom they send to."""

    def __init__(self) -> None:
        self.here: Installation | None = None
        self.journals = [Journal(f"point-{number}") for number in range(SENDERS)]

    def die(self, purpose: str) -> None:
        """Kill whose connection this is."""
        assert self.here is not None
        role = "collector" if purpose in {"obverse appends to events", "obverse appends to rejected"} else "worker"
        kill(self.here.note["pids"][role])

    def taken(self) -> int:
        """How many events were answered 200."""
        return sum(len(journal.taken) for journal in self.journals)


async def meet_people(here: Installation, crowd: Crowd) -> None:
    """Have people come, and become one, and some refused, so that decisions, merges and rejected events are written."""
    number = 0
    while not crowd.journals[0].stop:
        number += 1
        for event in (
            {"anonymousId": f"a{number}", "event": "Looked"},
            {"userId": f"u{number}", "event": "Bought"},
            {"userId": f"u{number}", "anonymousId": f"a{number}", "event": "Signed In"},
            {"event": "Nobody"},
        ):
            body = {"batch": [{"type": "track", **event}], "writeKey": here.key}
            try:
                async with here.http.post(f"{here.note['collector']}/v1/batch", json=body) as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                pass
        await asyncio.sleep(0.05)


async def test_whoever_dies_between_two_words_with_the_database(short: Path, postgres_server: PostgresServer) -> None:
    name = fresh_name()
    await postgres_server.create(name)
    database, crowd = Database(postgres_server, name), Crowd()
    define(short / "data")
    async with (
        CrashPoints(database.dsn(), crowd.die) as points,
        installation(short / "data", DATABASE_URL=points.dsn) as here,
    ):
        crowd.here = here
        sending = [asyncio.create_task(send(here, journal, pause=0.02, every=0.1)) for journal in crowd.journals]
        sending.append(asyncio.create_task(meet_people(here, crowd)))
        while len(points.met) < POINTS:
            reached = crowd.taken()
            points.arm()
            try:
                await asyncio.wait_for(points.struck.wait(), QUIET)
            except TimeoutError:
                break  # that was all

            async def going_on(reached: int = reached) -> bool:
                return crowd.taken() > reached + 30 and await here.ready()

            await until(going_on)
        points.disarm()
        for journal in crowd.journals:
            journal.stop = True
        await asyncio.gather(*sending)

        sys.stdout.write("\n".join(["", f"died at {len(points.met)} points:", *sorted(points.met), ""]))
        assert len(points.met) >= min(POINTS, 40), "too few points were met"
        for journal in crowd.journals:
            assert set(journal.answers) <= {"200", "429", "503", "cut off"}, journal.answers
            await is_stored(here, journal, database.dsn())
            status, profile = await here.get(f"/v1/profiles/user_id:{journal.user}")
            assert (status, profile["events"]) == (200, len(journal.taken))
            assert profile["traits"].keys() == {"sent", "total", "favourite", "latest"}
            assert not journal.unexplained, "a refusal for now says when to come again"
        assert await profiles_are_a_fold(here.data, database.dsn()) >= SENDERS
    await postgres_server.drop(name)
