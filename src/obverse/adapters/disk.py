"""Room on the embedded database's disk: a server that meets the end of it falls over, so we stop before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage
from typing import Final, Protocol

import structlog

from obverse.ports.runtime import Runtime

LOOK: Final = 0.25
"""Seconds for which an answer is believed."""
_ENOUGH: Final = 1.25
"""How much more than the least must be free before we write again: not a byte more and a byte less in turns."""

_log = structlog.get_logger(__name__)


class _Usage(Protocol):
    @property
    def free(self) -> int: ...  # as of `shutil.disk_usage`


class Disk:
    """The disk that a folder is on."""

    def __init__(
        self, folder: Path, least: int, runtime: Runtime, usage: Callable[[Path], _Usage] = disk_usage
    ) -> None:
        """`least`: bytes that must stay free; `usage` tells how many are."""
        self._usage = usage
        self._folder = folder
        self._least = least
        self._runtime = runtime
        self._again = runtime.elapsed()
        self._full: str | None = None

    @property
    def free(self) -> int:
        """Bytes that are free."""
        return self._usage(self._folder).free

    def obstacle(self) -> str | None:
        """Why nothing may be written now; None if it may. Costs next to nothing."""
        now = self._runtime.elapsed()
        if now >= self._again:
            self._again = now + LOOK
            self._look()
        return self._full

    def _look(self) -> None:
        free = self.free
        if self._full is None and free < self._least:
            self._full = (
                f"the disk of {self._folder} has {free >> 20} MiB left, and nothing is written below "
                f"{self._least >> 20} (least_free_mb): free some, or give it a larger one"
            )
            _log.error("the disk is nearly full, nothing is taken in", free_bytes=free, least_bytes=self._least)
        elif self._full is not None and free > self._least * _ENOUGH:
            self._full = None
            _log.warning("the disk has room again", free_bytes=free)
