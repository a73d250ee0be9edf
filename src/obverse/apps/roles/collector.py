"""The collector: takes events in."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from obverse.apps import http_door
from obverse.apps.roles.opening import Doors, open_definitions, start, until_moved
from obverse.wiring import Wiring, hash_key

if TYPE_CHECKING:
    from obverse.flows.collect import Collect
    from obverse.ports.runtime import Runtime

_PATIENCE: Final = 0.9
"""Seconds that senders may wait at the door of a collector that begins: less than within which they are answered."""
_LOOK: Final = 0.005


async def collector(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    """Take events in until it is stopped."""
    from prometheus_client import Gauge

    from obverse.apps.collector import CollectorApp
    from obverse.apps.collector.bots import is_bot
    from obverse.apps.metrics import FlowMetrics, WaitingMetrics, new_registry
    from obverse.flows.replay import Replay

    async with AsyncExitStack() as stack:
        log = await wiring.event_log()
        stack.push_async_callback(log.close)
        _, definitions = await open_definitions(stack, wiring)
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
            "log": until_moved(log, stop),
            "share of the log": collect.share.hold(),
            "definitions": definitions.watch(),
            "replay": replay.run(),
        }
        start(stack, wiring, stop, works)
        registry = new_registry("collector")
        partitions = Gauge("obverse_collector_partitions", "Of the log, that it appends to", registry=registry)
        partitions.set_function(lambda: len(collect.share.partitions))
        vitals = {"collect": collect.vitals, "absorb": absorb.vitals, "replay": replay.vitals}
        registry.register(FlowMetrics(vitals))
        registry.register(WaitingMetrics(vitals, wiring.runtime))
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
        await _first_share(collect, wiring.runtime)
        await http_door.serve(app, doors["collector"], stop, gate=app)
    return 0


async def _first_share(collect: Collect, runtime: Runtime) -> None:
    """
    Wait until events can be taken in, for a moment: who comes meanwhile waits at the door, and is not turned away.

    So a restart in good order refuses nobody. Where the log is away, or others have all of it, that is told then.
    """
    until = runtime.elapsed() + _PATIENCE
    while not collect.ready and runtime.elapsed() < until:
        await runtime.sleep(_LOOK)
