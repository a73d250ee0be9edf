"""A clock that nobody waits for, and what stands in queues by it."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_STEPS: Final = 40
"""Of the latencies kept, to a power of ten: each is known to 6 %."""


class Clock:
    """Simulated time, in seconds. What is due at the same moment happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def at(self, moment: float, act: Callable[..., None], *arguments: object) -> None:
        """Have something happen at a moment that is not over."""
        self._asked += 1
        heapq.heappush(self._due, (max(moment, self.now), self._asked, act, arguments))

    def after(self, seconds: float, act: Callable[..., None], *arguments: object) -> None:
        """The same, counted from now."""
        self.at(self.now + seconds, act, *arguments)

    def run(self, until: float) -> None:
        """Let everything happen that is due until then."""
        while self._due and self._due[0][0] <= until:
            self.now, _, act, arguments = heapq.heappop(self._due)
            act(*arguments)
        self.now = until


@dataclass(slots=True)
class Job:
    """Some events, and what is done with them when they are served."""

    events: int
    seconds: float
    """Of one server's time."""
    done: Callable[[], None] = lambda: None
    came: float = 0.0


class Station:
    """
    Servers that take jobs in the order in which these came; with a `turn` one server that takes what waits at once.

    It keeps its books twice, so that Little's law can be held against it: the area beneath the number of jobs that
    are there, and the time that each of them was there.
    """

    def __init__(self, clock: Clock, servers: int = 1, *, turn: float = 0.0, most: int = 0) -> None:
        """`turn`: seconds that each turn takes, whatever is taken; `most`: events after which it takes no more."""
        self._clock = clock
        self._free = servers
        self._turn = turn
        self._most = most
        self._waiting: deque[Job] = deque()
        self._stopped = False
        self._began = 0
        self._at_work: dict[int, tuple[float, Sequence[Job]]] = {}
        self.servers = servers
        self.came = self.left = 0
        """Events."""
        self.jobs_left = 0
        self.area = self.stayed = self._worked = 0.0
        self._inside, self._looked = 0, 0.0

    @property
    def busy(self) -> float:
        """Seconds that servers have worked, all together."""
        return self._worked + sum(self._clock.now - began for began, _ in self._at_work.values())

    @property
    def inside(self) -> int:
        """Jobs that are there now, those at work included."""
        return self._inside

    @property
    def waits(self) -> float:
        """Seconds that the first of those who wait has waited."""
        return self._clock.now - self._waiting[0].came if self._waiting else 0.0

    def put(self, job: Job, *, in_front: bool = False) -> None:
        """Let a job come."""
        self._count(1)
        job.came = self._clock.now
        self.came += job.events
        if in_front:
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)
        self._begin()

    def pause(self, seconds: float) -> None:
        """Serve nobody for a while, once what is at work is done."""
        self.put(Job(0, seconds), in_front=True)

    def stop(self) -> None:
        """Be gone; what was at work is to be done again."""
        self._stopped = True
        self._worked = self.busy
        for _, jobs in self._at_work.values():
            self._waiting.extendleft(reversed(jobs))
            self._free += 1
        self._at_work.clear()

    def start(self) -> None:
        """Be there again."""
        self._stopped = False
        self._begin()

    def close(self) -> None:
        """Bring the books up to now."""
        self._count(0)

    def _begin(self) -> None:
        while self._waiting and self._free and not self._stopped:
            jobs = [self._waiting.popleft()]
            taken = jobs[0].events
            while self._turn and self._waiting and taken < self._most:
                jobs.append(self._waiting.popleft())
                taken += jobs[-1].events
            self._free -= 1
            self._began += 1
            self._at_work[self._began] = self._clock.now, jobs
            seconds = self._turn + sum(job.seconds for job in jobs)
            self._clock.after(seconds, self._end, self._began)

    def _end(self, number: int) -> None:
        if number not in self._at_work:
            return  # it was stopped meanwhile
        began, jobs = self._at_work.pop(number)
        self._free += 1
        self._worked += self._clock.now - began
        for job in jobs:
            self._count(-1)
            self.left += job.events
            self.jobs_left += 1
            self.stayed += self._clock.now - job.came
            job.done()
        self._begin()

    def _count(self, change: int) -> None:
        self.area += self._inside * (self._clock.now - self._looked)
        self._looked = self._clock.now
        self._inside += change


@dataclass(slots=True)
class Latencies:
    """How long events took, in steps of a few per cent."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, events: int) -> None:
        """Note that some events took so long."""
        step = _step(seconds)
        self.counts[step] = self.counts.get(step, 0) + events

    def percentile(self, part: float) -> float:
        """Milliseconds within which this part of the events had come through; 0 if there are none."""
        wanted = part * sum(self.counts.values())
        seen = 0
        for step in sorted(self.counts):
            seen += self.counts[step]
            if seen >= wanted:
                return round(1000 * float(10 ** (step / _STEPS)), 1)
        return 0.0


def _step(seconds: float) -> int:
    return math.ceil(_STEPS * math.log10(max(seconds, 1e-6)))
