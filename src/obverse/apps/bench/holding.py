"""A process that stands still, or goes on for a part of the time only: the slow consumer of a benchmark."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import perf_counter
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


@dataclass(slots=True)
class Stood:
    """How long a process stood still."""

    seconds: float = 0.0


@asynccontextmanager
async def slowed(pid: int, turn: float = 1.0) -> AsyncIterator[Stood]:
    """Have a process go on for a quarter of each second only, or of each `turn`, while the block runs."""
    stood = Stood()
    slowing = asyncio.create_task(_slow(pid, turn, stood))
    try:
        yield stood
    finally:
        slowing.cancel()
        await asyncio.gather(slowing, return_exceptions=True)


async def _slow(pid: int, turn: float, stood: Stood) -> None:
    while True:
        with held(pid):
            began = perf_counter()
            try:
                await asyncio.sleep(turn * (1 - GOES_ON))
            finally:
                stood.seconds += perf_counter() - began
        await asyncio.sleep(turn * GOES_ON)
