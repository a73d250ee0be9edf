"""A process of Spark: started with its words in a file, waited for by what it says, ended by its id."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_START: Final = 180.0
"""Seconds within which a process must say that it is ready; it takes a few, on a machine that is busy many."""
_STOP: Final = 10.0
"""Seconds that a process gets to end by itself."""
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""


class SparkFailed(Exception):
    """A process of Spark ended, or did not become ready; the message has its last words."""


@dataclass(slots=True)
class SparkProcess:
    """One process; it dies with ours."""

    name: str
    """Such as "worker 1"."""
    command: Sequence[str]
    variables: Mapping[str, str]
    log: Path
    """The file that its words are added to."""
    process: subprocess.Popen[bytes] | None = field(default=None)
    _began: int = 0

    @property
    def pid(self) -> int:
        """Its id; 0 before the first start."""
        return 0 if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, also again."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as words:
            self._began = words.tell()
            self.process = subprocess.Popen(  # noqa: S603 - our own words
                self.command,
                env=self.variables,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                # A Ctrl-C on the terminal is for us alone: we stop it once nobody needs it any more.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - as said there
            )

    def said(self) -> str:
        """What it said since it was started last."""
        with self.log.open("rb") as words:
            words.seek(self._began)
            return words.read().decode(errors="replace")

    async def until_said(self, pattern: str) -> re.Match[str]:
        """
        Wait until it says what fits the pattern.

        Raises:
            SparkFailed: it ended, or did not say it in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START):
                while True:
                    alive = self.alive
                    if found := re.search(pattern, self.said()):
                        return found
                    if not alive:
                        break
                    await asyncio.sleep(0.05)
        raise SparkFailed(f"{self.name} of Spark did not start; its last words, in {self.log}: {self.said()[-2000:]}")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def stop(self) -> None:
        """Let it end in good order, or kill it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, _STOP)
        except subprocess.TimeoutExpired:
            self.kill()


def _die_with_parent() -> None:
    """Have the kernel end us when our parent ends, however it ends; nothing here takes a lock."""
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)


_libc = ctypes.CDLL(None)
