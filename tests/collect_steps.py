"""Steps of the tests of collect: a collector over a log in memory, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import msgspec

from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import codec
from obverse.core.definitions import Definitions, Source, define
from obverse.core.events import Event, RejectedEvent
from obverse.flows.answers import Answer
from obverse.flows.collect import Collect, Request
from obverse.ports.event_log import Batch, EventLog, Stream
from obverse.ports.runtime import Runtime


def hash_key(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def source(name: str, *, enabled: bool = True) -> Source:
    return Source(name, enabled, frozenset({hash_key(f"key of {name}")}))


DEFINITIONS = define(sources=[source("web"), source("app"), source("old", enabled=False)])
WEB, APP, OLD, UNKNOWN = (hash_key(f"key of {name}") for name in ("web", "app", "old", "nobody"))


class Installation:
    """A collector over a log in memory."""

    def __init__(self, runtime: Runtime, log: EventLog, **options: Any) -> None:
        self.runtime, self.log, self.definitions = runtime, log, DEFINITIONS
        self.collect = Collect(log=log, definitions=self.current, runtime=runtime, hash_key=hash_key, **options)

    def current(self) -> Definitions:
        return self.definitions

    async def take(self, body: Any, *keys: str, call: str | None = None) -> Answer:
        text = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.collect.take(Request(call=call, body=text, key_hashes=keys))

    async def batches(self, stream: Stream) -> list[Batch]:
        """Return what the log holds of a stream."""
        bounds = await self.log.bounds(stream)
        reader = await self.log.open_reader(stream, dict.fromkeys(bounds, 0))
        found: list[Batch] = []
        while sum(batch.count for batch in found) < sum(end for _, end in bounds.values()):
            found += await reader.next()
        await reader.close()
        return found

    async def events(self) -> list[Event]:
        return [
            event
            for one in await self.batches(Stream.EVENTS)
            for event in codec.Decoder(Event).decode(one.count, one.body)
        ]

    async def rejected(self) -> list[RejectedEvent]:
        return [
            event
            for one in await self.batches(Stream.REJECTED)
            for event in codec.Decoder(RejectedEvent).decode(one.count, one.body)
        ]


Test = Callable[[Installation], Awaitable[None]]


def collecting(test: Test, *, partitions: int = 1, opened: bool = True, **options: Any) -> None:
    """Run a test over a collector in virtual time."""

    async def run(runtime: SimulatedRuntime) -> None:
        log = MemoryEventLog(MemoryLogSettings(partitions=partitions), runtime)
        installation = Installation(runtime, log, **options)
        if opened:
            await installation.collect.open()
        await test(installation)

    simulate(0, run)
