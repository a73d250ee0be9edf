"""A process that stands still, or goes on for a part of the time only: the slow consumer of a benchmark."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

GOES_ON: Final = 0.25
"""Part of the time that a slow process goes on."""


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Have a process stand still, as a machine that is asleep does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def slowed(pid: int, turn: float = 1.0) -> AsyncIterator[None]:
    """Have a process go on for a quarter of each second only, or of each `turn`, while the block runs."""
    slowing = asyncio.create_task(_slow(pid, turn))
    try:
        yield
    finally:
        slowing.cancel()
        await asyncio.gather(slowing, return_exceptions=True)


async def _slow(pid: int, turn: float) -> None:
    while True:
        with held(pid):
            await asyncio.sleep(turn * (1 - GOES_ON))
        await asyncio.sleep(turn * GOES_ON)
