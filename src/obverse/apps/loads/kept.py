"""Loads that were asked for in the console: their files, and the processes that bring them in."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import structlog
import yaml

from obverse.apps.loads.record import BadLoad, Record
from obverse.core import times
from obverse.flows.load import Standing
from obverse.ports.runtime import Runtime

FOLDER: Final = "loads"
"""In the data folder."""
_MAPPING: Final = "mapping.yml"
_GUESSED_FROM: Final = 1000
"""Rows that are shown and counted before anybody asks for all."""
_GRACE: Final = 15.0
"""Seconds in which a process ends by itself."""
_PREFIX: Final = "obverse: "
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")
_SOME_REFUSED: Final = 2
_AT_ONCE: Final = 1 << 20

State = Literal["uploaded", "running", "stopped", "done", "failed"]
_log = structlog.get_logger(__name__)


class NoSuchLoad(LookupError):
    """There is no load of this id."""


class TooLarge(ValueError):
    """A file has more bytes than may be uploaded."""


class Busy(RuntimeError):
    """A load that runs cannot be changed."""


class Asked(msgspec.Struct, kw_only=True):
    """One load, as it is kept."""

    id: str
    name: str
    """Of the file."""
    size: int
    """Bytes."""
    made_at: str
    by: str
    state: State = "uploaded"
    message: str = ""
    """Why it failed."""
    trial: dict[str, Any] = {}
    """What `obverse load --dry-run --json` said of it last."""


class KeptLoads:
    """
    Keeps each load in a folder of its own; a process for each that runs, so that no file, however odd, harms the api.

    What runs when the role ends goes on when it starts again.
    """

    def __init__(self, data: Path, runtime: Runtime, *, most_bytes: int, new_id: Any) -> None:
        self._data = data
        self._folder = data / FOLDER
        self._runtime = runtime
        self.most_bytes = most_bytes
        self._new_id = new_id
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Go on with what ran before; end what runs when cancelled."""
        try:
            for one in self.all():
                if one.state == "running":
                    self._start(one.id)
            await asyncio.Event().wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def all(self) -> Sequence[Asked]:
        """Every load, the latest first."""
        found = []
        for path in self._folder.glob("*/load.json"):
            with suppress(OSError, msgspec.MsgspecError):
                found.append(_read(path))
        return sorted(found, key=lambda one: one.made_at, reverse=True)

    def find(self, load: str) -> Asked:
        """
        Return one load.

        Raises:
            NoSuchLoad: there is none.
        """
        try:
            return _read(self._folder / load / "load.json")
        except (OSError, msgspec.MsgspecError) as error:
            raise NoSuchLoad(load) from error

    def standing(self, load: Asked) -> tuple[Standing, Path | None]:
        """How far it has come, and its reject file."""
        path = self._file(load)
        try:
            entries = list(Record(path, path.parent).entries)
        except BadLoad:
            return Standing(), None
        if not entries:
            return Standing(), None
        last = max(entries, key=lambda one: one.began)
        rejects = path.parent / last.rejects
        return last.standing, rejects if last.standing.refused and rejects.exists() else None

    async def add(self, name: str, parts: AsyncIterator[bytes], *, by: str) -> Asked:
        """
        Take in a file as it comes, and guess what its rows are.

        Raises:
            TooLarge: it has more than `most_bytes`.
        """
        one = Asked(id=self._new_id(), name=_safe(name), size=0, made_at=times.to_text(self._runtime.now()), by=by)
        path = self._file(one)
        await asyncio.to_thread(path.parent.mkdir, parents=True, mode=0o700)
        try:
            one.size = await self._take(path, parts)
        except BaseException:
            shutil.rmtree(path.parents[1], ignore_errors=True)
            raise
        self._keep(one)
        return await self.try_out(one.id, None, rows=_GUESSED_FROM)

    async def _take(self, path: Path, parts: AsyncIterator[bytes]) -> int:
        size, waiting = 0, bytearray()
        with path.open("wb") as file:
            async for part in parts:
                size += len(part)
                if size > self.most_bytes:
                    raise TooLarge
                waiting += part
                if len(waiting) >= _AT_ONCE:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(file.write, bytes(waiting))
        return size

    async def try_out(self, load: str, mapping: dict[str, Any] | None, *, rows: int | None = _GUESSED_FROM) -> Asked:
        """
        Say what would come of it, by this mapping or by that which it has; of so many rows, or of all.

        What cannot be done is the `message` of what is returned, and it stays as it was.

        Raises:
            NoSuchLoad: there is none.
            Busy: it runs.
        """
        self._must_rest(load)
        one = self.find(load)
        wanted = mapping or one.trial.get("mapping")
        options = ["--dry-run", *(["--rows", str(rows)] if rows is not None else [])]
        code, said, words = await self._ask(one, options, wanted)
        one = self.find(load)
        before = one.message
        one.message = "" if code in {0, _SOME_REFUSED} else words
        if said and (mapping is None or not one.message):
            one.trial = _trial(said)
        self._keep(one if mapping is None or not one.message else msgspec.structs.replace(one, message=before))
        return one

    def start(self, load: str) -> Asked:
        """
        Bring it in.

        Raises:
            NoSuchLoad, Busy: as `try_out`.
        """
        self._must_rest(load)
        one = self.find(load)
        one.state, one.message = "running", ""
        self._keep(one)
        self._start(load)
        return one

    async def stop(self, load: str) -> Asked:
        """
        Stop it; what is settled stays, and it can be started again.

        Raises:
            NoSuchLoad: there is none.
        """
        one = self.find(load)
        task = self._running.get(load)
        if task is not None:
            one.state = "stopped"
            self._keep(one)
            task.cancel()
            await asyncio.wait([task])
        return self.find(load)

    async def remove(self, load: str) -> None:
        """
        Forget it and its file; what came in stays.

        Raises:
            NoSuchLoad, Busy: as `try_out`.
        """
        self._must_rest(load)
        self.find(load)
        await asyncio.to_thread(shutil.rmtree, self._folder / load, ignore_errors=True)

    def _must_rest(self, load: str) -> None:
        if load in self._running:
            raise Busy("it runs: stop it first")

    def _start(self, load: str) -> None:
        task = asyncio.get_running_loop().create_task(self._bring_in(load), name=f"load {load}")
        self._running[load] = task
        task.add_done_callback(lambda _: self._running.pop(load, None))

    async def _bring_in(self, load: str) -> None:
        one = self.find(load)
        code, said, words = await self._ask(one, [], one.trial.get("mapping"))
        one = self.find(load)
        if code in {0, _SOME_REFUSED} and said:
            one.state, one.message = "done", ""
        else:
            one.state, one.message = "failed", words
            _log.warning("a load failed", load=load, file=one.name, reason=words)
        self._keep(one)

    async def _ask(self, one: Asked, options: Sequence[str], mapping: Any) -> tuple[int | None, bytes, str]:
        """Run `obverse load` on its file; returns the exit code, the JSON line, and the last words."""
        path = self._file(one)
        if mapping:
            written = path.parents[1] / _MAPPING
            written.write_text(yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True), encoding="utf-8")
            options = [*options, "--mapping", str(written)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "obverse.apps.cli", "load", str(path), "--data", str(self._data), "--json", "--lifeline"),
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
        )
        # Its stdin stays open as long as we live, and it stops when it ends.
        talking = asyncio.gather(_all(process.stdout), _all(process.stderr))
        try:
            said, words = await talking
            await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        lines = [line.removeprefix(_PREFIX) for line in words.decode(errors="replace").splitlines() if line.strip()]
        # It calls the file by where it is kept here.
        told = (lines[-1] if lines else "it ended without a word").replace(f"{path.parents[1] / _MAPPING}: ", "")
        told = told.replace(str(path), one.name)
        return process.returncode, said, told

    def _file(self, one: Asked) -> Path:
        return self._folder / one.id / "file" / one.name

    def _keep(self, one: Asked) -> None:
        path = self._folder / one.id / "load.json"
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(one))
        beside.replace(path)


def _trial(said: bytes) -> dict[str, Any]:
    """What a dry run said; its events as text, with their numbers as they are."""
    fields = msgspec.json.decode(said, type=dict[str, msgspec.Raw])
    events = msgspec.json.decode(fields.pop("events"), type=list[msgspec.Raw])
    return {
        **{name: msgspec.json.decode(value) for name, value in fields.items()},
        "events": [msgspec.json.format(bytes(one)).decode() for one in events],
    }


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _read(path: Path) -> Asked:
    return msgspec.json.decode(path.read_bytes(), type=Asked)


def _safe(name: str) -> str:
    """A name that a file can have, with the end that says what it is."""
    plain = _ODD.sub("-", name.rpartition("/")[2].rpartition("\\")[2]).lstrip(".-")
    return plain[-100:].lstrip(".-") or "file"
