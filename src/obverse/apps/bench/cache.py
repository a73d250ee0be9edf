"""`obverse bench cache`: profiles written to Redis, and read at a constant rate, each on its own."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import tempfile
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple

from obverse.adapters.redis import RedisCacheSettings, open_profile_cache
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.fold import introduced
from obverse.apps.bench.machine import cpu_seconds, machine, spread
from obverse.core.identity import id_text
from obverse.core.profiles import pack
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, ProfileCache
from obverse.sandboxes.redis import RedisSandbox

_TURN: Final = 1000
"""Profiles of one call, as of a turn of the fold."""
_TICK: Final = 0.001
_PATIENCE: Final = 60.0
"""Seconds within which all must be answered."""
_LATE: Final = 0.05
"""Seconds by which the generator may be late."""


class _Row(NamedTuple):
    id: bytes
    identifiers: tuple[str, ...]
    packed: bytes


def _packed(row: _Row) -> bytes:
    return row.packed


async def bench_cache(*, profiles: int, rate: int, seconds: int, beside: int, url: str = "") -> dict[str, Any]:
    """
    Write so many profiles, then again for as long as asked, then read at the rate, without and with writes beside.

    Raises:
        SandboxLacking: there is no Redis to start.
        Unreachable, AccessRefused: the one that was named does not answer, or not us.
    """
    rows = _rows(profiles)
    runtime = open_runtime()
    async with _server(url) as (where, pid):
        settings = RedisCacheSettings(url=where, prefix=f"bench-{runtime.now()}")
        async with AsyncExitStack() as stack:
            writing, reading = await open_profile_cache(settings, runtime), await open_profile_cache(settings, runtime)
            stack.push_async_callback(writing.close)
            stack.push_async_callback(reading.close)
            writer = await writing.open_writer(_packed)
            await reading.get_all([rows[0].identifiers[0]])  # or it is told why not
            info = _Info(where)
            stack.push_async_callback(info.remove, settings.prefix)
            begun = await info.memory()
            gc.collect()
            gc.freeze()
            first = await _write(writer, rows, pid, seconds=0)
            bytes_each = round((await info.memory() - begun) / profiles)
            again = await _write(writer, rows, pid, seconds=seconds)
            expiring = await info.expiring()
            await writer.settle(rows)
            # It hears of it a moment later, and until then the reads would not be alone.
            await info.until_expiring(expiring + sum(1 + len(one.identifiers) for one in rows))
            alone = await _read(reading, rows, rate, seconds)
            stop = asyncio.Event()
            writes = asyncio.ensure_future(_write_beside(writer, rows, beside, stop))
            mixed = await _read(reading, rows, rate, seconds)
            stop.set()
            await writes
            facts = await info.facts()
    return {
        "benchmark": "cache",
        "settings": {"profiles": profiles, "rate": rate, "seconds": seconds, "beside": beside, "turn": _TURN}
        | {
            "packed_bytes": _mean([len(row.packed) for row in rows]),
            "identifiers": _mean([len(row.identifiers) for row in rows]),
        }
        | {name: getattr(settings, name) for name in ("batch_profiles", "batch_bytes", "lease_ms", "expiry_seconds")},
        "machine": machine(),
        "load_average": round(os.getloadavg()[0], 2),
        "redis": facts,
        "write_new": first,
        "write_again": again,
        "redis_bytes_per_profile": bytes_each,
        "read": alone.figures(),
        "read_while_written": mixed.figures(),
        "peak_memory_mb": {
            "this process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "redis": facts["peak_memory_mb"],
        },
        "flaws": [*alone.flaws("read"), *mixed.flaws("read while written")],
    }


def _rows(profiles: int) -> list[_Row]:
    people = introduced(profiles)
    return [_Row(one.id, tuple(one.identifiers), pack(one, people.definitions)) for one in people.profiles.values()]


def _mean(numbers: Sequence[int]) -> int:
    return round(sum(numbers) / len(numbers))


@asynccontextmanager
async def _server(url: str) -> AsyncIterator[tuple[str, int]]:
    """Where Redis is, and its process if it is ours."""
    if url:
        yield url, 0
        return
    with tempfile.TemporaryDirectory(prefix="obverse-") as folder:
        sandbox = RedisSandbox(Path(folder))
        await sandbox.start()
        try:
            yield sandbox.url, sandbox.pid
        finally:
            sandbox.kill()


class _Info:
    """What Redis tells of itself, asked around the adapter."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis  # noqa: PLC0415 - only where the extra is installed

        self._client: Any = Redis.from_url(url)

    async def memory(self) -> int:
        return int((await self._client.info("memory"))["used_memory"])

    async def expiring(self) -> int:
        """How many keys expire."""
        return sum(int(base["expires"]) for base in (await self._client.info("keyspace")).values())

    async def until_expiring(self, keys: int) -> None:
        async with asyncio.timeout(_PATIENCE):
            while await self.expiring() < keys:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.05)

    async def facts(self) -> dict[str, Any]:
        told = {**await self._client.info("server"), **await self._client.info("memory")}
        return {
            "server": f"{told.get('server_name', 'redis')} {told.get('valkey_version', told['redis_version'])}",
            "maxmemory_policy": told["maxmemory_policy"],
            "peak_memory_mb": round(told["used_memory_peak"] / 2**20, 1),
        }

    async def remove(self, prefix: str) -> None:
        keys = [key async for key in self._client.scan_iter(f"{prefix}:*", count=1000)]
        for at in range(0, len(keys), 1000):
            await self._client.unlink(*keys[at : at + 1000])
        await self._client.aclose()


async def _write(writer: CacheWriter[_Row], rows: Sequence[_Row], pid: int, *, seconds: int) -> dict[str, Any]:
    """Write everything once, and again until the time is over."""
    took, written = array("d"), 0
    began, cpu, redis = perf_counter(), process_time(), cpu_seconds([pid])
    while not written or perf_counter() - began < seconds:
        for at in range(0, len(rows), _TURN):
            begun = perf_counter()
            await writer.publish(rows[at : at + _TURN])
            took.append(perf_counter() - begun)
            written += len(rows[at : at + _TURN])
    lasted = perf_counter() - began
    return {
        "profiles": written,
        "profiles_per_second": round(written / lasted),
        "turn": spread(took),
        "cpu_us_per_profile": {
            "this process": round((process_time() - cpu) / written * 1e6, 2),
            "redis": round((cpu_seconds([pid]) - redis) / written * 1e6, 2) if pid else None,
        },
    }


async def _write_beside(writer: CacheWriter[_Row], rows: Sequence[_Row], rate: int, stop: asyncio.Event) -> None:
    """Write at a rate, a hundred times a second, until told to stop."""
    each, at = max(1, rate // 100), 0
    while rate and not stop.is_set():
        await writer.publish(rows[at : at + each])
        at = (at + each) % len(rows)
        await asyncio.sleep(0.01)


@dataclass(slots=True)
class _Reads:
    rate: int
    took: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from the moment a read was due to its answer."""
    missing: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By what was said."""
    late: float = 0.0
    """Seconds by which the generator was late at most."""
    cpu: float = 0.0
    lasted: float = 0.0

    def figures(self) -> dict[str, Any]:
        return {
            "reads": len(self.took),
            "per_second": round(len(self.took) / self.lasted),
            **spread(self.took),
            "missing": self.missing,
            "failed": dict(self.failed),
            "generator_late_ms": round(self.late * 1000, 2),
            "cpu_us_per_read": round(self.cpu / max(1, len(self.took)) * 1e6, 1),
        }

    def flaws(self, name: str) -> list[str]:
        flaws = []
        if self.missing or self.failed:
            failed = self.failed.total()
            flaws.append(f"{name}: {self.missing} profiles were not found, and {failed} reads not answered")
        if self.late > _LATE:
            flaws.append(f"{name}: the generator was {self.late * 1000:.0f} ms late once: the machine is busy")
        return flaws


async def _read(cache: ProfileCache, rows: Sequence[_Row], rate: int, seconds: int) -> _Reads:
    """Read at a rate, whatever the answers do; each by an identifier, or in one case of eight by its own id."""
    reads, count, dice = _Reads(rate), rate * seconds, Random(7)  # noqa: S311 - a load that can be repeated
    under_way = set[asyncio.Task[None]]()

    async def read(name: str, due: float) -> None:
        try:
            found = await cache.get(name)
        except Unreachable as error:
            reads.failed[str(error)] += 1
            return
        reads.took.append(perf_counter() - due)
        reads.missing += found is None

    began, cpu, sent = perf_counter(), process_time(), 0
    while sent < count:
        now = perf_counter() - began
        due = min(int(now * rate) + 1, count)
        reads.late = max(reads.late, now - sent / rate)
        for number in range(sent, due):
            row = rows[dice.randrange(len(rows))]
            name = f"id:{id_text(row.id)}" if number % 8 == 0 else row.identifiers[number % len(row.identifiers)]
            task = asyncio.ensure_future(read(name, began + number / rate))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        sent = due
        await asyncio.sleep(_TICK)
    async with asyncio.timeout(_PATIENCE):
        while under_way:
            await asyncio.wait(tuple(under_way))
    reads.lasted, reads.cpu = perf_counter() - began, process_time() - cpu
    return reads
