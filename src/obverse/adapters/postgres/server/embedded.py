"""The embedded PostgreSQL of one data folder: started or adopted, watched, stopped, erased."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from obverse.adapters.postgres.server.accounts import Account, owner_of, server_account
from obverse.adapters.postgres.server.binaries import reachable_binaries
from obverse.adapters.postgres.server.cluster import (
    SUPERUSER,
    check_version,
    make_cluster,
    remove_unfinished,
)
from obverse.adapters.postgres.server.failure import server_failed
from obverse.adapters.postgres.server.journal import Journal
from obverse.adapters.postgres.server.launch import find_running, launch
from obverse.adapters.postgres.server.logins import (
    ROLES,
    dsn_of,
    forget_passwords,
    make_passwords,
    make_roles_and_database,
    password_of,
)
from obverse.adapters.postgres.server.places import (
    Places,
    make_data_folder,
    places_of,
    remove_note,
    settle,
    sole_starter,
)
from obverse.adapters.postgres.server.processes import ServerProcess, read_pid_file, until

NOTICE_SECONDS = 0.1
"""How soon the death of the server is noticed."""

PRUNE_SECONDS = 60.0
"""How often a watcher looks whether there is too much log."""


class EmbeddedServer:
    """
    The PostgreSQL server of one data folder.

    It runs in a session of its own and outlives us when we are killed; whoever starts it next on
    the same folder adopts it. Of several who start it at once, one starts it and the others adopt
    it. `stop` stops it for all of them. An instance belongs to no event loop.
    """

    def __init__(self, data: Path) -> None:
        """Take the data folder, which is made by `start` if it is missing; nothing happens yet."""
        self._data = data.resolve()
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        """
        The number of the server's process.

        Raises:
            RuntimeError: it was not started.
        """
        return self._started().pid

    def alive(self) -> bool:
        """Tell whether the server runs; one that was not started does not."""
        return self._process is not None and self._process.alive()

    def dsn(self, role: str) -> str:
        """
        Return the address of the database for one of `ROLES`, password and all.

        It may be asked for in another process than the one that started the server.

        Raises:
            ValueError: there is no such role.
            ServerFailed: nobody has ever started the database, or its passwords are not ours to read.
        """
        if role not in ROLES:
            raise ValueError(f"no role {role!r} logs in to the database; there are {', '.join(ROLES)}")
        places = places_of(self._data)
        password = password_of(role, places.secrets)
        return dsn_of(role, password, _sockets_of(places))

    async def start(self) -> None:
        """
        Start the server, or adopt the one that runs, and return when every role can log in.

        Call it again when the server died. Where a new database is needed, it is made.

        Raises:
            ServerFailed: it could not be started; the message says what to do.
        """
        if self.alive():
            return
        try:
            account = await server_account(places_of(self._data).cluster)
            make_data_folder(self._data, account)
            async with sole_starter(self._data):
                await self._start(account)
        except OSError as error:
            raise server_failed(f"Could not start the database of {self._data}.", told=str(error)) from error

    async def stop(self) -> None:
        """
        Stop the server, started or adopted, and return when its process is gone.

        Open transactions are rolled back and their connections closed. Stopping what does not run is fine.

        Raises:
            ServerFailed: it does not end.
        """
        if self._process is not None:
            await self._process.end()
            self._process = None

    async def wait_died(self) -> None:
        """
        Return within 0.2 s after the server died or was stopped.

        Raises:
            RuntimeError: it was not started.
        """
        process = self._started()
        journal = Journal(places_of(self._data).logs)
        while not await until(lambda: not process.alive(), seconds=PRUNE_SECONDS, every=NOTICE_SECONDS):
            journal.prune()

    async def erase(self) -> None:
        """
        Stop the server and remove all that it keeps for this data folder, here and elsewhere, for good.

        The folder itself stays, with what others keep in it.

        Raises:
            ServerFailed: the server does not end.
        """
        if not self._data.exists():
            return
        async with sole_starter(self._data):
            places = places_of(self._data)
            running = await find_running(places)
            if running is not None:
                await running.end()
            await self.stop()
            await asyncio.to_thread(_remove_all, places)

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise RuntimeError(f"the database of {self._data} was not started")
        return self._process

    async def _start(self, account: Account) -> None:
        if self._process is not None:
            self._process.let_go()
            self._process = None
        places = await settle(self._data, account)
        make_passwords(places.secrets)
        running = await find_running(places)
        process = running or await _start_new(places, account)
        try:
            await make_roles_and_database(_sockets_of(places), places.secrets)
        except BaseException:
            # Nobody would know of it: what we started must not outlive our failure.
            if running is None:
                await process.end()
            process.let_go()
            raise
        self._process = process


async def _start_new(places: Places, account: Account) -> ServerProcess:
    binaries = await reachable_binaries(account)
    if places.cluster.exists():
        check_version(places, binaries)
    else:
        await make_cluster(places, binaries, account, password_of(SUPERUSER, places.secrets))
    return await launch(places, binaries, account)


def _sockets_of(places: Places) -> Path:
    """Return where the server's socket is: where the server says, else where it would be."""
    told = read_pid_file(places.cluster)
    if told is not None and told.sockets is not None:
        return told.sockets
    owner, _ = owner_of(places.cluster)
    return places.sockets(os.geteuid() if owner is None else owner)


def _remove_all(places: Places) -> None:
    sockets = _sockets_of(places)
    if owner_of(sockets)[0] == owner_of(places.cluster)[0]:
        shutil.rmtree(sockets, ignore_errors=True)
    # First the database: passwords without it are replaced, but it is no use without them.
    for folder in (places.cluster, places.logs):
        if folder.exists():
            shutil.rmtree(folder)
    remove_unfinished(places)
    forget_passwords(places.secrets)
    remove_note(places)
