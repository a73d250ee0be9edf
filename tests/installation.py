"""A whole installation for tests: `obverse up` or `obverse demo` as a person starts it, on ports of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.apps.sources import add_source, new_key

PATIENCE = 60.0
"""Seconds after which what does not come has failed."""


def environment(**settings: str) -> dict[str, str]:
    """The test's environment, with free ports and no database but the embedded one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OBVERSE_")}
    kept.pop("DATABASE_URL", None)
    ports = {f"OBVERSE_{role}__PORT": "0" for role in ("COLLECTOR", "API", "WORKER", "SANDBOX")}
    ports["OBVERSE_SANDBOX__SMTP_PORT"] = "0"
    return {**kept, **ports, "NO_COLOR": "1", **settings}


async def start(data: Path, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
    """Start the command `obverse` with these arguments and this data folder."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "obverse.apps.cli",
        *arguments,
        "--data",
        str(data),
        env=environment(**settings),
        cwd=data.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def until(condition: Any, *, seconds: float = PATIENCE, every: float = 0.02) -> Any:
    """Wait for an async condition to give something that is true, and return it."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(every)
        return found


def running(data: Path) -> dict[str, Any] | None:
    """What the supervisor has written about what it runs."""
    try:
        note: dict[str, Any] = msgspec.json.decode((data / "run.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return note if {"collector", "api", "worker", "sandbox"} <= note["pids"].keys() else None


def kill(pid: int) -> None:
    """End a process at once, as a power cut would."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass(slots=True)
class Installation:
    """A running installation."""

    data: Path
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    key: str

    @property
    def note(self) -> dict[str, Any]:
        """Addresses and process ids, as of now."""
        note = running(self.data)
        assert note is not None
        return note

    async def ready(self) -> bool:
        """Whether every role says that it is ready."""
        note = running(self.data)
        if note is None:
            assert self.process.returncode is None, (await self.process.communicate())[1].decode()
            return False
        return all([await self._ok(f"{note[role]}/ready") for role in ("collector", "worker", "api", "sandbox")])

    async def _ok(self, url: str) -> bool:
        try:
            async with self.http.get(url) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send to the collector; returns the status and the answer."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.http.post(self.note["collector"] + path, data=data, headers=headers) as answer:
            return answer.status, msgspec.json.decode(await answer.read())

    async def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the api to do something; returns the status and the answer."""
        data = b"" if body is None else msgspec.json.encode(body)
        async with self.http.post(self.note["api"] + path, data=data) as answer:
            return answer.status, msgspec.json.decode(await answer.read())

    async def get(self, path: str) -> tuple[int, Any]:
        """Read from the api; returns the status and the document."""
        async with self.http.get(self.note["api"] + path) as answer:
            return answer.status, msgspec.json.decode(await answer.read())

    @asynccontextmanager
    async def sql(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to the installation's database, as its owner."""
        connection = await asyncpg.connect(EmbeddedServer(self.data).dsn("obverse_owner"))
        try:
            yield connection
        finally:
            await connection.close()

    async def drained(self) -> bool:
        """Whether everything that was accepted is in the store."""
        try:
            status, overview = await self.get("/v1/overview")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return status == 200 and all(part["lag"] == 0 for part in overview["lag"].values())


@asynccontextmanager
async def installation(data: Path, **settings: str) -> AsyncIterator[Installation]:
    """`obverse up` on a data folder, ready; stopped in good order afterwards."""
    key = new_key()
    folder = data / "definitions"
    (folder / "sources" / "test.yml").unlink(missing_ok=True)
    add_source(folder, "test", key)
    process = await start(data, "up", **settings)
    try:
        timeout = aiohttp.ClientTimeout(total=10)
        headers = {"Authorization": f"Bearer {own_secret(data, API_KEY)}"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as http:
            here = Installation(data, process, http, key)
            await until(here.ready)
            yield here
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        sys.stderr.write(errors.decode()[-4000:])
