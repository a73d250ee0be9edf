"""Where an engine folds that does not do so in the worker."""

from __future__ import annotations

import asyncio

import structlog

from obverse.apps.roles.opening import Doors
from obverse.ports.engine import EngineHost
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime
from obverse.wiring import Wiring


async def engine_host(name: str, wiring: Wiring, _doors: Doors, stop: asyncio.Event) -> int:
    """Host the buckets of an engine until stopped; the next one goes on with what it has kept."""
    host = await wiring.engine_host(name)
    hosting = asyncio.create_task(_for_ever(host, wiring.runtime))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((hosting, stopping), return_when=asyncio.FIRST_COMPLETED)
    hosting.cancel()
    stopping.cancel()
    for ended in await asyncio.gather(hosting, stopping, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return 0


async def _for_ever(host: EngineHost, runtime: Runtime) -> None:
    while True:
        try:
            await host.run()
        except Unreachable as error:
            structlog.get_logger(__name__).warning("the engine is hosted again", after=error.after, reason=str(error))
            await runtime.sleep(error.after)
