"""A load kept up at a constant rate, and what came of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from obverse.apps.bench.load import OK, Doors, Load, bodies
from obverse.apps.bench.machine import memory_bytes, percentile

PATIENCE: Final = 60.0
"""Seconds within which everything that was sent must be answered."""


@dataclass(slots=True)
class Phase:
    """One rate, kept up; what came of it."""

    rate: int
    seconds: int
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[float] = field(default_factory=list)
    """Seconds from the moment a batch was to be sent to its 200."""
    refused: list[float] = field(default_factory=list)
    """The same, to its 429."""
    memory: list[int] = field(default_factory=list)
    """The collector's, each second, in bytes."""
    took: float = 0.0

    def figures(self, batch: int) -> dict[str, Any]:
        """What came of it, as it is told."""
        sent = sum(self.statuses.values())
        return {
            "asked_per_s": self.rate,
            "sent_per_s": round(sent * batch / self.took),
            "accepted_per_s": round(len(self.accepted) * batch / self.took),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "accepted_p50_ms": round(percentile(self.accepted, 0.5) * 1000, 1),
            "accepted_p99_ms": round(percentile(self.accepted, 0.99) * 1000, 1),
            "refused_p99_ms": round(percentile(self.refused, 0.99) * 1000, 1) if self.refused else None,
            "collector_memory_bytes": {"first": self.memory[0], "most": max(self.memory), "last": self.memory[-1]},
        }


async def send_phase(phase: Phase, doors: Doors, load: Load, run: bytes, collector: int) -> None:
    """Send at a constant rate, whatever the answers do; each latency counts from the moment of its batch."""
    loop = asyncio.get_running_loop()
    waiting: set[asyncio.Future[int]] = set()
    began = loop.time()
    looking = asyncio.create_task(_look(phase, collector))
    every, count = load.batch / phase.rate, phase.seconds * phase.rate // load.batch
    for number, body in zip(range(count), bodies(load, run), strict=False):
        due = began + number * every
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        answer = doors.send(body)
        waiting.add(answer)
        answer.add_done_callback(partial(_answered, phase, due))
        answer.add_done_callback(waiting.discard)
    phase.took = max(loop.time() - began, phase.seconds)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*waiting)
    looking.cancel()


def _answered(phase: Phase, due: float, answer: asyncio.Future[int]) -> None:
    status, took = answer.result(), answer.get_loop().time() - due
    phase.statuses[status] += 1
    if status == OK:
        phase.accepted.append(took)
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        phase.refused.append(took)


async def _look(phase: Phase, collector: int) -> None:
    while True:
        phase.memory.append(memory_bytes([collector]))
        await asyncio.sleep(1)
