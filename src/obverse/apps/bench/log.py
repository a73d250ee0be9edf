"""What appending and reading cost in a small log and in a large one: they must cost the same."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.ports.event_log import EventLog, Records, Stream
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

    rounds: int = 12
    """Costs of which the best counts: other work on the machine can only make it worse."""


async def bench_log(dsn: str, runtime: Runtime, bench: LogBench | None = None) -> dict[str, Any]:
    """
    Fill a log to the small size and then to the large one, and take the costs at both.

    The database must have our schema, and is best one of its own: the events stay in it, in a workspace of
    their own. A ratio of 1.1 says that the large log costs 10 % more.

    Raises:
        Unreachable: the database went away.
    """
    bench = bench or LogBench()
    settings = PostgresLogSettings(dsn=dsn, workspace=f"bench-{runtime.now()}")
    log = await open_event_log(settings, runtime)
    try:
        meter = _Meter(log, runtime, bench)
        small = await meter.costs_at(bench.small)
        large = await meter.costs_at(bench.large)
    finally:
        await log.close()
    return {
        "benchmark": "log",
        "settings": {name: getattr(bench, name) for name in bench.__slots__}
        | {name: getattr(settings, name) for name in ("linger_ms", "group_bytes", "segment_hours", "partitions")}
        | {"bytes_per_event": round(sum(len(one) for one in _events(0, 1000)) / 1000)},
        "small": small,
        "large": large,
        "ratio": {name: round(large[name] / small[name], 3) for name in small},
        "peak_memory_mb": _peak_memory(),
    }


class _Meter:
    """Fills one log and takes the costs on the way."""

    def __init__(self, log: EventLog, runtime: Runtime, bench: LogBench) -> None:
        self._log = log
        self._runtime = runtime
        self._bench = bench
        self._end = 0

    async def costs_at(self, size: int) -> dict[str, float]:
        """Return microseconds an event, once the log has so many events."""
        await self._append(self._batches(size - self._end))
        appends, latest, earliest = [], [], []
        for _ in range(self._bench.rounds):
            # Made before the clock starts.
            batches = list(self._batches(self._bench.probe))
            appends.append(await self._timed(lambda batches=batches: self._append(iter(batches))))  # type: ignore[misc]
            mark = self._end - self._bench.probe
            latest.append(await self._timed(lambda mark=mark: self._read(mark)))  # type: ignore[misc]
            earliest.append(await self._timed(lambda: self._read(0)))
        return {
            "append_us": round(min(appends), 3),
            "read_latest_us": round(min(latest), 3),
            "read_earliest_us": round(min(earliest), 3),
        }

    async def _timed(self, work: Callable[[], Awaitable[None]]) -> float:
        begun = self._runtime.elapsed()
        await work()
        return (self._runtime.elapsed() - begun) / self._bench.probe * 1_000_000

    def _batches(self, events: int) -> Iterator[Records]:
        for first in range(self._end, self._end + events, self._bench.batch):
            count = min(self._bench.batch, self._end + events - first)
            yield Records(count, b"".join(_events(first, count)))

    async def _append(self, batches: Iterator[Records]) -> None:
        appender = await self._log.open_appender(Stream.EVENTS)
        total = 0

        async def call() -> None:
            nonlocal total
            for records in batches:
                await appender.append(0, records)
                total += records.count

        await asyncio.gather(*(call() for _ in range(self._bench.callers)))
        await appender.close()
        self._end += total

    async def _read(self, mark: int) -> None:
        reader = await self._log.open_reader(Stream.EVENTS, {0: mark})
        end = mark
        while end < mark + self._bench.probe:
            for batch in await reader.next():
                if batch.damage:
                    raise RuntimeError(batch.damage)
                end = batch.end
        await reader.close()


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
