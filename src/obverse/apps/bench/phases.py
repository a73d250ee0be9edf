"""A load kept up for a while, at a constant rate or as fast as it is taken, and what came of it."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import islice
from time import perf_counter
from typing import Any, Final

from obverse.apps.bench.bodies import bodies
from obverse.apps.bench.doors import OK, Doors
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed, memory_bytes, percentile, spread

PATIENCE: Final = 60.0
"""Seconds within which everything that was sent must be answered."""
PROMISED: Final = 0.15
"""Seconds within which 99 of 100 that are accepted must be answered, whatever else goes on."""
_ENOUGH: Final = 0.99
"""Share of the asked rate that must be sent; less is a failure of the generator."""
_TICK: Final = 0.001
"""Seconds that the generator sleeps at least: the loop rounds to milliseconds, and would spin through shorter ones."""
_AT_ONCE: Final = 16
"""Batches that are sent before answers are read, when many are due."""


@dataclass(slots=True)
class Phase:
    """One rate, kept up; what came of it."""

    rate: int
    """Events a second; 0: as many as were taken."""
    seconds: int
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from the moment a batch was to be sent to its 200."""
    due: array[float] = field(default_factory=lambda: array("d"))
    """That moment of each of them."""
    refused: array[float] = field(default_factory=lambda: array("d"))
    """The same, to its 429."""
    memory: list[int] = field(default_factory=list)
    """The collector's, each second, in bytes."""
    began: float = 0.0
    """By `perf_counter`, as the next one."""
    ended: float = 0.0
    """When the last batch had been sent; where there is no rate, when it had been answered."""

    @property
    def took(self) -> float:
        """How many seconds it lasted."""
        return max(self.ended - self.began, self.seconds)

    @property
    def answers(self) -> int:
        """How many batches have been answered."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """How many batches were not answered 200."""
        return self.answers - len(self.accepted)

    def per_second(self, batches: int, batch: int) -> int:
        """So many batches of the phase, as events a second."""
        return round(batches * batch / self.took)

    def figures(self, batch: int) -> dict[str, Any]:
        """What came of it, as it is told."""
        return {
            "asked_per_s": self.rate,
            "sent_per_s": self.per_second(self.answers, batch),
            "accepted_per_s": self.per_second(len(self.accepted), batch),
            "statuses": self.told_statuses(),
            "accepted_p50_ms": round(percentile(self.accepted, 0.5) * 1000, 1),
            "accepted_p99_ms": round(percentile(self.accepted, 0.99) * 1000, 1),
            "refused_p99_ms": round(percentile(self.refused, 0.99) * 1000, 1) if self.refused else None,
            "collector_memory_bytes": {"first": self.memory[0], "most": max(self.memory), "last": self.memory[-1]},
        }

    def answer_figures(self, batch: int) -> dict[str, Any]:
        """The answers, as they are told where each should be 200."""
        return {
            "rate_achieved": self.per_second(len(self.accepted), batch),
            "requests_per_second": self.per_second(len(self.accepted), 1),
            "failed": self.failed,
            "statuses": self.told_statuses(),
            **spread(self.accepted),
        }

    def told_statuses(self) -> dict[str, int]:
        """How often each status was answered; 0 is no answer."""
        return {str(status): count for status, count in sorted(self.statuses.items())}

    def failures(self) -> list[str]:
        """The flaw that some were not answered 200, if it is one."""
        return [f"{self.failed} batches were not answered 200"] if self.failed else []

    def late(self) -> list[str]:
        """The flaw that who was accepted waited for longer than is promised, if it is one."""
        p99 = percentile(self.accepted, 0.99)
        if p99 < PROMISED:
            return []
        took, promised = f"{p99 * 1000:.0f} ms at the 99th percentile", f"{PROMISED * 1000:.0f} are promised"
        return [f"answers to {self.rate} events a second took {took}, {promised}"]

    def lacks(self, batch: int) -> list[str]:
        """The flaw of a generator that could not keep up, if it is one."""
        sent = self.per_second(self.answers, batch)
        if sent >= _ENOUGH * self.rate:
            return []
        return [f"only {sent} events a second were sent, {self.rate} were asked"]

    def answered(self, due: float, status: int) -> None:
        """Note the answer to a batch that was due then."""
        took = perf_counter() - due
        self.statuses[status] += 1
        if status == OK:
            self.accepted.append(took)
            self.due.append(due)
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            self.refused.append(took)


async def send_phase(phase: Phase, doors: Doors, load: Load, run: bytes) -> None:
    """
    Send at the phase's rate, whatever the answers do; each latency counts from the moment of its batch.

    Raises:
        BenchFailed: not everything was answered.
    """
    made = bodies(load, run)
    every, count = load.batch / phase.rate, phase.seconds * phase.rate // load.batch
    phase.began = began = perf_counter()
    for number, body in enumerate(islice(made, count)):
        due = began + number * every
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        await _until(due)
        doors.send_then(body, partial(phase.answered, due))
    phase.ended = max(perf_counter(), began + phase.seconds)
    await _all_answered(phase, count)


async def send_closed(phase: Phase, doors: Doors, load: Load, run: bytes) -> None:
    """
    Send as fast as it is taken: each connection has one batch on its way, and the next goes once it is answered.

    Raises:
        BenchFailed: not everything was answered.
    """
    made, sent = bodies(load, run), 0
    phase.began = perf_counter()
    end = phase.began + phase.seconds

    def send() -> None:
        nonlocal sent
        sent += 1
        doors.send_then(next(made), partial(answered, perf_counter()))

    def answered(due: float, status: int) -> None:
        phase.answered(due, status)
        if perf_counter() < end:
            send()

    for _ in range(load.connections):
        send()
    await asyncio.sleep(phase.seconds)
    await _until(end)
    await _all_answered(phase, sent)
    phase.ended = perf_counter()


async def _until(moment: float) -> None:
    while (left := moment - perf_counter()) > 0:  # noqa: ASYNC110 - the clock sets no event
        await asyncio.sleep(max(left, _TICK))


async def _all_answered(phase: Phase, count: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while phase.answers < count:  # noqa: ASYNC110 - an event would cost each answer a look
                await asyncio.sleep(_TICK)
    except TimeoutError as error:
        raise BenchFailed(f"{count - phase.answers} of {count} batches were not answered within a minute") from error


async def look_at_memory(phase: Phase, pid: int) -> None:
    """Note the memory of a process each second, until cancelled."""
    while True:
        phase.memory.append(memory_bytes([pid]))
        await asyncio.sleep(1)
