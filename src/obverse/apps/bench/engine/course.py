"""How far the fold is, as whoever waits for it can see, and what its processes have used by then."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from obverse.apps.bench.engine.dropping import LETTER, LINE
from obverse.apps.bench.machine import BenchFailed, cpu_seconds, tree

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LEAST: Final = 1 / _TICKS
"""Seconds of CPU that are told apart."""
_NUMBERS: Final = re.compile(r"[-_ ]?[(]?[0-9]+/[0-9].*|[-_#][0-9]+$")
"""Of a name, what tells one of many alike from the others."""


@dataclass(slots=True)
class Course:
    """What was seen of the fold."""

    done: int = 0
    """Items of the backlog; of the embedded engine events."""
    began: float | None = None
    """When something was seen first, by `perf_counter`."""
    machine: float = 0.0
    """Seconds of CPU that the machines took for these, where they are told."""
    told_bytes: int = 0
    """In which it was told, before it was dropped."""
    seen: list[tuple[float, bytes]] = field(default_factory=list)
    """What was not dropped, and when it was seen."""

    steps: list[tuple[float, int]] = field(default_factory=list)
    """Of the embedded engine, when how many events were folded."""

    def see(self, record: bytes) -> None:
        """See one record of what was folded."""
        now = perf_counter()
        if self.began is None:
            self.began = now
        if record[:1] != LETTER:
            self.seen.append((now, record))
            return
        _, done, size, took = LINE.unpack(record)
        self.done += done
        self.told_bytes += size
        self.machine += took

    def see_events(self, done: int, at: float) -> None:
        """See how many events the embedded engine has folded by then."""
        if self.began is None:
            self.began = at
        self.done = done
        self.steps.append((at, done))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at it."""

    at: float
    done: int
    machine: float
    told_bytes: int
    cpu: Mapping[str, float]
    """Seconds of each process and its children so far."""
    threads: Mapping[str, float]
    """The same by the names of threads, of those that still run."""


def look(course: Course, pids: Mapping[str, int], threads: Mapping[str, int] | None = None) -> Look:
    """Look how far it is, and at what these processes have used; of `threads` also by thread."""
    return Look(
        at=perf_counter(),
        done=course.done,
        machine=course.machine,
        told_bytes=course.told_bytes,
        cpu={name: cpu_seconds(tree(pid)) for name, pid in pids.items()},
        threads=_by_thread(threads or {}),
    )


def _by_thread(pids: Mapping[str, int]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for name, pid in pids.items():
        for one in tree(pid):
            for task in Path(f"/proc/{one}/task").glob("*/stat"):
                try:
                    before, _, rest = task.read_text().rpartition(")")
                except OSError:
                    continue
                fields = rest.split()
                thread = _NUMBERS.sub("", before.partition("(")[2]).strip()
                found[f"{_NUMBERS.sub('', name)}: {thread}"] += sum(map(int, fields[11:13])) / _TICKS
    return found


def steady_figures(begun: Look, ended: Look, *, events_each: float, engine: Mapping[str, int]) -> dict[str, Any]:
    """
    What the steady part took: from the one look to the other.

    `events_each` is how many events one of what is done stands for, and `engine` which processes fold.

    Raises:
        BenchFailed: the engine went all the way between two looks.
    """
    events, seconds = (ended.done - begun.done) * events_each, ended.at - begun.at
    if events <= 0:
        raise BenchFailed("the engine was done before it could be looked at twice: say more --events")
    spent = {name: ended.cpu[name] - begun.cpu.get(name, 0.0) for name in ended.cpu}
    own = max(sum(spent[name] for name in engine), _LEAST)
    each = 1_000_000 / events
    machine = {
        "machine_us_per_event": round((ended.machine - begun.machine) * each, 1),
        "folded_bytes_per_event": round((ended.told_bytes - begun.told_bytes) / events),
    }
    return {
        "events_per_second": round(events / seconds),
        "events_per_second_per_core": round(events / own),
        "steady": {
            "events": round(events),
            "seconds": round(seconds, 2),
            "engine_cpu_seconds": round(own, 2),
            "engine_cores_busy": round(own / seconds, 2),
            "cpu_us_per_event": {name: round(used * each, 1) for name, used in spent.items()},
            **(machine if ended.machine else {}),
        },
    }


def threads_figures(begun: Look, ended: Look, *, events: float) -> dict[str, float]:
    """CPU of each kind of thread in the steady part, in microseconds an event, the most first."""
    used = {name: (one - begun.threads.get(name, 0.0)) / events * 1_000_000 for name, one in ended.threads.items()}
    return {name: round(one, 2) for name, one in sorted(used.items(), key=lambda pair: -pair[1]) if one >= 0.1}  # noqa: PLR2004 - a tenth of one
