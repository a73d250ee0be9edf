"""The roles of an installation: collector, worker, api. Each runs in a process of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps import processes
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.profile_store import ProfileStore
from obverse.settings import Settings
from obverse.wiring import Wiring, hash_key, routes, wire

ROLES: Final = ("collector", "worker", "api")
DATABASE_URL: Final = "DATABASE_URL"
RUNTIME_DIR: Final = "OBVERSE_RUNTIME_DIR"
"""Environment: the folder for sockets between our processes."""


def wiring_of(role: str, settings: Settings) -> Wiring:
    """
    The wiring of a role: its own login to the embedded database, or the database that the settings name.

    Raises:
        ServerFailed: there is no embedded database in the data folder; `obverse up` makes it.
    """
    dsn = (
        settings.database_url.get_secret_value()
        if settings.database_url
        else EmbeddedServer(settings.data).dsn(f"obverse_{role}")
    )
    return wire(settings, dsn=dsn, runtime_dir=Path(os.environ.get(RUNTIME_DIR) or settings.data))


async def run_role(role: str, settings: Settings) -> int:
    """Run one role until a signal, or the end of its supervisor, stops it."""
    return await _MAINS[role](wiring_of(role, settings))


def _door(role: str, settings: Settings) -> socket.socket:
    place = getattr(settings, role)
    return processes.inherited_door() or processes.listen(place.host, place.port, role)


async def _collector(wiring: Wiring) -> int:
    from obverse.apps.collector import CollectorApp
    from obverse.apps.metrics import new_registry

    door, stop = _door("collector", wiring.settings), processes.stop_on_signals()
    async with AsyncExitStack() as stack:
        log = await wiring.event_log()
        stack.push_async_callback(log.close)
        definitions = wiring.definitions()
        collect = wiring.collect(log, definitions)
        stack.push_async_callback(collect.close)
        _start(stack, wiring, {"open log": collect.open(), "definitions": definitions.watch()})
        app = CollectorApp(
            collect,
            runtime=wiring.runtime,
            registry=new_registry("collector"),
            hash_key=hash_key,
            most_bytes=max(wiring.settings.collector.batch_bytes, wiring.settings.collector.event_bytes),
        )
        await processes.serve(app, door, stop)
    return 0


async def _worker(wiring: Wiring) -> int:
    from obverse.apps.metrics import new_registry
    from obverse.apps.worker import EngineMetrics, worker_app
    from obverse.flows.keep_rejected import KeepRejected
    from obverse.flows.unify import Unify

    door, stop = _door("worker", wiring.settings), processes.stop_on_signals()
    async with AsyncExitStack() as stack:
        log = await wiring.event_log()
        stack.push_async_callback(log.close)
        store = await wiring.profile_store()
        stack.push_async_callback(store.close)
        cache = await wiring.profile_cache()
        stack.push_async_callback(cache.close)
        definitions = wiring.definitions()
        engine = await wiring.engine(log, store, cache, definitions)
        unify = Unify(engine, wiring.runtime)
        _start(
            stack,
            wiring,
            {
                "unify": unify.run(),
                "keep rejected": KeepRejected(log, store, wiring.runtime).run(),
                "definitions": definitions.watch(),
            },
        )
        registry = new_registry("worker")
        registry.register(EngineMetrics(engine, wiring.runtime))
        await processes.serve(worker_app(unify, engine, registry), door, stop)
    return 0


async def _api(wiring: Wiring) -> int:
    from obverse.apps.api.app import ApiParts, build
    from obverse.apps.metrics import new_registry
    from obverse.flows.serve import Serve

    settings = wiring.settings
    door, stop = _door("api", settings), processes.stop_on_signals()
    async with AsyncExitStack() as stack:
        log = await wiring.event_log()
        stack.push_async_callback(log.close)
        store = await wiring.profile_store()
        stack.push_async_callback(store.close)
        cache = await wiring.profile_cache()
        stack.push_async_callback(cache.close)
        definitions = wiring.definitions()
        _start(stack, wiring, {"definitions": definitions.watch()})
        parts = ApiParts(
            serve=Serve(store=store, cache=cache, definitions=definitions.current),
            runtime=wiring.runtime,
            registry=new_registry("api"),
            api_key=settings.api.key.get_secret_value() if settings.api.key else None,
            routes=routes(),
            lag=_lag(log, store),
        )
        await processes.serve(build(parts), door, stop)
    return 0


def _lag(log: EventLog, store: ProfileStore) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    async def lag() -> Mapping[str, Any]:
        appended = {partition: end for partition, (_, end) in (await log.bounds(Stream.EVENTS)).items()}
        kept = (await store.overview()).marks.get("unify", {}).get(Stream.EVENTS, {})
        return {
            str(partition): {"appended": end, "kept": kept.get(partition, 0), "lag": end - kept.get(partition, 0)}
            for partition, end in appended.items()
        }

    return lag


def _start(stack: AsyncExitStack, wiring: Wiring, works: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    for name, work in works.items():
        stack.push_async_callback(wiring.runtime.spawn(name, work).stop)


_MAINS: Final[Mapping[str, Callable[[Wiring], Coroutine[Any, Any, int]]]] = {
    "collector": _collector,
    "worker": _worker,
    "api": _api,
}
