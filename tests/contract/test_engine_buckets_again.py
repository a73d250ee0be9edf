"""A router that dies between an edge that is taken back and what follows from it does the rest when it is back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from buckets import Host, Source, quick
from engine_parts import memory_parts
from obverse.adapters._buckets import items
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.adapters._buckets.items import Decided
from obverse.contracts.engine_requests import ADA, LIMITED, REFUSED, TABLET, asked
from obverse.contracts.engine_steps import append, expected, kept, read
from obverse.core.identity import Decision, edge_key
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Appender, EventLog, Records, Stream
from obverse.ports.outcomes import Unreachable

PATIENCE = 60.0
QUICK = quick(4, 17)


class Breaking:
    """A log that takes nothing of what follows from an edge that is taken back, and says so."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.broken = asyncio.Event()

    async def open_appender(self, stream: Stream, *given: Any, **named: Any) -> Appender:
        appender = await self._log.open_appender(stream, *given, **named)
        if stream != Stream.ROUTED:
            return appender
        return cast("Appender", BreakingAppender(appender, self.broken))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class BreakingAppender:
    def __init__(self, appender: Appender, broken: asyncio.Event) -> None:
        self._appender = appender
        self._broken = broken

    async def append(self, partition: int, records: Records) -> int:
        for _, turn, rest in items.turns_of(records.body):
            if any(isinstance(one, Decided) and one.decision.again for one in items.items_of(turn, rest)):
                self._broken.set()
                raise Unreachable("the disk is full")
        return await self._appender.append(partition, records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._appender, name)


async def until_kept(parts: EngineParts, engine: BucketedEngine) -> None:
    work = parts.runtime.spawn("engine", engine.run())
    await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()


async def test_a_router_that_dies_in_between_does_the_rest() -> None:
    parts = replace(await memory_parts(1), definitions=lambda: LIMITED)
    host = Host(parts, buckets=4)
    hosting = parts.runtime.spawn("host", host.run())
    placed = await append(parts, REFUSED, batch=3)
    await until_kept(parts, BucketedEngine(QUICK, host.described(parts), lambda: Source(host)))
    await parts.store.ask_identity(asked(ADA, TABLET))

    log = Breaking(parts.log)
    breaking = replace(host.described(parts), log=cast("EventLog", log))
    work = parts.runtime.spawn("engine", BucketedEngine(QUICK, breaking, lambda: Source(host)).run())
    await asyncio.wait_for(log.broken.wait(), PATIENCE)
    await work.stop()
    apart = replace(LIMITED, identity=replace(LIMITED.identity, apart=frozenset({edge_key(ADA, TABLET)})))
    assert await kept(parts, placed) != expected(placed, apart)

    engine = BucketedEngine(QUICK, host.described(parts), lambda: Source(host))
    work = parts.runtime.spawn("engine", engine.run())
    async with asyncio.timeout(PATIENCE):
        while await kept(parts, placed) != expected(placed, apart):
            await parts.runtime.sleep(0.01)
    await work.stop()
    await hosting.stop()
    decided = await read(parts, Stream.DECISIONS, Decision)
    assert [one.kind for one in decided if one.again] == ["merge", "refuse"]
