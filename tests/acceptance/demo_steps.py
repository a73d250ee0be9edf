"""Steps that the proofs of the demo take."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from acceptance.shop_figures import Figures
from installation import PATIENCE, kill, running, start, until
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.sandboxes.inbox import open_inbox
from serving import serving

KILLS = 30


async def play(data: Path, *arguments: str) -> dict[str, Any]:
    """Run the demo to its end; the summary is the last line on stdout."""
    process = await start(data, "demo", "--exit", "--json", *arguments)
    out, errors = await asyncio.wait_for(process.communicate(), 4 * PATIENCE)
    assert process.returncode == 0, errors.decode()[-4000:]
    return summary_of(out)


def summary_of(out: bytes) -> dict[str, Any]:
    summary: dict[str, Any] = msgspec.json.decode(out.splitlines()[-1])
    return summary


def assert_figures(summary: dict[str, Any], figures: Figures, *, merges: bool = True) -> None:
    assert summary["events_accepted"] == figures.events_accepted
    assert summary["profiles"] == figures.profiles
    assert summary["audiences"] == dict(figures.audiences)
    assert summary["crm_contacts"] == figures.crm_contacts
    assert summary["emails_sent"] == figures.emails_sent
    assert not merges or summary["merges"] == figures.merges
    assert summary["events_per_second"] == pytest.approx(figures.events_accepted / summary["seconds"], rel=0.01)


async def every_mail(data: Path) -> list[dict[str, Any]]:
    """All mails of the inbox that a demo has left, with those that came twice twice."""
    inbox = await open_inbox(data / "sandbox" / "inbox")
    try:
        async with serving(inbox.app) as url, aiohttp.ClientSession() as http:
            async with http.get(f"{url}/messages?limit=500") as answer:
                page = await answer.json()
            assert page["next"] is None
            mails: list[dict[str, Any]] = page["messages"]
            return mails
    finally:
        await inbox.close()


async def until_killed(
    data: Path, process: asyncio.subprocess.Process, dice: random.Random, events: int, victims: Sequence[str]
) -> int:
    """Kill thirty processes, each as the log passes a random length while the demo plays; returns how many."""
    killed: set[int] = set()
    await until(lambda: secret_is_there(data))
    headers = {"Authorization": f"Bearer {own_secret(data, API_KEY)}"}
    reached = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2), headers=headers) as http:
        # In the first half, and whoever is back already: all thirty must find the demo at work.
        for length in sorted(dice.randrange(events // 2) for _ in range(KILLS)):

            async def victim_at(length: int = length) -> int | None:
                """A process that we have not killed yet, once the log is so long; negative when the demo has ended."""
                nonlocal reached
                note = running(data)
                if process.returncode is not None:
                    return -1
                if note is None:
                    return None
                if reached < length:
                    reached = max(reached, await appended(http, note["api"]))
                pids = {note["pids"].get(name, 0) for name in victims} - {0, *killed}
                return dice.choice(sorted(pids)) if pids and reached >= length else None

            pid = await until(victim_at, seconds=6 * PATIENCE)
            if pid < 0:
                break
            kill(pid)
            killed.add(pid)
    return len(killed)


async def secret_is_there(data: Path) -> bool:
    """Whether the api has made its key; what was there before, the demo has emptied."""
    return running(data) is not None and (data / "secrets" / API_KEY).exists()


async def appended(http: aiohttp.ClientSession, api: str) -> int:
    """Events in the log; -1 while nobody can say."""
    try:
        async with http.get(f"{api}/v1/overview") as answer:
            lag = msgspec.json.decode(await answer.read())["lag"] if answer.ok else None
    except (aiohttp.ClientError, TimeoutError):
        return -1
    return sum(part["appended"] for part in lag.values()) if lag else -1
