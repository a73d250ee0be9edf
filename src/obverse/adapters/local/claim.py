"""A socket's path belongs to one worker at a time, and the kernel takes it back from a killed one."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

from obverse.ports.outcomes import Unreachable


class Claim:
    """
    A socket at `path`, mode 0600, bound and listening; nobody else can have it while we live.

    What is locked is the file beside it: it tells a killed worker, whose socket may be replaced, from a living one.

    Raises:
        Unreachable: another worker has it, or it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._take_lock()
                self._clear()
                self.door = self._bind()
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise Unreachable(
                f"the socket {path} cannot be made ({error}): its folder must exist and be ours to write in"
            ) from error

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._taken() from error

    def _clear(self) -> None:
        """Remove the socket that a killed worker left."""
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise Unreachable(f"{self.path} is no socket: remove it, or set profile_cache.local.socket to another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                self.path.unlink()
            except BlockingIOError as error:  # it lives, and many wait at its door
                raise self._taken() from error
            else:
                raise self._taken()

    def _bind(self) -> socket.socket:
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            door.bind(str(self.path))
            # Before it listens nobody gets in, so nobody gets in before the mode is set.
            self.path.chmod(0o600)
            door.listen(128)
            door.settimeout(0)
        except BaseException:
            door.close()
            raise
        return door

    def _taken(self) -> Unreachable:
        return Unreachable(
            f"another worker answers at {self.path}: stop it, or set profile_cache.local.socket to another path"
        )

    def release(self) -> None:
        """Let the next worker have it."""
        self.path.unlink(missing_ok=True)
        self.door.close()
        os.close(self._lock)
