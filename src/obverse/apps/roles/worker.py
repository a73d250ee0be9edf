"""The worker: unifies, and does what follows from it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from obverse.apps import http_door
from obverse.apps.roles.opening import Doors, start, until_moved
from obverse.wiring import Wiring


async def worker(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    """Do what a worker does, or as much of it as the settings name, until it is stopped."""
    from obverse.apps.metrics import FlowMetrics, new_registry
    from obverse.apps.roles.worker_flows import open_flows, open_parts
    from obverse.apps.worker import EngineMetrics, OutwardMetrics, worker_app

    async with AsyncExitStack() as stack:
        parts = await open_parts(stack, wiring)
        flows = await open_flows(stack, wiring, parts)
        beside = {"definitions": parts.definitions.watch(), "log": until_moved(parts.log, stop)}
        start(stack, wiring, stop, {name: flow.run() for name, flow in flows.items()} | beside)
        vitals = {name: flow.vitals for name, flow in flows.items()}
        registry = new_registry("worker")
        registry.register(EngineMetrics(parts.engine, wiring.runtime))
        registry.register(OutwardMetrics(parts.activate))
        registry.register(FlowMetrics(vitals))
        app = worker_app(parts.engine, vitals, registry, parts.backlog(wiring))
        await http_door.serve(app, doors["worker"], stop)
    return 0
