"""Bringing a server up on a cluster: the one that runs already, or a new one on what the last one left."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path

from obverse.adapters.postgres.server.accounts import Account, spawn_as
from obverse.adapters.postgres.server.binaries import Binaries
from obverse.adapters.postgres.server.failure import ServerFailed, server_failed
from obverse.adapters.postgres.server.journal import Journal
from obverse.adapters.postgres.server.logins import SOCKET_NUMBER
from obverse.adapters.postgres.server.places import Places, digest_of, make_own_folder
from obverse.adapters.postgres.server.processes import (
    ServerProcess,
    end_leftovers,
    exists,
    read_pid_file,
    serves,
    until,
)

SETTINGS = {
    # Nothing that was answered may be lost, whatever goes down.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Reached through its socket alone.
    "listen_addresses": "",
    "port": str(SOCKET_NUMBER),
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    # When the program at the other end was killed, end its query and let go of its locks.
    "client_connection_check_interval": "1s",
    # Whoever started it starts it again: a server that does so by itself, on a disk that fails, waits for ever for the
    # process that was to recover it.
    "restart_after_crash": "off",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "jit": "off",
    "autovacuum": "on",
    # Full pages after a checkpoint make most of the log; pglz is all that this build has.
    "wal_compression": "pglz",
    "max_wal_size": "2GB",
    # Filling each new segment with zeros beforehand is for speed alone, and holds up commits for up to 0.3 s.
    "wal_init_zero": "off",
    "min_wal_size": "128MB",
    "checkpoint_timeout": "10min",
    "checkpoint_completion_target": "0.9",
    "timezone": "UTC",
}

READY_SECONDS = 600.0
"""How long a start may take: after a crash the server repeats up to 2 GB of its log."""

LINGER_SECONDS = 15.0
"""How long the remains of a killed server may stand in the way of the next one."""

LINGERING = ("still in use", "lock file")
"""What a server says when it gives way to the remains of another."""

SOCKET = f".s.PGSQL.{SOCKET_NUMBER}"

ANSWER_SECONDS = 5.0

ANSWERS_BELIEVED = 20
"""A child that a killed server had just begotten may hold its socket for a moment."""


async def find_running(places: Places) -> ServerProcess | None:
    """
    Return the server of this data folder that runs and answers, or None.

    One that is starting is waited for, one that is stopping too; one that runs but can
    not be reached any more, because somebody deleted its socket, is stopped.

    Raises:
        ServerFailed: it takes too long to start or to stop.
    """
    told = read_pid_file(places.cluster)
    if told is None or not serves(told.pid, places.cluster):
        return None
    process = ServerProcess(told.pid)
    # Asked again: its number may have gone to another before we held on to it.
    if not serves(told.pid, places.cluster):
        process.let_go()
        return None
    if await _until_ready(process, places):
        now = read_pid_file(places.cluster)
        if now is not None and now.sockets is not None and await _answers(now.sockets):
            return process
    await process.end()
    return None


async def launch(places: Places, binaries: Binaries, account: Account) -> ServerProcess:
    """
    Start a server on a cluster on which none runs, and return it when it is ready.

    What is left of a server that was killed is removed, and waited for if need be.

    Raises:
        ServerFailed: it does not start.
    """
    sockets = places.sockets(account.uid)
    make_own_folder(sockets, account)
    make_own_folder(places.logs, account)
    journal = Journal(places.logs)
    journal.prune()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LINGER_SECONDS
    while True:
        await _clear_remains(places, sockets, account)
        process = _spawn(places, binaries, account, journal)
        try:
            if await _until_ready(process, places):
                return process
        except asyncio.CancelledError:
            await process.end()
            raise
        told = journal.told_since_start()
        if loop.time() > deadline or not any(sign in told for sign in LINGERING):
            raise server_failed(f"PostgreSQL did not start on {places.cluster}.", told=told, log=journal.folder)
        await asyncio.sleep(0.05)


async def _until_ready(process: ServerProcess, places: Places) -> bool:
    """Wait until a server is ready, and return False when it ended instead."""

    def ready() -> bool:
        told = read_pid_file(places.cluster)
        return told is not None and told.pid == process.pid and told.status == "ready"

    if not await until(lambda: ready() or not process.alive(), seconds=READY_SECONDS):
        raise ServerFailed(
            f"PostgreSQL (process {process.pid}) has been starting for {READY_SECONDS:.0f} s. It goes on, and its log "
            f"in {places.logs} says how far it is. Start again later: it will be found."
        )
    return process.alive()


async def _clear_remains(places: Places, sockets: Path, account: Account) -> None:
    """Remove what a killed server left, so that nothing of it is taken for a server that lives."""
    end_leftovers(places.cluster, _title_of(places), account.uid)
    for _ in range(ANSWERS_BELIEVED):
        if not await _answers(sockets):
            break
        await asyncio.sleep(0.05)
    else:
        raise ServerFailed(
            f"A server answers in {sockets}, but it is no process that we can see: perhaps obverse runs on "
            f"{places.data} in another container. Stop it there: two servers would ruin the database."
        )
    # PostgreSQL sees for itself that these are stale, unless their process's number was given to another program.
    told = read_pid_file(places.cluster)
    if told is not None and exists(told.pid):
        (places.cluster / "postmaster.pid").unlink(missing_ok=True)
    (sockets / SOCKET).unlink(missing_ok=True)
    (sockets / f"{SOCKET}.lock").unlink(missing_ok=True)


async def _answers(sockets: Path) -> bool:
    """Tell whether anybody listens at the socket."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_unix_connection(sockets / SOCKET)
    except TimeoutError:
        return True
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _spawn(places: Places, binaries: Binaries, account: Account, journal: Journal) -> ServerProcess:
    settings = SETTINGS | journal.settings()
    settings["unix_socket_directories"] = str(places.sockets(account.uid))
    settings["recovery_init_sync_method"] = _recovery_sync()
    settings["cluster_name"] = _title_of(places)
    # `serves` knows a server by the first two words.
    command: list[str | Path] = [binaries.program("postgres"), "-D", places.cluster]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    log = journal.open_start_log()
    try:
        child = spawn_as(account, command, log)
    finally:
        os.close(log)
    # It shall outlive us, so `Popen` must not complain that it does; `ServerProcess` watches and buries it.
    child.returncode = 0
    return ServerProcess(child.pid)


def _recovery_sync() -> str:
    """
    Return how a server that recovers first brings to the disk what its killed forerunner had only written.

    The system's call for a whole disk takes half the time of one for each of thousands of files,
    and someone waits. But Linux before 5.8 does not tell when it failed, and others have none.
    """
    system = os.uname()
    version = tuple(int(part) for part in re.findall(r"\d+", system.release)[:2])
    return "syncfs" if system.sysname == "Linux" and version >= (5, 8) else "fsync"


def _title_of(places: Places) -> str:
    """Return the name that all processes of this server bear."""
    return f"obverse-{digest_of(places.cluster)}"
