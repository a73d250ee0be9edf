"""The server as a process: found, watched and ended, whether it is our child or was adopted."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from obverse.adapters.postgres.server.failure import ServerFailed

FAST_SHUTDOWN_SECONDS = 20.0
"""How long the server may take to write its last checkpoint."""

HARD_SHUTDOWN_SECONDS = 10.0
"""How long it may take to stop without one; it kills its own stragglers after 5 s."""


async def until(holds: Callable[[], bool], *, seconds: float, every: float = 0.01) -> bool:
    """Wait until something holds, and say whether it came to hold within so many seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not holds():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(every)
    return True


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a server writes about itself into `postmaster.pid` of its cluster."""

    pid: int
    sockets: Path | None
    status: str
    """`starting`, `ready` or `stopping`; empty at first."""


def read_pid_file(cluster: Path) -> PidFile | None:
    """Return what the last server of a cluster wrote; None when it ended in peace, or half wrote it."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        pid = abs(int(lines[0]))  # a single-user server writes its own as a negative number
    except (FileNotFoundError, ValueError, IndexError):
        return None
    lines += [""] * 8
    return PidFile(pid, Path(lines[4]) if lines[4] else None, lines[7].strip())


def serves(pid: int, cluster: Path) -> bool:
    """
    Tell whether this process is the server of a cluster that `EmbeddedServer` started.

    A number may have gone to another process since, above all after a restart of the machine.
    """
    arguments = command_line(pid)
    return Path(arguments[0]).name == "postgres" and arguments[1:3] == ["-D", str(cluster)]


def exists(pid: int) -> bool:
    """Tell whether any process has this number, be it dead but not buried."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def command_line(pid: int) -> list[str]:
    """Return the words with which a process was started; one empty word when there is none or it is dead."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
        except OSError:
            return [""]
    return _command_line_by_ps(pid)


def _command_line_by_ps(pid: int) -> list[str]:
    """Macs have no /proc. Their `ps` joins the words by spaces, so a path with spaces is put together again."""
    shown = subprocess.run(  # noqa: S603 - a number is the only thing that varies
        [shutil.which("ps", path=os.defpath) or "/bin/ps", "-ww", "-o", "args=", "-p", str(pid)],
        capture_output=True,
        check=False,
    )
    program, _, rest = shown.stdout.decode(errors="surrogateescape").strip().partition(" -D ")
    cluster, _, _ = rest.partition(" -c ")
    return [program, "-D", cluster] if rest else [program]


def end_leftovers(cluster: Path, title: str, uid: int) -> None:
    """
    Kill what is left of servers of this cluster, when it was found that none is in charge of it.

    These are, first, a server whose cluster was deleted under it: when it notices that, after up to
    a minute, it would take the socket of its successor with it. And second the children of a killed
    one, known by the title that it gave them: most end by themselves at once, but one in a long query
    notices nothing until it has a row to send, and while it lives no other server can start. What
    they did cannot be committed any more.
    """
    near = [pid for pid in _all_pids() if _is_near(pid, uid)]
    for pid in near:
        if serves(pid, cluster):
            _kill(pid)
    for pid in near:
        if command_line(pid)[0].startswith(f"postgres: {title}: ") and not _has_server(pid):
            _kill(pid)


def _all_pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _is_near(pid: int, uid: int) -> bool:
    """
    Tell whether a process is this user's and sees the same numbers as we do.

    Anybody may give a process of their own any name; and what runs in a container may well
    have the same user and the same paths, which there are others.
    """
    status = _status(pid)
    return status.get("Uid", [])[:1] == [str(uid)] and len(status.get("NSpid", [])) <= 1


def _has_server(pid: int) -> bool:
    """Tell whether the parent of a server's child is a server, and not whoever takes in orphans."""
    parent = _status(pid).get("PPid", ["0"])[0]
    return Path(command_line(int(parent))[0]).name == "postgres"


def _status(pid: int) -> dict[str, list[str]]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: values.split() for name, _, values in (line.partition(":") for line in lines)}


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


class ServerProcess:
    """One running server: our child, or one that outlived the obverse that started it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = _open_handle(pid)
        self._ended = False

    def alive(self) -> bool:
        """Tell whether the process still runs; one that is dead but not buried does not."""
        if not self._ended and self._has_ended():
            self._ended = True
            self.let_go()
        return not self._ended

    def _has_ended(self) -> bool:
        """Ask, and bury it if it is our child: until then a dead one keeps its number."""
        if self._handle is None:
            with suppress(ChildProcessError):
                return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            return not exists(self.pid)
        watch = select.poll()
        watch.register(self._handle, select.POLLIN)
        if not watch.poll(0):  # it can be read from when the process has ended
            return False
        with suppress(OSError):
            os.waitid(os.P_PIDFD, self._handle, os.WEXITED | os.WNOHANG)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this very process, never to another that got its number."""
        if not self.alive():
            return
        try:
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return

    async def end(self) -> None:
        """
        Shut the server down: fast, and hard if that takes too long.

        Both keep all that was committed. Fast writes a checkpoint; after hard the next start recovers.

        Raises:
            ServerFailed: it lives on.
        """
        self.signal(signal.SIGINT)
        if not await until(lambda: not self.alive(), seconds=FAST_SHUTDOWN_SECONDS):
            self.signal(signal.SIGQUIT)
            if not await until(lambda: not self.alive(), seconds=HARD_SHUTDOWN_SECONDS):
                raise ServerFailed(
                    f"PostgreSQL (process {self.pid}) does not end, perhaps because its disk does not answer. "
                    f"See to the disk, then end it: kill -QUIT {self.pid}"
                )
        self.let_go()

    def let_go(self) -> None:
        """Watch the process no longer. It runs on, if it runs."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _open_handle(pid: int) -> int | None:
    """Return a handle that stands for this process even when its number was given away; only Linux has any."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
