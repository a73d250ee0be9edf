"""What appending and reading cost in a small log and in a large one: they must cost the same."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from obverse.ports.event_log import Appender, EventLog, Records, Stream
from obverse.ports.runtime import Runtime

EVENT = (
    b'{"messageId":"%016x-%08d","type":"track","event":"%b","userId":"%d","anonymousId":"%016x",'
    b'"timestamp":"2026-%02d-%02dT%02d:%02d:%02d.%03dZ","properties":{"sku":"%05d","price":%d.%02d,"quantity":%d},'
    b'"context":{"library":{"name":"analytics.js","version":"2.11.1"},"ip":"10.%d.%d.%d","locale":"en-GB"}}'
)
NAMES = (b"Product Viewed", b"Product Added", b"Cart Viewed", b"Checkout Started", b"Order Completed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBench:
    """How large the two logs are, and how the cost is taken."""

    small: int = 1_000_000
    large: int = 10_000_000
    batch: int = 500
    """Events of one call of `append`."""

    callers: int = 8
    """Calls that overlap, as those of a collector's requests do."""

    probe: int = 50_000
    """Events over which a cost is taken."""

    rounds: int = 20
    """Costs of which the best counts, for other work on the machine can only make it worse. Each adds a probe."""


OpenLog = Callable[[str, Runtime], Awaitable[EventLog]]
"""Opens the log of a workspace."""


async def bench_log(open_log: OpenLog, runtime: Runtime, bench: LogBench | None = None) -> dict[str, Any]:
    """
    Fill a small log and a large one, and take the costs of both in turns, in microseconds an event.

    What they are in is best removed afterwards: the events stay in it. A ratio of 1.1 says that the large log costs
    10 % more.

    Raises:
        Unreachable: what they are in went away.
    """
    bench = bench or LogBench()
    workspace = f"bench-{runtime.now()}"
    meters: dict[str, _Meter] = {}
    async with AsyncExitStack() as stack:
        for name, size, years in (("small", bench.small, 1), ("large", bench.large, 2)):
            # Years apart, so that they share no table and no index.
            log = await open_log(f"{workspace}-{name}", _Later(runtime, years))
            stack.push_async_callback(log.close)
            # Opened once: a connection costs as much as thousands of events.
            meters[name] = _Meter(log, await log.open_appender(Stream.EVENTS), runtime, bench)
            await meters[name].fill(size)
        for number in range(2 * bench.rounds):
            await meters["small" if number % 2 else "large"].take()
        costs = {name: meter.costs() for name, meter in meters.items()}
    return {
        "benchmark": "log",
        "settings": {name: getattr(bench, name) for name in bench.__slots__}
        | {"bytes_per_event": round(sum(len(one) for one in _events(0, 1000)) / 1000)},
        **costs,
        "ratio": {name: round(costs["large"][name] / costs["small"][name], 3) for name in costs["small"]},
        "peak_memory_mb": _peak_memory(),
    }


class _Later:
    """The runtime that was given, some years on."""

    def __init__(self, runtime: Runtime, years: int) -> None:
        self._runtime = runtime
        self._shift = years * 365 * 86_400 * 1_000_000
        self.random = runtime.random
        self.elapsed = runtime.elapsed
        self.sleep = runtime.sleep
        self.spawn = runtime.spawn

    def now(self) -> int:
        """See `Runtime.now`."""
        return self._runtime.now() + self._shift


class _Meter:
    """Fills one log, and takes what appending to it and reading from it costs."""

    def __init__(self, log: EventLog, appender: Appender, runtime: Runtime, bench: LogBench) -> None:
        self._log = log
        self._appender = appender
        self._runtime = runtime
        self._bench = bench
        self._end = 0
        self._taken: dict[str, list[float]] = {"append_us": [], "read_latest_us": [], "read_earliest_us": []}

    async def fill(self, size: int) -> None:
        """Append until the log has so many events."""
        await self._append(self._batches(size))

    async def take(self) -> None:
        """Take each cost once."""
        # Made before the clock starts.
        batches = iter(list(self._batches(self._bench.probe)))
        self._taken["append_us"].append(await self._timed(self._append(batches)))
        self._taken["read_latest_us"].append(await self._timed(self._read(self._end - self._bench.probe)))
        self._taken["read_earliest_us"].append(await self._timed(self._read(0)))

    def costs(self) -> dict[str, float]:
        """Return the best of each."""
        return {name: round(min(taken), 3) for name, taken in self._taken.items()}

    async def _timed(self, work: Awaitable[int]) -> float:
        begun = self._runtime.elapsed()
        events = await work
        return (self._runtime.elapsed() - begun) / events * 1_000_000

    def _batches(self, events: int) -> Iterator[Records]:
        for first in range(self._end, self._end + events, self._bench.batch):
            count = min(self._bench.batch, self._end + events - first)
            yield Records(count, b"".join(_events(first, count)))

    async def _append(self, batches: Iterator[Records]) -> int:
        total = 0

        async def call() -> None:
            nonlocal total
            for records in batches:
                await self._appender.append(0, records)
                total += records.count

        await asyncio.gather(*(call() for _ in range(self._bench.callers)))
        self._end += total
        return total

    async def _read(self, mark: int) -> int:
        reader = await self._log.open_reader(Stream.EVENTS, {0: mark})
        end = mark
        while end < mark + self._bench.probe:
            for batch in await reader.next():
                if batch.damage:
                    raise RuntimeError(batch.damage)
                end = batch.end
        await reader.close()
        return end - mark


def _events(first: int, count: int) -> Iterator[bytes]:
    """Make events of which no two are alike and few are very different, as those of a shop are."""
    for number in range(first, first + count):
        # A cheap mixing of bits; the dice of the runtime would cost more than the append.
        mixed = (number * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        a, b, c = mixed & 0xFFFF, mixed >> 16 & 0xFFFF, mixed >> 32 & 0xFFFF
        yield EVENT % (
            *(mixed, number, NAMES[a % 5], c % 50_000, mixed ^ 0xFFFFFFFF),
            *(1 + a % 12, 1 + b % 28, c % 24, a % 60, b % 60, c % 1000),
            *(b % 20_000, a % 300, c % 100, 1 + b % 5),
            *(a % 256, b % 256, c % 256),
        )


def _peak_memory() -> float:
    """Return the most megabytes that this process had in memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / (1_048_576 if sys.platform == "darwin" else 1024), 1)
