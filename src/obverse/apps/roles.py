"""The roles of an installation: collector, worker, api, sandbox. Each runs in a process of its own."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import structlog

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps import processes
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.core.definitions import BadDefinition
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.flows.placed_log import PlacedLog
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.settings import Settings
from obverse.wiring import Wiring, hash_key, routes, wire

ROLES: Final = ("collector", "worker", "api", "sandbox")
SMTP: Final = "smtp"
"""The second door of the sandbox."""


Doors = Mapping[str, socket.socket]


class _Closes(Protocol):
    async def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closes)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role runs: what its supervisor has prepared for it, or nothing."""

    doors: Mapping[str, socket.socket] = field(default_factory=dict)
    """Listening already, and held open by the supervisor too, so that a restart refuses nobody; by role, and `SMTP`."""
    lifeline: int | None = None
    """See `processes.stop_on_signals`."""
    runtime_dir: Path | None = None
    """Folder for the sockets between our processes."""


def wiring_of(role: str, settings: Settings, place: Place) -> Wiring:
    """
    The wiring of a role: its own login to the embedded database, or the database that the settings name.

    Raises:
        ServerFailed: there is no embedded database in the data folder; `obverse up` makes it.
    """
    query_dsn = ""
    if role == "sandbox":
        dsn = ""  # it stands for the outside, and has no business with our database
    elif settings.database_url:
        dsn = settings.database_url.get_secret_value()
        query_dsn = (settings.query_database_url or settings.database_url).get_secret_value()
    else:
        server = EmbeddedServer(settings.data)
        dsn = server.dsn(f"obverse_{role}")
        if role == "worker":
            query_dsn = server.dsn("obverse_query")
    # What a supervisor starts has one that applies the folder of definitions whenever it changes.
    live = place.lifeline is not None
    runtime_dir = place.runtime_dir or settings.data
    return wire(settings, role=role, dsn=dsn, query_dsn=query_dsn, runtime_dir=runtime_dir, folder_is_live=live)


async def run_role(role: str, settings: Settings, place: Place | None = None) -> int:
    """Run one role until a signal, or the end of its supervisor, stops it."""
    place = place or Place()
    doors = {**open_doors(role, settings, but=place.doors), **place.doors}
    stop = processes.stop_on_signals(place.lifeline)
    wiring = wiring_of(role, settings, place)
    if place.runtime_dir is None:
        # By itself, on a machine where nothing of ours ever was.
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return await _MAINS[role](wiring, doors, stop)


def open_doors(role: str, settings: Settings, *, but: Collection[str] = ()) -> dict[str, socket.socket]:
    """
    Open the doors of a role, but those that are open already.

    Raises:
        PortTaken: with what to do about it.
    """
    place = getattr(settings, role)
    wanted = {role: (place.port, "port")}
    if role == "sandbox":
        wanted[SMTP] = (place.smtp_port, "smtp_port")
    return {
        name: processes.listen(place.host, port, role, setting)
        for name, (port, setting) in wanted.items()
        if name not in but
    }


async def _collector(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    from prometheus_client import Gauge

    from obverse.apps.collector import CollectorApp
    from obverse.apps.collector.bots import is_bot
    from obverse.apps.metrics import FlowMetrics, new_registry
    from obverse.flows.replay import Replay

    async with AsyncExitStack() as stack:
        log = await wiring.event_log()
        stack.push_async_callback(log.close)
        _, definitions = await _definitions(stack, wiring)
        collect = wiring.collect(log, definitions, is_bot)
        stack.push_async_callback(collect.close)
        queue = await wiring.sync_queue()
        stack.push_async_callback(queue.close)
        absorb = wiring.absorb(collect, queue, definitions)
        stack.push_async_callback(absorb.close)
        store = await wiring.profile_store()
        stack.push_async_callback(store.close)
        replay = Replay(collect, store, wiring.runtime)
        works = {
            "log": _until_moved(log, stop),
            "open log": collect.open(),
            "definitions": definitions.watch(),
            "replay": replay.run(),
        }
        _start(stack, wiring, stop, works)
        registry = new_registry("collector")
        registry.register(FlowMetrics({"collect": collect.vitals, "absorb": absorb.vitals, "replay": replay.vitals}))
        disk = wiring.disk()
        if disk is not None:
            free = Gauge("obverse_disk_free_bytes", "Of the embedded database's disk", registry=registry)
            free.set_function(lambda: disk.free)
        app = CollectorApp(
            collect,
            absorb,
            runtime=wiring.runtime,
            registry=registry,
            hash_key=hash_key,
            public_url=wiring.settings.collector.public_url,
            behind_proxy=wiring.settings.collector.behind_proxy,
        )
        await processes.serve(app, doors["collector"], stop, gate=app)
    return 0


async def _worker(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    from obverse.apps.metrics import FlowMetrics, new_registry
    from obverse.apps.worker import EngineMetrics, OutwardMetrics, worker_app
    from obverse.flows.archived_log import ArchivedLog
    from obverse.flows.arrivals import Arrivals
    from obverse.flows.backlog import Backlog
    from obverse.flows.current_profiles import CurrentProfiles
    from obverse.flows.keep_rejected import KeepRejected
    from obverse.flows.replaying import Replaying, ReplayingParts
    from obverse.flows.retain import Retain
    from obverse.flows.unify import Unify
    from obverse.flows.vitals import Flow

    async with AsyncExitStack() as stack:
        log, store, cache = await _open(stack, wiring)
        definition_store, definitions = await _definitions(stack, wiring)
        arrivals = Arrivals(definitions, definition_store, store)
        engine = await wiring.engine(log, store, cache, arrivals)
        unify = Unify(engine, wiring.runtime, prepare=arrivals.open)
        queue = _closed_with(stack, await wiring.sync_queue())
        outbox = _closed_with(stack, await wiring.outbox())
        service = _closed_with(stack, await wiring.email_service())
        profiles = CurrentProfiles(store, cache, definitions.current)
        activate = wiring.activate(log, store, profiles, queue, definitions)
        deliver = wiring.deliver(log, profiles, outbox, service, definitions)
        keep_rejected = KeepRejected(log, store, wiring.runtime)
        flows: dict[str, Flow] = {
            "unify": unify,
            "keep_rejected": keep_rejected,
            "activate": activate,
            "deliver": deliver,
        }
        trait_runs = await wiring.trait_runs()
        stack.push_async_callback(trait_runs.close)
        runners = await wiring.sql_runners()
        for runner in runners.values():
            stack.push_async_callback(runner.close)
        flows["sql_traits"] = wiring.sql_traits(store, trait_runs, runners, definitions)
        archive = await wiring.archive()
        archiving = None if archive is None else wiring.archiving(log, archive)
        if archive is not None and archiving is not None:
            stack.push_async_callback(archive.close)
            flows["archive"] = archiving
        replays = _closed_with(stack, await wiring.replays())
        flows["replaying"] = Replaying(
            ReplayingParts(
                replays=replays,
                log=log if archive is None else ArchivedLog(log, archive),
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
        if wiring.settings.log_days is not None:
            archived = None if archiving is None else archiving.archived
            flows["retain"] = Retain(log, engine, wiring.runtime, days=wiring.settings.log_days, archived=archived)
        works = {name: flow.run() for name, flow in flows.items()}
        _start(stack, wiring, stop, {**works, "definitions": definitions.watch(), "log": _until_moved(log, stop)})
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
            rejected_mark=lambda: keep_rejected.mark,
            runtime=wiring.runtime,
        )
        await processes.serve(worker_app(engine, vitals, registry, backlog), doors["worker"], stop)
    return 0


async def _api(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    from obverse.apps.api.app import ApiParts, build
    from obverse.apps.definition_project import compare_folder
    from obverse.apps.loads.kept import KeptLoads
    from obverse.apps.metrics import new_registry
    from obverse.flows.ask_identity import AskIdentity
    from obverse.flows.ask_replay import AskReplay
    from obverse.flows.browse import Browse
    from obverse.flows.decide import Decide
    from obverse.flows.edit_definitions import EditDefinitions
    from obverse.flows.explain import Explain
    from obverse.flows.history import History
    from obverse.flows.live import Live
    from obverse.flows.measure import Measure
    from obverse.flows.messages import Messages
    from obverse.flows.preview import Preview
    from obverse.flows.review import Review
    from obverse.flows.serve import Serve
    from obverse.flows.syncs import Syncs

    settings = wiring.settings
    async with AsyncExitStack() as stack:
        log, store, cache = await _open(stack, wiring)
        definition_store, definitions = await _definitions(stack, wiring)
        _start(stack, wiring, stop, {"definitions": definitions.watch(), "log": _until_moved(log, stop)})
        queue = await wiring.sync_queue()
        stack.push_async_callback(queue.close)
        outbox = await wiring.outbox()
        stack.push_async_callback(outbox.close)
        serve = Serve(store=store, cache=cache, definitions=definitions.current, log=log)
        sessions = await wiring.sessions()
        stack.push_async_callback(sessions.close)
        proposals = await wiring.proposals()
        stack.push_async_callback(proposals.close)
        trait_runs = await wiring.trait_runs()
        stack.push_async_callback(trait_runs.close)
        replays = _closed_with(stack, await wiring.replays())
        live = Live(log, wiring.runtime)
        apply = wiring.apply_definitions(definition_store)
        most = settings.load.upload_mb << 20
        loads = KeptLoads(settings.data, wiring.runtime, most_bytes=most, new_id=lambda: secrets.token_hex(8))
        _start(stack, wiring, stop, {"live": live.end_at(stop), "loads": loads.run()})
        parts = ApiParts(
            messages=Messages(outbox, serve, definitions.current, wiring.runtime, log=log),
            syncs=Syncs(queue, definitions.current, wiring.runtime, log=log),
            serve=serve,
            preview=Preview(store, definitions.current, wiring.runtime),
            explain=Explain(serve, definitions.current, wiring.runtime),
            measure=Measure(store, trait_runs, definitions.current),
            history=History(store, serve, definitions.current, wiring.runtime),
            runtime=wiring.runtime,
            registry=new_registry("api"),
            ask_identity=AskIdentity(store, serve, wiring.runtime, lambda: secrets.token_urlsafe(16)),
            ask_replay=AskReplay(replays, wiring.runtime),
            browse=Browse(store, definitions.current),
            review=Review(store),
            decide=Decide(proposals, store, wiring.merge_requests(store), definitions.current, wiring.runtime),
            live=live,
            workspace=settings.workspace,
            definitions=definitions.current,
            definition_store=definition_store,
            edit_definitions=EditDefinitions(definition_store, apply),
            compare_folder=partial(compare_folder, settings, apply) if wiring.folder_is_live else None,
            definitions_folder=settings.definitions_folder if wiring.folder_is_live else None,
            inbox_url=wiring.inbox_url(),
            loads=loads,
            sign_in=wiring.sign_in(sessions),
            space_requests_per_second=settings.api.space_requests_per_second or None,
            api_key=api_key(settings),
            routes=routes(),
        )
        await processes.serve(build(parts), doors["api"], stop)
    return 0


async def _sandbox(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    from obverse.apps.sandbox import sandbox

    await sandbox(wiring.settings, wiring.runtime, doors["sandbox"], doors[SMTP], stop)
    return 0


def api_key(settings: Settings) -> str:
    """The key that programs read the API with: the one that is set, else one that the installation makes for itself."""
    return settings.api.key.get_secret_value() if settings.api.key else own_secret(settings.data, API_KEY)


def _closed_with(stack: AsyncExitStack, opened: _Opened) -> _Opened:
    stack.push_async_callback(opened.close)
    return opened


async def _open(stack: AsyncExitStack, wiring: Wiring) -> tuple[PlacedLog, ProfileStore, ProfileCache]:
    """What is read and written, closed with the stack."""
    log = await wiring.event_log()
    stack.push_async_callback(log.close)
    store = await wiring.profile_store()
    stack.push_async_callback(store.close)
    cache = await wiring.profile_cache()
    stack.push_async_callback(cache.close)
    return log, store, cache


async def _definitions(stack: AsyncExitStack, wiring: Wiring) -> tuple[DefinitionStore, CurrentDefinitions]:
    """The definitions in force, to be watched, and their store, which is closed with the stack."""
    store = await wiring.definition_store()
    stack.push_async_callback(store.close)
    definitions = wiring.definitions(store)
    await definitions.open()
    return store, definitions


def _start(
    stack: AsyncExitStack, wiring: Wiring, stop: asyncio.Event, works: Mapping[str, Coroutine[Any, Any, None]]
) -> None:
    for name, work in works.items():
        stack.push_async_callback(wiring.runtime.spawn(name, or_stop(name, work, stop)).stop)


async def _until_moved(log: PlacedLog, stop: asyncio.Event) -> None:
    """A role whose log moves ends, and with the other one in force it begins anew."""
    await log.moved()
    stop.set()


async def or_stop(name: str, work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """A role without one of its works would look well and do nothing: it ends, and is started anew."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        structlog.get_logger(__name__).exception("a part failed, and the role ends", part=name, error=repr(error))
        stop.set()


_MAINS: Final[Mapping[str, Callable[[Wiring, Doors, asyncio.Event], Coroutine[Any, Any, int]]]] = {
    "collector": _collector,
    "worker": _worker,
    "api": _api,
    "sandbox": _sandbox,
}


_NICE: Final = {"worker": 10}
"""Where all share one machine and want more than it has, senders are answered first, and the fold catches up later."""


def role_main(role: str, settings: Settings, doors: Doors, lifeline: Connection, runtime_dir: Path) -> None:
    """A role in a process of its own, forked from one that has imported everything."""
    processes.name_process(f"obverse-{role}")
    processes.give_way(_NICE.get(role, 0))
    processes.set_up_logging(settings.log_level)
    place = Place(doors, lifeline.fileno(), runtime_dir)
    try:
        sys.exit(processes.run(run_role(role, settings, place)))
    except BadDefinition as error:
        structlog.get_logger(__name__).error("a definition cannot be used", role=role, reason=str(error))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - told, whatever it is, and the supervisor starts it again
        structlog.get_logger(__name__).exception("the role failed", role=role, reason=str(error))
        sys.exit(1)
