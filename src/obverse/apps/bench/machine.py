"""What a benchmark tells of the machine and of the processes that it watches (Linux)."""

from __future__ import annotations

import os
import platform
import re
import timeit
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import asyncpg

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TURNS: Final = 200_000
_HEAP: Final = re.compile(r"-Xmx([0-9]+)([mMgG])")
_MEGABYTES: Final = {"m": 1, "g": 1024}
_SHOWN: Final = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "data_checksums",
    "shared_buffers",
    "wal_compression",
)


class BenchFailed(RuntimeError):
    """A benchmark that could not be done as asked; its figures would mislead."""


def machine() -> dict[str, Any]:
    """Facts that a figure means nothing without."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": next(models, "unknown"),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_loop_ns": round(_loop_ns(), 1),
    }


def _loop_ns() -> float:
    """What a turn of the simplest loop takes: it tells builds of Python apart, and one day's machine from another's."""
    return min(timeit.repeat("s += i", "s = i = 1", number=_TURNS, repeat=5)) / _TURNS * 1e9


async def database_settings(dsn: str) -> dict[str, str]:
    """The server's settings that decide what durable means."""
    connection = await asyncpg.connect(dsn)
    try:
        return {name: await connection.fetchval("select current_setting($1)", name) for name in _SHOWN}
    finally:
        await connection.close()


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    return _tree(pid, _children())


def heaps_mb(pids: Mapping[str, int]) -> dict[str, list[int]]:
    """The largest heaps of the Java of these processes and of their children, as their command lines say."""
    found: dict[str, list[int]] = {}
    for name, pid in pids.items():
        for one in tree(pid):
            try:
                words = Path(f"/proc/{one}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
            except OSError:
                continue
            said = [match for word in words if (match := _HEAP.fullmatch(word))]
            if said:
                found.setdefault(name, []).append(int(said[-1][1]) * _MEGABYTES[said[-1][2].lower()])
    return found


def _tree(pid: int, children: Mapping[int, list[int]]) -> list[int]:
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def _children() -> dict[int, list[int]]:
    """The children of every process of this machine."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    return children


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes, and of their children that have ended."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes; what they share is counted once (proportional set size)."""
    total = 0
    for pid in pids:
        for line in _lines(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


@dataclass(slots=True)
class Watch:
    """CPU seconds and peak memory of named processes and their descendants, while it is looked."""

    pids: Mapping[str, int]
    _begun: dict[str, float] = field(default_factory=dict)
    _peaks: dict[str, int] = field(default_factory=dict)
    peak: int = 0
    """Most of all together at one look, in bytes."""
    looks: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """Seconds since the first look, and the bytes of each then."""
    _first: float = 0.0

    def look(self) -> None:
        """Look once; every ten seconds is often enough, for the kernel adds up the pages of every process."""
        now, together, sizes, children = perf_counter(), 0, dict[str, int](), _children()
        self._first = self._first or now
        for name, pid in self.pids.items():
            pids = _of(name, pid, children)
            self._begun.setdefault(name, cpu_seconds(pids))
            size = memory_bytes(pids)
            together += size
            sizes[name] = size
            self._peaks[name] = max(size, self._peaks.get(name, 0))
        self.peak = max(self.peak, together)
        self.looks.append((now - self._first, sizes))

    def looks_between(self, began: float, ended: float) -> list[tuple[float, dict[str, int]]]:
        """Those between two moments by `perf_counter` and the last before; seconds are since the first of these."""
        looks = [look for look in self.looks if look[0] <= ended - self._first] or self.looks[:1]
        first = max((place for place, look in enumerate(looks) if look[0] <= began - self._first), default=0)
        return [(at - looks[first][0], sizes) for at, sizes in looks[first:]]

    def spent(self) -> dict[str, float]:
        """CPU seconds of each since the first look."""
        children = _children()
        return {
            name: round(cpu_seconds(_of(name, pid, children)) - self._begun.get(name, 0.0), 2)
            for name, pid in self.pids.items()
        }

    def report(self) -> dict[str, dict[str, Any]]:
        """What each has cost since the first look."""
        return {
            name: {
                "pid": self.pids[name],
                "cpu_seconds": seconds,
                "peak_memory_bytes": self._peaks.get(name, 0),
            }
            for name, seconds in self.spent().items()
        }


def _of(name: str, pid: int, children: Mapping[int, list[int]]) -> list[int]:
    # The supervisor and the generator have children that are counted by their own names.
    return [pid] if name in {"generator", "supervisor"} else _tree(pid, children)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of them does not exceed; not a number if there are none."""
    return _at(sorted(values), share)


def spread(seconds: Iterable[float]) -> dict[str, float]:
    """What half, 99 % and 99.9 % of these do not exceed, in milliseconds."""
    ordered = sorted(seconds)
    shares = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))
    return {name: round(_at(ordered, share) * 1000, 2) for name, share in shares}


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


_BOUNDS: Final = [0.1 * 1.1**place for place in range(200)]


def histogram(seconds: Iterable[float]) -> dict[str, int]:
    """Raw counts by upper bound in milliseconds, each bound a tenth above the last."""
    counts = Counter(bisect_left(_BOUNDS, value * 1000) for value in seconds)
    return {f"{_BOUNDS[place]:.2f}": counts[place] for place in sorted(counts)}
