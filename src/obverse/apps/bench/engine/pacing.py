"""The paced phase: events that come by the clock, and how soon what comes of them can be read."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from msgspec import structs

from obverse.apps.bench.engine.course import Course
from obverse.apps.bench.engine.dropping import done_of
from obverse.apps.bench.engine.routing import Filled, Turns
from obverse.apps.bench.machine import percentile
from obverse.core.events import Event
from obverse.ports.event_log import Records

A_SECOND: Final = 50
"""Appends, each of as many events."""
UNSTEADY: Final = 0.2
"""Of the phase, what does not count: until the engine has come down from the backlog to the pace."""
_LATE: Final = 0.1
"""Seconds by which the generator may be late."""


@dataclass(slots=True)
class Paced:
    """What was sent by the clock."""

    began: float = 0.0
    """By `perf_counter`."""
    due: list[float] = field(default_factory=list)
    """When each append was due …"""
    ends: list[int] = field(default_factory=list)
    """… and how many events were appended with it, from the beginning of the log."""
    late: float = 0.0
    """Seconds by which the generator was late at most."""
    ended: float = 0.0
    """When all was appended."""
    behind: float = 0.0
    """Seconds from then until all of it was seen."""
    visible: array[float] = field(default_factory=lambda: array("d"))
    """Seconds until what came of a slice could be read, once for each of its items, in the steady part."""
    items: int = 0
    """Seen in all."""
    _read: int = 0

    async def send(self, filled: Filled, batches: Sequence[Sequence[Event]]) -> None:
        """Append each at its moment, as having arrived by then, whatever comes of the others."""
        sent, before = [], filled.appended
        self.began = began = perf_counter()
        for number, batch in enumerate(batches):
            due = began + number / A_SECOND
            while (left := due - perf_counter()) > 0:  # noqa: ASYNC110 - the clock sets no event
                await asyncio.sleep(left)
            self.late = max(self.late, perf_counter() - due)
            before += len(batch)
            self.due.append(due)
            self.ends.append(before)
            now = filled.runtime.now()
            for some in Records.of([structs.replace(one, received_at=now) for one in batch]):
                sent.append(asyncio.ensure_future(filled.append(some)))  # noqa: PERF401 - they are to be begun in order
        await asyncio.gather(*sent)
        self.ended = perf_counter()

    @property
    def steady(self) -> float:
        """From when on what is sent counts."""
        return self.began + UNSTEADY * (self.due[-1] - self.began)

    def read(self, course: Course, turns: Turns, first: int) -> None:
        """Take in what was seen since the last time; `first` is the number of the phase's first item."""
        steady = self.steady
        for at, record in course.seen[self._read :]:
            for number in done_of(record):
                if number >= first:
                    self.items += 1
                    begun = turns.at(number)
                    if begun >= steady:
                        self.visible.append(at - begun)
        self._read = len(course.seen)

    def read_steps(self, course: Course) -> None:
        """The same of the embedded engine: once for each append, from when it was due until all of it was folded."""
        counts = [done for _, done in course.steps]
        for due, end in zip(self.due, self.ends, strict=True):
            if due >= self.steady:
                self.visible.append(course.steps[bisect_left(counts, end)][0] - due)

    def figures(self) -> dict[str, Any]:
        """What came of it, as it is told."""
        return {
            "visible_p50_ms": round(percentile(self.visible, 0.5) * 1000, 1),
            "visible_p99_ms": round(percentile(self.visible, 0.99) * 1000, 1),
            "paced": {
                "events_per_second": round((self.ends[-1] - self.ends[0]) / (self.due[-1] - self.due[0])),
                "behind_at_the_end_s": round(self.behind, 2),
                "generator_late_ms": round(self.late * 1000, 1),
            },
        }

    def flaws(self) -> list[str]:
        """What would make these figures mislead."""
        if self.late <= _LATE:
            return []
        return [f"the generator was {self.late * 1000:.0f} ms late once: the machine is busy"]
