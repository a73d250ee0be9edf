"""The demo as a person runs it, and what it has to come to."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from acceptance.shop_figures import Figures
from installation import PATIENCE, kill, running, start, until
from obverse.apps.own_secrets import API_KEY, own_secret

KILLS = 30


@contextmanager
def short_folder() -> Iterator[Path]:
    """A short path: sockets have to fit into it."""
    path = Path(tempfile.mkdtemp(prefix="obv-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def play(data: Path, *arguments: str) -> dict[str, Any]:
    """Run the demo to its end; the summary is the last line on stdout."""
    process = await start(data, "demo", "--exit", "--json", *arguments)
    out, errors = await asyncio.wait_for(process.communicate(), 4 * PATIENCE)
    assert process.returncode == 0, errors.decode()[-4000:]
    assert b"/sign-in#" not in errors, "what has stopped has no addresses"
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
    lag = await lag_of(http, api)
    return sum(part["appended"] for part in lag.values()) if lag else -1


async def lag_of(http: aiohttp.ClientSession, api: str) -> dict[str, Any]:
    """How far each partition of the log is folded; nothing while nobody can say."""
    try:
        async with http.get(f"{api}/v1/overview") as answer:
            lag: dict[str, Any] = msgspec.json.decode(await answer.read())["lag"] if answer.ok else {}
    except (aiohttp.ClientError, TimeoutError):
        return {}
    return lag
