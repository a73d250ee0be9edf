"""What the engine reads: events in a log of its own in Kafka, and what a router has buckets do for them."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from obverse.adapters._buckets.items import Item, Tick, items_of, turns_of
from obverse.adapters.definition_files import read_files
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.apps.bench.engine.asked import EMBEDDED
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.trial import DEFINITIONS
from obverse.core.documents import portable
from obverse.core.documents.checking import Checks, check
from obverse.core.events import Event
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Appender, EventLog, Records, Stream
from obverse.ports.runtime import Runtime, Work
from obverse.wiring import find, trait_kinds
from obverse.wiring.finding import settings_of, trait_kind_places

_AT_ONCE: Final = 16
"""Appends on their way together."""
_LOOK: Final = 0.02
_KEEP: Final = 10.0
"""Seconds between two ticks of the router with which all is kept; else how busy the machine is while the log is filled
would say how much the engine has to do."""
PATIENCE: Final = 600.0
"""Seconds within which all must be routed."""


@dataclass(slots=True)
class Turns:
    """What was routed at once, and when it was given to the log."""

    begun: list[float] = field(default_factory=list)
    """By `perf_counter`."""
    first: list[int] = field(default_factory=list)
    """Number of the first item of each."""
    end: int = 0
    """Number of the item that comes next."""
    is_quiet: bool = False
    """Whether the latest is a tick with which everything is kept: nothing follows it before more is routed."""

    def at(self, number: int) -> float:
        """When an item was given to the log."""
        return self.begun[bisect_right(self.first, number) - 1]


class NotedLog:
    """A log; when something is routed into it is noted."""

    def __init__(self, log: EventLog, turns: Turns) -> None:
        self._log = log
        self._turns = turns
        self.partitions = log.partitions
        self.open_reader = log.open_reader
        self.bounds = log.bounds
        self.begin = log.begin
        self.trim = log.trim
        self.close = log.close

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        appender = await self._log.open_appender(stream, partitions, most=most)
        return _NotedAppender(appender, self._turns) if stream is Stream.ROUTED else appender


class _NotedAppender:
    def __init__(self, appender: Appender, turns: Turns) -> None:
        self._appender = appender
        self._turns = turns
        self.close = appender.close

    @property
    def partitions(self) -> Sequence[int]:
        """See `Appender.partitions`."""
        return self._appender.partitions

    async def append(self, partition: int, records: Records) -> int:
        """See `Appender.append`."""
        turns, began = self._turns, perf_counter()
        ((_, turn, rest),) = turns_of(records.body)
        turns.begun.append(began)
        turns.first.append(turn.first)
        at = await self._appender.append(partition, records)
        turns.end, turns.is_quiet = turn.end, turn.events_end < 0 and any(map(_keeps, items_of(turn, rest)))
        return at


def _keeps(item: Item) -> bool:
    return isinstance(item, Tick) and item.keep > 0


@dataclass(slots=True)
class Filled:
    """A log, and how far it was filled."""

    log: EventLog
    appender: Appender
    runtime: Runtime
    turns: Turns = field(default_factory=Turns)
    appended: int = 0
    """Events."""
    router: Any = None
    """The engine's half that routes, if it has one."""
    routed: Any = None
    """Its progress, once it runs."""

    works: list[Work] = field(default_factory=list)

    async def close(self) -> None:
        """Route no more."""
        for work in self.works:
            await work.stop()

    async def fill(self, batches: Iterable[Sequence[Event]]) -> None:
        """Append all of these."""
        left = iter(batches)
        await asyncio.gather(*(self._append_each(left) for _ in range(_AT_ONCE)))

    async def _append_each(self, batches: Iterable[Sequence[Event]]) -> None:
        for batch in batches:
            for records in Records.of(batch):
                await self.append(records)

    async def append(self, records: Records) -> None:
        """Append some events, made ready before."""
        await self.appender.append(0, records)
        self.appended += records.count

    async def route(self) -> None:
        """Have the router begin, if there is one; wait until everything is routed."""
        if self.router is not None:
            self.routed = self.router.progress
            self.works.append(self.runtime.spawn("route", self.router.run()))
            await self.until_routed()

    async def until_routed(self) -> None:
        """
        Wait until everything is routed, and the tick with which it is kept.

        Raises:
            BenchFailed: it takes too long.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while self.routed.events < self.appended or not self.turns.is_quiet:  # noqa: ASYNC110 - as the engine tells it
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise BenchFailed(f"after {PATIENCE:.0f} s {self.routed.events} of {self.appended} are routed") from None


@asynccontextmanager
async def filled_by(
    engine: str, own: Mapping[str, Any], table: Mapping[str, Any], runtime: Runtime
) -> AsyncIterator[Filled]:
    """
    Have an empty log in Kafka, and the router of an engine over it, if it has one, while the block runs.

    `own` is the engine's table of settings, and `table` that of `[event_log.kafka]`. The router decides identity as in
    a worker of its own; in place of the store it has an empty one in memory.
    """
    async with AsyncExitStack() as stack:
        opener = find("event_log", "kafka")
        log: EventLog = await opener(settings_of(opener, table, "event_log.kafka"), runtime)
        stack.push_async_callback(log.close)
        filled = Filled(log, await log.open_appender(Stream.EVENTS), runtime)
        stack.push_async_callback(filled.close)
        if engine != EMBEDDED:
            opener = find("engine", engine)
            told = {"checkpoint_seconds": _KEEP, **own, "kafka": dict(table)}
            settings = settings_of(opener, told, f"engine.{engine}")
            filled.router = await opener(settings, await parts_over(NotedLog(log, filled.turns), runtime))
        yield filled


async def parts_over(log: EventLog, runtime: Runtime) -> EngineParts:
    """The parts of a router: definitions as those of the other benchmarks, and memory in place of what is kept."""
    files = read_files([DEFINITIONS], DEFINITIONS)
    checked = check(files.documents, Checks(trait_kinds()))
    definitions = checked.definitions
    if definitions is None:
        raise BenchFailed("the benchmark's own definitions cannot be used")
    documents = portable.write(checked.documents.values(), trait_kind_places())
    return EngineParts(
        workspace="main",
        log=log,
        store=await open_profile_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=lambda: definitions,
        documents=lambda _: documents,
        runtime=runtime,
        keeps=False,
    )
