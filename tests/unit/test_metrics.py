"""What a scraper reads of a worker: what each flow did, how long it took, what waits for it, and what fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import pytest
import pytest_asyncio

from asgi import App, ask
from obverse.adapters.memory.event_log import MemoryLogSettings
from obverse.adapters.memory.event_log import open_event_log as open_log
from obverse.adapters.memory.outbox import MemoryOutboxSettings
from obverse.adapters.memory.outbox import open_outbox as open_memory_outbox
from obverse.adapters.memory.replays import MemoryReplaysSettings
from obverse.adapters.memory.replays import open_replays as open_memory_replays
from obverse.adapters.memory.sync_queue import MemoryQueueSettings
from obverse.adapters.memory.sync_queue import open_sync_queue as open_queue
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.metrics import FlowMetrics, new_registry
from obverse.apps.worker import EngineMetrics, worker_app
from obverse.contracts.outbox import wanted
from obverse.core.durations import BOUNDS, Durations
from obverse.core.identity import profile_id
from obverse.core.replays import Wanted
from obverse.flows.backlog import Backlog
from obverse.flows.vitals import Vitals, keep_on
from obverse.flows.waiting import Ends
from obverse.ports.engine import Progress
from obverse.ports.event_log import LogGap, Records, Stream
from obverse.ports.outbox import Outbox
from obverse.ports.outcomes import Unreachable
from reading import Faulty

ADA = profile_id("main", "user_id:ada")


Scraped = tuple[App, dict[str, Vitals], Backlog]


class Standing:
    """An engine that does nothing but tell how far it is."""

    def __init__(self) -> None:
        self.progress = Progress(folded={0: 3}, kept={0: 1}, events=7)

    async def run(self) -> None:
        """Never asked."""

    async def drain(self) -> None:
        """Never asked."""


@pytest_asyncio.fixture
async def scraped() -> AsyncIterator[Scraped]:
    runtime = open_runtime()
    log = await open_log(MemoryLogSettings(partitions=1), runtime)
    backlog = Backlog(
        log=log,
        engine=Standing(),
        queue=await open_queue(MemoryQueueSettings(), runtime),
        outbox=cast("Outbox", Faulty(await open_memory_outbox(MemoryOutboxSettings(), runtime))),
        rejected_marks=dict,
        replays=await open_memory_replays(MemoryReplaysSettings(), runtime),
        runtime=runtime,
    )
    vitals = {name: Vitals() for name in ("unify", "keep_rejected", "activate", "deliver", "replaying")}
    registry = new_registry("worker")
    registry.register(FlowMetrics(vitals))
    registry.register(EngineMetrics(backlog.engine, runtime))
    app = worker_app(backlog.engine, vitals, registry, backlog)
    yield app, vitals, backlog


async def test_a_scraper_reads_how_each_flow_is(
    scraped: Scraped,
) -> None:
    app, vitals, backlog = scraped
    vitals["deliver"].turns.note(0.03)
    vitals["deliver"].turns.note(90.0)
    vitals["deliver"].records["sent"] += 2
    vitals["deliver"].interrupted("no relay")
    backlog.engine.progress.delay.note(0.004)
    backlog.engine.progress.checkpoints.note(1.5)

    answer = await ask(app, "/metrics")

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    lines = answer.body.decode().splitlines()
    for line in (
        'obverse_flow_turn_seconds_bucket{flow="deliver",le="0.02"} 0.0',
        'obverse_flow_turn_seconds_bucket{flow="deliver",le="0.05"} 1.0',
        'obverse_flow_turn_seconds_bucket{flow="deliver",le="+Inf"} 2.0',
        'obverse_flow_turn_seconds_sum{flow="deliver"} 90.03',
        'obverse_flow_records_total{flow="deliver",outcome="sent"} 2.0',
        'obverse_flow_interruptions_total{flow="deliver"} 1.0',
        'obverse_flow_up{flow="deliver"} 0.0',
        'obverse_flow_up{flow="unify"} 1.0',
        "obverse_events_folded_total 7.0",
        'obverse_offset{partition="0",reached="kept"} 1.0',
        'obverse_event_delay_seconds_bucket{le="0.005",until="visible"} 1.0',
        'obverse_engine_step_seconds_bucket{le="2.5",step="checkpoint"} 1.0',
    ):
        assert line in lines
    assert json.loads((await ask(app, "/ready")).body)["deliver"] == "no relay"


async def test_a_scraper_reads_what_waits_and_for_how_long(
    scraped: Scraped,
) -> None:
    app, _, backlog = scraped
    now = backlog.runtime.now()
    appender = await backlog.log.open_appender(Stream.EVENTS)
    await appender.append(0, Records(5, b"12345"))
    worker = await backlog.queue.open_worker()
    await worker.put({"crm": [ADA]}, mark=None, now=now - 9_000_000)
    sender = await backlog.outbox.open_worker()
    await sender.put([wanted("ada", at=now + 3_600_000_000)], mark=None, now=now)

    told = (await ask(app, "/metrics")).body.decode().splitlines()

    assert 'obverse_flow_waiting{flow="unify",queue="events"} 2.0' in told
    assert 'obverse_flow_waiting{flow="activate",queue="crm"} 1.0' in told
    assert 'obverse_flow_waiting{flow="deliver",queue="messages"} 1.0' in told
    ages = dict(line.rsplit(" ", 1) for line in told if line.startswith("obverse_flow_waiting_seconds{"))
    assert 9 <= float(ages['obverse_flow_waiting_seconds{flow="activate",queue="crm"}']) < 60
    assert not any("messages" in name for name in ages), "it is not due yet"


async def test_of_what_others_do_nothing_is_told(scraped: Scraped) -> None:
    _, _, backlog = scraped
    appender = await backlog.log.open_appender(Stream.EVENTS)
    await appender.append(0, Records(5, b"12345"))
    assert [(one.flow, one.queue) for one in await backlog.measure({"unify"})] == [("unify", "events")]
    assert await backlog.measure({"collect"}) == []
    # Who decides only does not know how far others have folded: not that all of it waits.
    assert await replace(backlog, keeps=False).measure({"unify"}) == []


def test_what_the_log_and_the_ledger_hold_waits_since_it_was_seen_first() -> None:
    simulate(1, waiting_since_it_was_seen)


async def waiting_since_it_was_seen(runtime: SimulatedRuntime) -> None:
    log = await open_log(MemoryLogSettings(partitions=1), runtime)
    engine, rejected = Standing(), {0: 0}
    backlog = Backlog(
        log=log,
        engine=engine,
        queue=await open_queue(MemoryQueueSettings(), runtime),
        outbox=await open_memory_outbox(MemoryOutboxSettings(), runtime),
        rejected_marks=lambda: rejected,
        replays=await open_memory_replays(MemoryReplaysSettings(), runtime),
        runtime=runtime,
    )

    async def told(flow: str) -> tuple[int, float | None]:
        (one,) = await backlog.measure({flow})
        return one.count, one.seconds

    events, refused = await log.open_appender(Stream.EVENTS), await log.open_appender(Stream.REJECTED)
    await events.append(0, Records(3, b"123"))
    await refused.append(0, Records(1, b"1"))
    assert (await told("unify"), await told("keep_rejected")) == ((0, None), (1, 0))
    await runtime.sleep(10)
    await events.append(0, Records(2, b"45"))
    assert (await told("unify"), await told("keep_rejected")) == ((2, 0), (1, 10))
    await runtime.sleep(5)
    await events.append(0, Records(4, b"6789"))
    rejected[0] = 1
    assert (await told("unify"), await told("keep_rejected")) == ((6, 5), (0, None))
    await runtime.sleep(1)
    engine.progress.folded = {0: 5}
    assert await told("unify") == (4, 1)
    engine.progress.folded = {0: 9}
    assert await told("unify") == (0, None)
    await runtime.sleep(60)
    await events.append(0, Records(1, b"0"))
    assert await told("unify") == (1, 0), "and not since the one before it"
    assert await told("replaying") == (0, None)
    await backlog.replays.ask(Wanted(flows=("unify",)), by="ada", at=runtime.now())
    assert await told("replaying") == (1, 0)
    await runtime.sleep(7)
    assert await told("replaying") == (1, 7)


def test_looks_at_the_end_of_a_stream_are_never_many() -> None:
    ends = Ends()
    for number in range(1, 5000):
        ends.look({0: number}, number)
    assert len(ends._looks) <= 1000
    assert ends.since({0: 0}) == 1
    assert 3000 <= (ends.since({0: 3000}) or 0) <= 3100
    assert ends.since({0: 4999}) is None
    ends.forget({0: 4999})
    assert len(ends._looks) == 1


async def test_what_cannot_be_asked_is_left_out_and_the_rest_is_told(
    scraped: Scraped,
) -> None:
    app, _, backlog = scraped
    assert isinstance(backlog.outbox, Faulty)
    backlog.outbox.failure = Unreachable("no database")

    told = (await ask(app, "/metrics")).body.decode()

    assert 'obverse_flow_waiting{flow="activate",queue="changes"} 0.0' in told
    assert 'obverse_flow_waiting{flow="deliver"' not in told
    assert 'obverse_flow_up{flow="unify"} 1.0' in told


def test_durations_add_up() -> None:
    durations = Durations()
    for seconds in (0.0, 0.001, 0.0011, 1e9):
        durations.note(seconds)
    assert durations.counts[:2] == [2, 3]
    assert durations.counts[-1] == 4
    assert len(durations.counts) == len(BOUNDS) + 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unreachable("no database"), "no database"),
        (LogGap("offsets 5 to 9 are missing"), "5 to 9"),
        (RuntimeError("a fault of ours"), "RuntimeError: a fault of ours"),
    ],
)
async def test_a_flow_goes_on_whatever_fails(error: Exception, said: str) -> None:
    vitals, seen, well = Vitals(), list[str | None](), asyncio.Event()

    async def work() -> None:
        seen.append(vitals.failure)
        if len(seen) < 3:
            raise error
        vitals.failure = None
        well.set()
        await asyncio.Event().wait()

    going = asyncio.ensure_future(keep_on(work, vitals, open_runtime(), doing="testing", pause=lambda: 0.001))
    async with asyncio.timeout(10):
        await well.wait()
    going.cancel()
    assert seen[0] is None
    assert all(said in str(reason) for reason in seen[1:])
    assert (vitals.interruptions, vitals.failure) == (2, None)
