"""Scratch: a folder for one query, which is gone afterwards, even if this process is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "obverse-query-"


@contextmanager
def scratch_folder(root: str = "") -> Iterator[Path]:
    """Make a folder, and remove those that a process left behind which was killed."""
    beside = Path(root or tempfile.gettempdir())
    for left in beside.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=beside) as folder:
        lock = os.open(folder, os.O_RDONLY)
        try:
            # Held as long as this process lives, and by nobody after it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(lock)


def _remove_if_left(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # somebody else's, or gone
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # in use
    finally:
        os.close(lock)
