"""`obverse bench metrics`: what metrics cost a request and an event; the same code with and without them in turns."""

from __future__ import annotations

import asyncio
import gc
import timeit
from array import array
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from statistics import median, quantiles
from time import process_time
from typing import Any, Final, cast

import prometheus_client

from obverse.adapters.definition_files import read_folder
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.bodies import bodies
from obverse.apps.bench.doors import PATH
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed, machine
from obverse.apps.bench.trial import DEFINITIONS
from obverse.apps.collector import CollectorApp
from obverse.apps.metrics import FlowMetrics, exposition, new_registry
from obverse.core.definitions import Source, define
from obverse.core.durations import Durations
from obverse.flows.collect import Collect
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import EventLog, Records, Stream
from obverse.ports.runtime import Runtime
from obverse.wiring import hash_key, trait_kinds

MOST: Final = 1.03
"""How much more all of it may take with metrics."""
_AT_ONCE: Final = 50
"""Requests on their way together."""
_KEY: Final = "key-of-the-benchmark"
_NOTED: Final = (
    (prometheus_client.Counter, "inc"),
    (prometheus_client.Histogram, "observe"),
    (Durations, "note"),
)
"""What metrics do while others work; all else is done when somebody asks."""
_LOOKS: Final = {"request": 4, "turn": 3}
"""Looks at the clock for their sake: in a request to the collector, in a turn of the fold."""
_TALLIES: Final = {"request": 3, "turn": 4}
"""Numbers that are added to."""
_TURNS: Final = 100_000
_NO_CROWD: Final = 60.0
"""Seconds that a request may wait: here nobody is to be turned away."""
_LOOK: Final = 0.001
_AUTHORIZATION: Final = b"Basic " + b64encode(f"{_KEY}:".encode())

_Message = MutableMapping[str, Any]


@contextmanager
def without_metrics() -> Iterator[None]:
    """Have nothing noted while the block runs, in all of this process."""
    before = [(one, name, getattr(one, name)) for one, name in _NOTED]
    for one, name in _NOTED:
        setattr(one, name, _nothing)
    try:
        yield
    finally:
        for one, name, noting in before:
            setattr(one, name, noting)


def _nothing(*_: object, **__: object) -> None:
    """As quick as a call can be."""


async def bench_metrics(*, rounds: int, requests: int, batch: int) -> dict[str, Any]:
    """
    Have a collector answer so many requests, and a worker fold their events, with and without metrics in turns.

    Both are our own code over adapters in memory, without a server, a socket or a database around it: so the share that
    metrics have is larger here than in an installation.

    Raises:
        BenchFailed: a request was not answered 200.
    """
    runtime = open_runtime()
    log = await open_event_log(MemoryLogSettings(partitions=1), runtime)
    apart = _apart(runtime)
    collecting = await _collecting(log, runtime, rounds=rounds, requests=requests, batch=batch)
    folding, turns, events = await _folding(log, runtime, rounds=rounds)
    told_request = collecting.told("request", apart["request"])
    told_event = folding.told("event", {what: cost * turns / events for what, cost in apart["turn"].items()})
    flaws = [
        f"{who} takes {told['ratio']} times as long with metrics, {MOST} are allowed"
        for who, told in (("the collector", told_request), ("the worker", told_event))
        if told["ratio_lower_quartile"] > MOST or told["ratio_counted"] > MOST
    ]
    return {
        "rounds": rounds,
        "requests": requests,
        "batch": batch,
        "machine": machine(),
        "garbage_collector": {"enabled": gc.isenabled(), "threshold": gc.get_threshold()},
        "collector": told_request,
        "worker": {**told_event, "events_per_turn": round(events / turns, 1)},
        "flaws": flaws,
    }


@dataclass(slots=True)
class _Costs:
    """CPU seconds of each round, divided by what was done in it."""

    with_: array[float] = field(default_factory=lambda: array("d"))
    without: array[float] = field(default_factory=lambda: array("d"))

    async def pair(self, work: Callable[[], Awaitable[int]], *, first: bool) -> None:
        """Do the work with and without metrics, in this order or in the other."""
        for silent in (not first, first):
            began = process_time()
            if silent:
                with without_metrics():
                    done = await work()
            else:
                done = await work()
            (self.without if silent else self.with_).append((process_time() - began) / done)

    def told(self, of: str, apart: Mapping[str, float]) -> dict[str, float]:
        """
        What one of these costs.

        Looks at the clock and tallies cannot be left out of the code, so they are taken off what it costs without.
        """
        without = [one - apart["beside"] for one in self.without]
        ratios = [one / other for one, other in zip(self.with_, without, strict=True)]
        least, _, most = quantiles(ratios, n=4)
        return {
            f"us_per_{of}_with": round(median(self.with_) * 1e6, 3),
            f"us_per_{of}_without": round(median(without) * 1e6, 3),
            f"us_per_{of}_counted": round(sum(apart.values()) * 1e6, 3),
            "ratio": round(median(ratios), 4),
            "ratio_counted": round(1 + sum(apart.values()) / median(without), 4),
            "ratio_lower_quartile": round(least, 4),
            "ratio_upper_quartile": round(most, 4),
        }


def _apart(runtime: Runtime) -> Mapping[str, Mapping[str, float]]:
    """What a request and a turn of the fold do for metrics, each thing timed by itself: seconds."""
    tally, durations = Counter[str](), Durations()

    def add() -> None:
        tally["accepted"] += 20

    def seconds(work: Callable[[], object]) -> float:
        return min(timeit.repeat(work, number=_TURNS, repeat=5)) / _TURNS

    look, added, note = seconds(runtime.elapsed), seconds(add), seconds(partial(durations.note, 0.01))
    return {
        what: {"noting": 2 * note, "beside": count * look + _TALLIES[what] * added} for what, count in _LOOKS.items()
    }


async def _collecting(log: EventLog, runtime: Runtime, *, rounds: int, requests: int, batch: int) -> _Costs:
    source = Source("bench", True, frozenset({hash_key(_KEY)}))  # noqa: FBT003 - that it takes events
    definitions = define(sources=[source])
    collect = Collect(
        log=log, definitions=lambda: definitions, runtime=runtime, hash_key=hash_key, queue_seconds=_NO_CROWD
    )
    await collect.share.open()
    registry = new_registry("collector")
    registry.register(FlowMetrics({"collect": collect.vitals}))
    # Nobody calls back.
    app = CollectorApp(collect, cast("Any", None), runtime=runtime, registry=registry, hash_key=hash_key)
    made, costs = bodies(Load(batch=batch, people=1000, users="sessions"), b"metrics"), _Costs()
    await _ask_all(app, list(islice(made, _AT_ONCE)))  # what is done once is not measured
    for number in range(rounds):
        # Made before, for what the generator costs is none of theirs; the same for both, apart from message ids.
        both = [list(islice(made, requests)) for _ in range(2)]
        await costs.pair(partial(_ask_next, app, both), first=number % 2 == 0)
    exposition(registry)
    await collect.close()
    return costs


async def _ask_next(app: CollectorApp, sent: list[list[bytes]]) -> int:
    return await _ask_all(app, sent.pop())


async def _ask_all(app: CollectorApp, sent: Sequence[bytes]) -> int:
    for first in range(0, len(sent), _AT_ONCE):
        await asyncio.gather(*(_ask(app, body) for body in sent[first : first + _AT_ONCE]))
    return len(sent)


async def _ask(app: CollectorApp, body: bytes) -> None:
    scope: _Message = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"authorization", _AUTHORIZATION), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        if message.get("status", 200) != 200:  # noqa: PLR2004 - HTTP's
            raise BenchFailed(f"the collector answered {message['status']}")

    await app(scope, receive, send)


async def _folding(collected: EventLog, runtime: Runtime, *, rounds: int) -> tuple[_Costs, int, int]:
    """What folding the events that were collected costs, in how many turns of the fold, and how many they were."""
    definitions, costs = read_folder(DEFINITIONS, trait_kinds()), _Costs()
    parts = EngineParts(
        workspace="main",
        log=await open_event_log(MemoryLogSettings(partitions=1), runtime),
        store=await open_profile_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=lambda: definitions,
        runtime=runtime,
    )
    engine, appender = await open_engine(EmbeddedSettings(), parts), await parts.log.open_appender(Stream.EVENTS)
    held = await _held(collected)
    each = len(held) // (2 * rounds)
    chunks = (held[first : first + each] for first in range(0, 2 * rounds * each, each))

    async def fold() -> int:
        some = next(chunks)
        for one in some:
            reached = await appender.append(0, one) + one.count
        while engine.progress.folded.get(0, 0) < reached:  # noqa: ASYNC110 - an engine sets no event
            await asyncio.sleep(_LOOK)
        return sum(one.count for one in some)

    work = runtime.spawn("engine", engine.run())
    try:
        for number in range(rounds):
            await costs.pair(fold, first=number % 2 == 0)
    finally:
        await work.stop()
    # Of the turns without metrics nothing was noted, and they were as many.
    return costs, 2 * engine.progress.folding.counts[-1], engine.progress.events


async def _held(log: EventLog) -> list[Records]:
    """What a log has, as it was appended."""
    ((_, end),) = (await log.bounds(Stream.EVENTS)).values()
    reader, found, reached = await log.open_reader(Stream.EVENTS, {0: 0}), list[Records](), 0
    while reached < end:
        for batch in await reader.next():
            found.append(Records(batch.count, batch.body))
            reached = batch.end
    await reader.close()
    return found
