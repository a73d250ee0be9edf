"""The demo as a person runs it, and what it has to come to."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acceptance.shop_figures import Figures
from installation import PATIENCE, start


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
