"""The data folder of an installation: made when it is missing, and used by one supervisor at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

LOCK: Final = "supervisor.lock"
"""A file in the folder; whoever runs the installation holds a lock on it, which ends with its process."""


class BadDataFolder(RuntimeError):
    """The folder cannot be used; the message says why and what to do."""


class InUse(RuntimeError):
    """Another process runs the installation of this folder."""


def make(folder: Path) -> None:
    """
    Make the folder, unless it is there.

    Raises:
        BadDataFolder: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _bad(folder, error) from error


def claim(folder: Path) -> int:
    """
    Become the one that runs this folder's installation; returns the descriptor that holds the claim while it is open.

    Raises:
        BadDataFolder: nothing can be written there.
        InUse: another process has claimed it.
    """
    make(folder)
    try:
        held = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _bad(folder, error) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(held, 20).decode(errors="replace").strip() or "unknown"
        os.close(held)
        raise InUse(
            f"the data folder {folder} is in use by process {owner}: stop that one, or choose another with --data"
        ) from None
    os.truncate(held, 0)
    os.write(held, f"{os.getpid()}\n".encode())
    return held


def _bad(folder: Path, error: OSError) -> BadDataFolder:
    return BadDataFolder(
        f"the data folder {folder} cannot be used ({error.strerror}): choose another with --data or OBVERSE_DATA, "
        "or make this one writable"
    )
