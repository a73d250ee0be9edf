"""The fold in buckets passes the suite of engines, whatever its host does to it."""

from __future__ import annotations

from random import Random

from buckets import Host, Source, quick
from engine_parts import SettableRuntime, memory_parts
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.contracts.engine import EngineContract
from obverse.ports.engine import Engine, EngineParts

QUICK = quick(5, 13, page_people=3, profiles_in_memory=5, look_seconds=0)


class TestBuckets(EngineContract):
    keeps_what_was_stored = True

    def dice(self) -> Random | None:
        return None

    async def open_parts(self, partitions: int) -> EngineParts:
        return await memory_parts(partitions)

    def set_clock(self, parts: EngineParts, now: int) -> None:
        assert isinstance(parts.runtime, SettableRuntime)
        parts.runtime.set(now)

    async def open_engine(self, parts: EngineParts) -> Engine:
        hosts = parts.runtime.__dict__.setdefault("hosts", {})
        host = hosts.get("host")
        if host is None:
            host = hosts["host"] = Host(parts, buckets=5, dice=self.dice())
            hosts["work"] = parts.runtime.spawn("host", host.run())
        return BucketedEngine(QUICK, host.described(parts), lambda: Source(host, self.dice()))
