"""The worker: unifies, and does what follows from it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from obverse.apps import processes
from obverse.apps.roles.opening import Doors, closed_with, open_definitions, open_stores, start, until_moved
from obverse.flows.archive import ArchiveEvents
from obverse.flows.archived_log import ArchivedLog
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.flows.sql_traits import SqlTraits
from obverse.ports.event_log import EventLog
from obverse.ports.profile_store import ProfileStore
from obverse.wiring import Wiring

FLOWS: Final = (
    "identity",
    "keep",
    "keep_rejected",
    "activate",
    "deliver",
    "sql_traits",
    "archive",
    "replaying",
    "retain",
)
"""What a worker does. `identity` and `keep` are the engine's; where one process folds, they are one."""


async def worker(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    """Do what a worker does, or as much of it as the settings name, until it is stopped."""
    from obverse.apps.metrics import FlowMetrics, new_registry
    from obverse.apps.worker import EngineMetrics, OutwardMetrics, worker_app
    from obverse.flows.arrivals import Arrivals
    from obverse.flows.backlog import Backlog
    from obverse.flows.current_profiles import CurrentProfiles
    from obverse.flows.keep_rejected import KeepRejected
    from obverse.flows.replaying import Replaying, ReplayingParts
    from obverse.flows.retain import Retain
    from obverse.flows.unify import Unify
    from obverse.flows.vitals import Flow

    async with AsyncExitStack() as stack:
        log, store, cache = await open_stores(stack, wiring)
        definition_store, definitions = await open_definitions(stack, wiring)
        arrivals = Arrivals(definitions, definition_store, store)
        wanted = set(wiring.settings.worker.flows or FLOWS)
        folds = bool(wanted & {"identity", "keep"})
        engine = await wiring.engine(
            *(log, store, cache, arrivals),
            decides=not folds or "identity" in wanted,
            keeps=not folds or "keep" in wanted,
        )
        queue = closed_with(stack, await wiring.sync_queue())
        outbox = closed_with(stack, await wiring.outbox())
        service = closed_with(stack, await wiring.email_service())
        profiles = CurrentProfiles(
            log=log, store=store, cache=cache, definitions=definitions.current, runtime=wiring.runtime
        )
        activate = wiring.activate(log, store, profiles, queue, definitions)
        deliver = wiring.deliver(log, profiles, outbox, service, definitions)
        flows: dict[str, Flow] = {
            "unify": Unify(engine, wiring.runtime, prepare=arrivals.open),
            "keep_rejected": (keep_rejected := KeepRejected(log, store, wiring.runtime)),
            "activate": activate,
            "deliver": deliver,
        }
        flows["sql_traits"] = await _sql_traits(stack, wiring, store, definitions)
        whole_log, archiving = await _archiving(stack, wiring, log)
        if archiving is not None:
            flows["archive"] = archiving
        replays = closed_with(stack, await wiring.replays())
        flows["replaying"] = Replaying(
            ReplayingParts(
                replays=replays,
                log=whole_log,
                store=store,
                engine=engine,
                profiles=profiles,
                queue=queue,
                outbox=outbox,
                activate=activate,
                deliver=deliver,
                definitions=definitions.current,
                runtime=wiring.runtime,
            )
        )
        flows["retain"] = Retain(
            *(log, engine, store, wiring.runtime),
            days=wiring.settings.log_days,
            routed_hours=wiring.settings.routed_hours,
            archived=None if archiving is None else archiving.archived,
        )
        flows = {name: flow for name, flow in flows.items() if name in wanted or (name == "unify" and folds)}
        beside = {"definitions": definitions.watch(), "log": until_moved(log, stop)}
        start(stack, wiring, stop, {name: flow.run() for name, flow in flows.items()} | beside)
        vitals = {name: flow.vitals for name, flow in flows.items()}
        registry = new_registry("worker")
        registry.register(EngineMetrics(engine, wiring.runtime))
        registry.register(OutwardMetrics(activate))
        registry.register(FlowMetrics(vitals))
        backlog = Backlog(
            log=log,
            engine=engine,
            queue=queue,
            outbox=outbox,
            rejected_marks=lambda: keep_rejected.marks,
            runtime=wiring.runtime,
        )
        await processes.serve(worker_app(engine, vitals, registry, backlog), doors["worker"], stop)
    return 0


async def _sql_traits(
    stack: AsyncExitStack, wiring: Wiring, store: ProfileStore, definitions: CurrentDefinitions
) -> SqlTraits:
    runs, runners = closed_with(stack, await wiring.trait_runs()), await wiring.sql_runners()
    for runner in runners.values():
        closed_with(stack, runner)
    return wiring.sql_traits(store, runs, runners, definitions)


async def _archiving(stack: AsyncExitStack, wiring: Wiring, log: EventLog) -> tuple[EventLog, ArchiveEvents | None]:
    """The log with its archive before it, and the flow that archives; None if there is no archive."""
    archive = await wiring.archive()
    if archive is None:
        return log, None
    closed_with(stack, archive)
    return ArchivedLog(log, archive), wiring.archiving(log, archive)
