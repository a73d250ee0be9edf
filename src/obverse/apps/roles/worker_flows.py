"""What a worker is made of: its engine, and the flows that follow from it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from obverse.apps.roles.flow_names import FLOWS
from obverse.apps.roles.opening import closed_with, open_definitions, open_stores
from obverse.flows.activate import Activate
from obverse.flows.archive import ArchiveEvents
from obverse.flows.archived_log import ArchivedLog
from obverse.flows.arrivals import Arrivals
from obverse.flows.backlog import Backlog
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.deliver import Deliver
from obverse.flows.keep_rejected import KeepRejected
from obverse.flows.placed_log import PlacedLog
from obverse.flows.replaying import Replaying, ReplayingParts
from obverse.flows.retain import Retain
from obverse.flows.sql_traits import SqlTraits
from obverse.flows.unify import Unify
from obverse.flows.vitals import Flow
from obverse.ports.engine import Engine
from obverse.ports.event_log import EventLog
from obverse.ports.outbox import Outbox
from obverse.ports.profile_store import ProfileStore
from obverse.ports.replays import Replays
from obverse.ports.sync_queue import SyncQueue
from obverse.wiring import Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What all of a worker's flows work with."""

    log: PlacedLog
    store: ProfileStore
    definitions: CurrentDefinitions
    arrivals: Arrivals
    engine: Engine
    profiles: CurrentProfiles
    queue: SyncQueue
    outbox: Outbox
    replays: Replays
    activate: Activate
    deliver: Deliver
    keep_rejected: KeepRejected
    wanted: frozenset[str]
    """Of `FLOWS`, what this worker does."""

    @property
    def folds(self) -> bool:
        """Whether the engine, or a half of it, runs here."""
        return bool(self.wanted & {"identity", "keep"})

    def backlog(self, wiring: Wiring) -> Backlog:
        """How much waits for each flow."""
        return Backlog(
            log=self.log,
            engine=self.engine,
            queue=self.queue,
            outbox=self.outbox,
            rejected_marks=lambda: self.keep_rejected.marks,
            replays=self.replays,
            runtime=wiring.runtime,
            keeps="keep" in self.wanted,
        )


async def open_parts(stack: AsyncExitStack, wiring: Wiring) -> WorkerParts:
    """Open all that they work with, to be closed with the stack."""
    log, store, cache = await open_stores(stack, wiring)
    definition_store, definitions = await open_definitions(stack, wiring)
    arrivals = Arrivals(definitions, definition_store, store)
    wanted = frozenset(wiring.settings.worker.flows or FLOWS)
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
    return WorkerParts(
        log=log,
        store=store,
        definitions=definitions,
        arrivals=arrivals,
        engine=engine,
        profiles=profiles,
        queue=queue,
        outbox=outbox,
        replays=closed_with(stack, await wiring.replays()),
        activate=wiring.activate(log, store, profiles, queue, definitions),
        deliver=wiring.deliver(log, profiles, outbox, service, definitions),
        keep_rejected=KeepRejected(log, store, wiring.runtime),
        wanted=wanted,
    )


async def open_flows(stack: AsyncExitStack, wiring: Wiring, parts: WorkerParts) -> dict[str, Flow]:
    """Open the flows that this worker is to run, by name; the engine's is `unify`."""
    flows: dict[str, Flow] = {
        "unify": Unify(parts.engine, wiring.runtime, prepare=parts.arrivals.open),
        "keep_rejected": parts.keep_rejected,
        "activate": parts.activate,
        "deliver": parts.deliver,
        "sql_traits": await _sql_traits(stack, wiring, parts),
    }
    whole_log, archiving = await _archiving(stack, wiring, parts.log)
    if archiving is not None:
        flows["archive"] = archiving
    flows["replaying"] = _replaying(wiring, parts, whole_log)
    flows["retain"] = Retain(
        *(parts.log, parts.engine, parts.store, wiring.runtime),
        days=wiring.settings.log_days,
        routed_hours=wiring.settings.routed_hours,
        archived=None if archiving is None else archiving.archived,
    )
    return {name: flow for name, flow in flows.items() if name in parts.wanted or (name == "unify" and parts.folds)}


async def _sql_traits(stack: AsyncExitStack, wiring: Wiring, parts: WorkerParts) -> SqlTraits:
    runs, runners = closed_with(stack, await wiring.trait_runs()), await wiring.sql_runners()
    for runner in runners.values():
        closed_with(stack, runner)
    return wiring.sql_traits(parts.store, runs, runners, parts.definitions)


async def _archiving(stack: AsyncExitStack, wiring: Wiring, log: EventLog) -> tuple[EventLog, ArchiveEvents | None]:
    """The log with its archive before it, and the flow that archives; None if there is no archive."""
    archive = await wiring.archive()
    if archive is None:
        return log, None
    closed_with(stack, archive)
    return ArchivedLog(log, archive), wiring.archiving(log, archive)


def _replaying(wiring: Wiring, parts: WorkerParts, log: EventLog) -> Replaying:
    return Replaying(
        ReplayingParts(
            replays=parts.replays,
            log=log,
            store=parts.store,
            engine=parts.engine,
            profiles=parts.profiles,
            queue=parts.queue,
            outbox=parts.outbox,
            activate=parts.activate,
            deliver=parts.deliver,
            definitions=parts.definitions.current,
            runtime=wiring.runtime,
        )
    )
