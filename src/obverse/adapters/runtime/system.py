"""The real clock, real dice and asyncio's own scheduler."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from random import Random, SystemRandom
from typing import Any

from obverse.ports.runtime import Runtime, Work

# Linux's monotonic clock stands still while the machine sleeps.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def open_runtime() -> Runtime:
    """The runtime of every process that people use."""
    return SystemRuntime()


class SystemRuntime:
    """See `Runtime`."""

    def __init__(self) -> None:
        self.random: Random = SystemRandom()

    def now(self) -> int:
        """See `Runtime.now`."""
        return time.time_ns() // 1000

    def elapsed(self) -> float:
        """See `Runtime.elapsed`."""
        return time.clock_gettime(_ELAPSED)

    async def sleep(self, seconds: float) -> None:
        """See `Runtime.sleep`."""
        await asyncio.sleep(seconds)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> Work:
        """See `Runtime.spawn`."""
        return TaskWork(asyncio.get_running_loop().create_task(work, name=name))


class TaskWork:
    """See `Work`."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    async def stop(self) -> None:
        """See `Work.stop`."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()

    async def wait(self) -> None:
        """See `Work.wait`."""
        await asyncio.shield(self._task)
