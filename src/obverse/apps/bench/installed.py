"""An installation of its own for a benchmark, in processes of its own, in a folder that is removed afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps import data_folder
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.log_stand_ins import LogToUse, cache_to_use, log_to_use
from obverse.apps.sources import add_source, new_key
from obverse.settings import read_settings

PATIENCE = 60.0
"""Seconds within which an installation must be ready."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Where it is."""

    data: Path
    key: str
    collector: str
    api: str
    worker: str
    pids: dict[str, int]
    ready_after: float
    """Seconds from the start of the command until every role said it was ready."""

    @property
    def dsn(self) -> str:
        """Of its database, for the role that owns it."""
        return EmbeddedServer(self.data).dsn("obverse_owner")


@asynccontextmanager
async def installed(
    *definitions: Path, data: Path | None = None, environment: dict[str, str] | None = None
) -> AsyncIterator[Installed]:
    """
    Run `obverse up` with these folders of definitions while the block runs, on free ports; in `data`, or a new folder.

    What is in `data` stays as it is: it gets no definitions, and no source.

    Raises:
        BenchFailed: there is none in `data`, or it did not come up; the message has its last words.
        InUse: another process runs the installation of `data`.
    """
    key = new_key()
    if data is None:
        folder = new_folder()
        for one in definitions:
            shutil.copytree(one, folder / "definitions", dirs_exist_ok=True)
        add_source(folder / "definitions", "bench", key)
    else:
        folder = data
        if not (folder / "definitions").is_dir():
            raise BenchFailed(f"there is no installation in {folder}: run `obverse demo --exit`, or say --data FOLDER")
        # It would be taken for ours, and killed.
        os.close(data_folder.claim(folder))
    ports = {f"OBVERSE_{role}__PORT": "0" for role in ("COLLECTOR", "API", "WORKER", "SANDBOX")}
    ports["OBVERSE_SANDBOX__SMTP_PORT"] = "0"
    began = asyncio.get_running_loop().time()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "obverse.apps.cli",
        "up",
        "--data",
        str(folder),
        env={**os.environ, **ports, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    words = asyncio.create_task(_words(process))
    try:
        note = await _ready(folder, process, words)
        ready_after = asyncio.get_running_loop().time() - began
        pids = {"supervisor": process.pid, **note["pids"]}
        yield Installed(folder, key, note["collector"], note["api"], note["worker"], pids, ready_after)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        words.cancel()
        if data is None:
            await EmbeddedServer(folder).erase()
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def log_of(adapter: str) -> AsyncIterator[LogToUse]:
    """
    Have a log of this adapter while the block runs, and the cache that is set: where the settings say, or here.

    Raises:
        BadSettings: they cannot be used.
        SandboxLacking: something that the stand-in needs is not on this machine.
    """
    settings, folder = read_settings(), new_folder()
    settings = settings.model_copy(update={"event_log": {**settings.event_log, "adapter": adapter}})
    try:
        async with log_to_use(settings, folder) as log, cache_to_use(log.settings) as both:
            yield LogToUse(both.settings, {**log.pids, **both.pids})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_folder() -> Path:
    """A folder for one benchmark; a server that must not run as root can reach what is in it."""
    folder = Path(tempfile.mkdtemp(prefix="obverse-bench-"))
    folder.chmod(0o755)
    return folder


async def _words(process: asyncio.subprocess.Process) -> list[str]:
    """What it says, so that it never waits for us to read; the last lines are kept."""
    said: list[str] = []
    assert process.stderr is not None  # noqa: S101 - asked for at its start
    while line := await process.stderr.readline():
        said = [*said[-20:], line.decode(errors="replace")]
    return said


async def _ready(folder: Path, process: asyncio.subprocess.Process, words: asyncio.Task[list[str]]) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
        while asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                raise BenchFailed("the installation did not start:\n" + "".join(await words))
            try:
                note: dict[str, Any] = msgspec.json.decode((folder / "run.json").read_bytes())
                if {"collector", "api", "worker"} <= note["pids"].keys() and await _all_ready(http, note):
                    return note
            except (OSError, msgspec.DecodeError, aiohttp.ClientError, TimeoutError):
                pass  # not there yet
            await asyncio.sleep(0.02)
    raise BenchFailed(f"the installation was not ready within {PATIENCE:.0f} s")


async def restarted(here: Installed, name: str) -> float:
    """Kill one of its processes, as a power cut would; returns the seconds until it is back and every role is ready."""
    os.kill(here.pids[name], signal.SIGKILL)
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
        while True:
            await asyncio.sleep(0.01)
            with contextlib.suppress(OSError, msgspec.DecodeError, KeyError, aiohttp.ClientError, TimeoutError):
                note = msgspec.json.decode((here.data / "run.json").read_bytes())
                if note["pids"][name] != here.pids[name] and await _all_ready(http, note):
                    here.pids.update(note["pids"])
                    return asyncio.get_running_loop().time() - began


async def _all_ready(http: aiohttp.ClientSession, note: dict[str, Any]) -> bool:
    return all([await _ok(http, f"{note[role]}/ready") for role in ("collector", "worker", "api")])


async def _ok(http: aiohttp.ClientSession, url: str) -> bool:
    async with http.get(url) as answer:
        return answer.ok
