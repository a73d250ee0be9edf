"""Which user of the machine the server runs as, and commands run as that user."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.adapters.postgres.server.failure import ServerFailed

OWN_USER = "obverse"
"""The system user that serves when we are root; made when it is missing."""

SPARE_USER = "nobody"
"""Serves when no user can be made."""

ENVIRONMENT = {"PATH": os.defpath, "LANG": "C", "LC_ALL": "C"}
"""Nothing of ours: PGDATA, PGPORT and their like would bend the server."""

USERADD_BUSY = (1, 10)
"""Exit codes of useradd when another one holds the passwd or the group file."""


END_SECONDS = 10.0
"""How long a command may take to end when nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, and its main group."""

    name: str
    uid: int
    gid: int

    @property
    def foreign(self) -> bool:
        """Whether this is not the user that we run as."""
        return self.uid != os.geteuid()


async def server_account(cluster: Path) -> Account:
    """
    Return the user that serves the cluster in this folder, which need not exist yet.

    An ordinary user serves as itself. Root serves as the owner of the cluster, and a
    new cluster belongs to the user `obverse`, which is made if need be, else to `nobody`.

    Raises:
        ServerFailed: the cluster belongs to somebody whom we cannot be.
    """
    owner, group = owner_of(cluster)
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise ServerFailed(
                f"The database in {cluster} belongs to {_name_of(owner)}, and we run as {_name_of(os.geteuid())}. "
                f"Run obverse as {_name_of(owner)}, or give the data folder to the user that runs it (chown -R)."
            )
        return Account(_name_of(os.geteuid()), os.geteuid(), os.getegid())
    if owner == 0:
        raise ServerFailed(
            f"The database in {cluster} belongs to root, as whom PostgreSQL refuses to run. "
            f"Give the folder to another user: chown -R {OWN_USER} {cluster}"
        )
    if owner is not None and group is not None:
        return Account(_name_of(owner), owner, group)
    return await _system_account()


def owner_of(path: Path) -> tuple[int, int] | tuple[None, None]:
    """Return the uid and gid that a file or folder belongs to; None when there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None, None
    return found.st_uid, found.st_gid


def spawn_as(account: Account, command: Sequence[str | Path], output: int) -> subprocess.Popen[bytes]:
    """
    Start a program as this user, in a session of its own, with nothing of our environment.

    `output` is where all that it prints goes, as `Popen` takes it.

    Raises:
        ServerFailed: we may not become that user, as in some containers.
    """
    identity: dict[str, Any] = {}
    if account.foreign:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        return subprocess.Popen(  # noqa: S603 - our own commands, and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            **identity,
        )
    except PermissionError as error:
        raise ServerFailed(
            f"Could not start {command[0]} as the user {account.name} (uid {account.uid}), as whom PostgreSQL runs "
            "when obverse is root. Run obverse as an ordinary user, or allow SETUID and SETGID to the container."
        ) from error


async def run_as(account: Account, *command: str | Path) -> tuple[int, str]:
    """
    Run a command as this user and return its exit code and all that it printed.

    Raises:
        ServerFailed: we may not become that user.
    """
    process = spawn_as(account, command, subprocess.PIPE)
    # In a thread, and not by the event loop: that of uvloop knows no other users. The thread closes the pipe, so it
    # goes on when we are cancelled, even if it has not begun.
    reading = asyncio.create_task(asyncio.to_thread(process.communicate))
    try:
        printed, _ = await asyncio.shield(reading)
    except asyncio.CancelledError:
        process.terminate()
        await asyncio.wait([reading], timeout=END_SECONDS)
        raise
    return process.returncode, printed.decode(errors="replace")


async def can_reach(account: Account, folder: Path) -> bool:
    """
    Tell whether this user can go to a folder.

    It is tried, not reckoned from mode bits, which know nothing of access lists and network disks.
    """
    code, _ = await run_as(account, "/bin/sh", "-c", 'cd -- "$1"', "sh", folder)
    return code == 0


async def _system_account() -> Account:
    found = _account_named(OWN_USER) or await _make_own_user() or _account_named(SPARE_USER)
    if found is None or found.uid == 0:
        raise ServerFailed(
            f"PostgreSQL refuses to run as root, and there is no user {OWN_USER!r} to run as instead. "
            f"Make one: useradd --system {OWN_USER}"
        )
    return found


async def _make_own_user() -> Account | None:
    useradd = shutil.which("useradd", path=os.defpath + ":/usr/sbin:/sbin")
    if useradd is None:
        return None
    root = Account("root", 0, 0)
    arguments = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
    for _ in range(10):
        code, _ = await run_as(root, useradd, *arguments, "--shell", "/usr/sbin/nologin", OWN_USER)
        made = _account_named(OWN_USER)
        if made is not None or code not in USERADD_BUSY:
            return made
        await asyncio.sleep(0.1)
    return None


def _account_named(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
