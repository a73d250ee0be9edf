"""Where the time goes in the machines of buckets: the same slices once more, in this process and over plain memory."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any, Final

import obverse
from obverse.adapters._buckets import items
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters._buckets.machine import BucketMachine, wall_clock
from obverse.ports.event_log import EventLog, Stream

MOST: Final = 100_000
"""Items that are folded, and as many more as were routed with the last of them."""
_AT_ONCE: Final = 20
"""Slices between two looks at what else there is to do."""
_FUNCTIONS: Final = 25
_OURS: Final = ("/core/", "/adapters/_buckets/")
_ROOT: Final = str(Path(obverse.__file__).parent)


class _MemoryShelf:
    """See `Shelf`."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}
        self.get = self._kept.get
        self.put = self._kept.__setitem__

    def remove(self, key: bytes) -> None:
        """See `Shelf.remove`."""
        self._kept.pop(key, None)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """See `Shelf.scan`."""
        return list(self._kept.items())


class _Buckets:
    """The machines of all buckets; what they send each other comes at once."""

    def __init__(self) -> None:
        self._read = Reading()
        self._machines: dict[int, BucketMachine] = {}

    def take(self, bucket: int, record: bytes) -> None:
        """Have a bucket do what a record asks, and all others what follows from it."""
        waiting = deque([(bucket, record)])
        while waiting:
            to, what = waiting.popleft()
            machine = self._machines.get(to)
            if machine is None:
                machine = self._machines[to] = BucketMachine(
                    to, _MemoryShelf(), workspace="main", read=self._read, now=wall_clock
                )
            waiting.extend(machine.take(what).moves)


@dataclass(frozen=True, slots=True)
class _Routed:
    """What was routed, cut into slices."""

    before: Sequence[tuple[int, bytes]]
    """What makes people known."""
    slices: Sequence[tuple[int, bytes]]
    count: int
    """Items of `slices`."""

    async def fold(self, profile: cProfile.Profile | None = None) -> float:
        """Seconds of CPU that it takes to fold the slices."""
        buckets, took = _Buckets(), 0.0
        for bucket, record in self.before:
            buckets.take(bucket, record)
        for at in range(0, len(self.slices), _AT_ONCE):
            await asyncio.sleep(0)  # whoever is told to stop, stops
            begun = process_time()
            if profile is not None:
                profile.enable()
            for bucket, record in self.slices[at : at + _AT_ONCE]:
                buckets.take(bucket, record)
            if profile is not None:
                profile.disable()
            took += process_time() - begun
        return took


async def profiled(log: EventLog, numbers: range) -> dict[str, Any]:
    """Fold twice what was routed, of items with these numbers: once to time it, once to see what it consists of."""
    routed, profile = await _routed(log, numbers), cProfile.Profile()
    alone = await routed.fold()
    await routed.fold(profile)
    return {
        "items": routed.count,
        "us_per_item": round(alone / routed.count * 1_000_000, 1),
        **_functions(profile, routed.count),
    }


async def _routed(log: EventLog, numbers: range) -> _Routed:
    reader = await log.open_reader(Stream.ROUTED, {0: 0})
    before: list[tuple[int, bytes]] = []
    slices: list[tuple[int, bytes]] = []
    count, end = 0, 0
    while end < numbers.stop and count < MOST:
        for batch in await reader.next():
            heads = [turn for _, turn, _ in items.turns_of(batch.body)]
            end = heads[-1].end
            known = end <= numbers.start
            (before if known else slices).extend(items.slices_of(batch.body))
            count += 0 if known else sum(turn.count for turn in heads)
    await reader.close()
    return _Routed(before, slices, count)


def _functions(profile: cProfile.Profile, count: int) -> dict[str, list[dict[str, Any]]]:
    """
    Those that take the most by themselves, and those of ours that take the most with all that they call.

    The profiler makes all of them slower, the short ones most.
    """
    stats: Any = pstats.Stats(profile)
    whole = stats.total_tt
    found = [
        {
            "function": f"{path.removeprefix(_ROOT)}:{name}" if path.startswith("/") else name,
            "own_percent": round(own / whole * 100, 1),
            "with_callees_percent": round(together / whole * 100, 1),
            "calls_per_item": round(calls / count, 2),
        }
        for (path, _, name), (_, calls, own, together, _) in stats.stats.items()
    ]
    ours = [one for one in found if one["function"].startswith(_OURS)]
    return {
        "functions": sorted(found, key=lambda one: -one["own_percent"])[:_FUNCTIONS],
        "parts": sorted(ours, key=lambda one: -one["with_callees_percent"])[:_FUNCTIONS],
    }
