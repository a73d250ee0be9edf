"""The supervisor of `obverse up`: PostgreSQL and the roles, each started again when it dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog

from obverse.adapters.postgres import schema
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps import data_folder
from obverse.apps.installed_parts import Part, parts_of
from obverse.apps.live_folder import LiveFolder
from obverse.apps.log_stand_ins import LogToUse
from obverse.apps.roles import SMTP, UNUSABLE, Place, refusal, role_main, wiring_of
from obverse.ports.outcomes import Unreachable
from obverse.settings import BadSettings, Settings

AGAIN: Final = 0.1
"""Seconds after which what died is started again; twice as long each time it dies young, up to `LONGEST`."""
LONGEST: Final = 1.5
YOUNG: Final = 10.0
PATIENCE: Final = 15.0
"""Seconds that a role gets to end by itself."""
_PATH_LIMIT: Final = 80
"""Bytes of a folder in which sockets still have short enough names."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Running:
    """What `obverse up` has started, as others may know it (`run.json` in the data folder)."""

    collector: str
    api: str
    worker: str
    sandbox: str
    pids: dict[str, int] = field(default_factory=dict)


class Supervisor:
    """Runs an installation on this machine until `stop` is set."""

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        """
        Claim the data folder and open the doors; nothing runs yet.

        Raises:
            BadDataFolder, InUse: of the data folder.
            PortTaken: somebody else listens where we should.
        """
        self._stop = stop
        self._claim = data_folder.claim(settings.data)
        self._parts = parts_of(settings)
        self._doors = {name: part.open_doors(settings) for name, part in self._parts.items()}
        urls = {name: _url(doors[self._parts[name].role]) for name, doors in self._doors.items() if doors}
        self._settings = _as_opened(settings, self._doors)
        self._lifeline, self._held = multiprocessing.Pipe(duplex=False)
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["obverse.apps.preload"])
        self.running = Running(
            collector=urls["collector"], api=urls["api"], worker=urls["worker"], sandbox=urls["sandbox"]
        )
        self.ready = asyncio.Event()
        """Set when every role has answered that it is ready for the first time."""

    def use_log(self, log: LogToUse) -> None:
        """Have the roles use this log, and this cache; before `run`."""
        told = {name: getattr(log.settings, name) for name in ("event_log", "profile_cache")}
        self._settings = self._settings.model_copy(update=told)
        self.running.pids.update(log.pids)

    async def run(self) -> None:
        """
        Start everything, keep it running, and stop it in good order.

        Raises:
            ServerFailed, SchemaRefused, Unreachable: the database cannot be used; the message says what to do.
            BadDefinition: a file in the folder of definitions cannot be used.
            BadSettings: a role cannot use its settings.
        """
        settings = self._settings
        self._runtime_dir = runtime_dir(settings.data)
        async with AsyncExitStack() as stack:
            stack.callback(os.close, self._claim)
            tasks: list[asyncio.Task[Any]] = []
            stack.callback(self._held.close)
            if settings.database_url:
                await _migrate(settings.database_url.get_secret_value())
            else:
                server = EmbeddedServer(settings.data)
                await server.start()
                stack.push_async_callback(server.stop)
                await schema.migrate(server.dsn("obverse_owner"))
                self.running.pids["postgres"] = server.pid
                tasks.append(asyncio.create_task(self._keep_server(server)))
            folder = await self._live_folder(stack)
            # Before the roles, so that none of them starts without.
            await folder.open()
            tasks.append(asyncio.create_task(folder.watch()))
            tasks += [asyncio.create_task(self._keep_part(name, part)) for name, part in self._parts.items()]
            tasks.append(asyncio.create_task(self._announce()))
            stopping: asyncio.Task[Any] = asyncio.create_task(self._stop.wait())
            try:
                ended, _ = await asyncio.wait([stopping, *tasks[:-1]], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._stop.set()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, stopping, return_exceptions=True)
                self._note.unlink(missing_ok=True)
            for task in ended:
                task.result()

    async def _live_folder(self, stack: AsyncExitStack) -> LiveFolder:
        settings = self._settings
        wiring = wiring_of("api", settings, Place())
        store = await wiring.definition_store()
        stack.push_async_callback(store.close)
        apply = wiring.apply_definitions(store)
        return LiveFolder(settings.definitions_folder, settings.project, apply, wiring.runtime)

    async def _keep_server(self, server: EmbeddedServer) -> None:
        while True:
            await server.wait_died()
            _log.warning("PostgreSQL died, starting it again")
            wait = AGAIN
            while not server.alive():
                try:
                    await server.start()
                except Exception as error:  # noqa: BLE001 - whatever it is: the database must come back
                    _log.error("PostgreSQL does not start", reason=str(error))
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, LONGEST)
            self._write_note("postgres", server.pid)

    async def _keep_part(self, name: str, part: Part) -> None:
        wait = AGAIN
        while True:
            began = asyncio.get_running_loop().time()
            process = self._forks.Process(
                target=role_main,
                name=f"obverse-{name}",
                args=(part.role, part.settings(self._settings), self._doors[name], self._lifeline, self._runtime_dir),
            )
            # In a thread, since the very first start waits until everything is imported.
            await asyncio.to_thread(process.start)
            self._write_note(name, process.pid or 0)
            try:
                await _ended(process)
            except asyncio.CancelledError:
                await _end(process)
                raise
            if self._stop.is_set():
                return
            if process.exitcode == UNUSABLE:
                raise BadSettings(refusal(self._runtime_dir, process.pid or 0).read_text(encoding="utf-8"))
            lived = asyncio.get_running_loop().time() - began
            wait = AGAIN if lived > YOUNG else min(2 * wait, LONGEST)
            _log.warning(
                "a role died, starting it again", role=name, exit_code=process.exitcode, lived_seconds=round(lived, 1)
            )
            await asyncio.sleep(wait)

    @property
    def _note(self) -> Path:
        return self._settings.data / "run.json"

    def _write_note(self, name: str, pid: int) -> None:
        self.running.pids[name] = pid
        new = self._note.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self.running)))
        new.replace(self._note)

    async def _announce(self) -> None:
        for name, doors in self._doors.items():
            if not doors:
                continue
            host, port = doors[self._parts[name].role].getsockname()[:2]
            while not await _ready(host, port):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)
        self.ready.set()


def _as_opened(settings: Settings, doors: Mapping[str, Mapping[str, socket.socket]]) -> Settings:
    """The settings with the ports that were taken where any free one was asked for: roles find each other by them."""
    tables = {role: {"port": _port(opened[role])} for role, opened in doors.items() if role in opened}
    tables["sandbox"]["smtp_port"] = _port(doors["sandbox"][SMTP])
    return settings.model_copy(
        update={role: getattr(settings, role).model_copy(update=ports) for role, ports in tables.items()}
    )


def _port(door: socket.socket) -> int:
    return int(door.getsockname()[1])


async def _migrate(dsn: str) -> None:
    try:
        await schema.migrate(dsn)
    except Unreachable as error:
        place = urlsplit(dsn)
        raise Unreachable(
            f"{error}; see that the server of DATABASE_URL runs ({place.hostname or 'a socket'}, "
            f"port {place.port or 5432}) and lets us in"
        ) from error


async def _ready(host: str, port: int) -> bool:
    """Ask a role whether it is ready; without an HTTP client, which would cost more to import than all this."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            return b" 200 " in status
    except (OSError, TimeoutError):
        return False


async def _ended(process: BaseProcess) -> None:
    """Wait until a process is gone."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


async def _end(process: BaseProcess) -> None:
    process.terminate()
    try:
        await asyncio.wait_for(_ended(process), PATIENCE)
    except TimeoutError:
        process.kill()
        await _ended(process)


def _url(door: socket.socket) -> str:
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def runtime_dir(data: Path) -> Path:
    """
    The folder of mode 0700 for the sockets between our processes: in the data folder, if its name is short enough.

    Raises:
        PermissionError: somebody else has made the folder; remove it.
    """
    folder = data.resolve() / "sockets"
    if len(os.fsencode(folder)) > _PATH_LIMIT:
        name = sha256(os.fsencode(data.resolve())).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"obverse-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to somebody else or is open to others: remove it")
    return folder
