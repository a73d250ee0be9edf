"""`obverse bench log`: the log's benchmark in a log of its own, which is removed afterwards."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from obverse.adapters.postgres import schema
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.installed import log_of, new_folder
from obverse.apps.bench.log import LogBench, bench_log
from obverse.apps.bench.machine import database_settings, machine
from obverse.ports.event_log import EventLog
from obverse.ports.runtime import Runtime
from obverse.settings import Settings
from obverse.wiring import Wiring


async def bench_embedded_log(*, small: int, large: int, log: str = "postgres") -> dict[str, Any]:
    """
    Fill a small and a large log, and tell what appending and reading cost in each.

    Raises:
        BadSettings: there is no such adapter.
        SandboxLacking: something that its stand-in needs is not on this machine.
    """
    async with log_of(log) as to_use, _database(needed=log == "postgres") as dsn:
        settings, bench = to_use.settings, LogBench(small=small, large=large)

        async def open_log(workspace: str, runtime: Runtime) -> EventLog:
            return await Wiring(settings=_of(settings, workspace), runtime=runtime, dsn=dsn).log_of(log)

        figures = await bench_log(open_log, open_runtime(), bench)
        facts = {"postgres": await database_settings(dsn)} if dsn else {}
        own = {name: value for name, value in settings.port_options("event_log", log)[1].items() if name != "servers"}
        return {"machine": machine(), **facts, "log": log, "log_settings": own, **figures}


def _of(settings: Settings, workspace: str) -> Settings:
    return settings.model_copy(update={"workspace": workspace})


@asynccontextmanager
async def _database(*, needed: bool) -> AsyncIterator[str]:
    """A PostgreSQL with our schema, if one is needed: its address."""
    if not needed:
        yield ""
        return
    folder = new_folder()
    server = EmbeddedServer(folder / "data")
    await server.start()
    try:
        dsn = server.dsn("obverse_owner")
        await schema.migrate(dsn)
        yield dsn
    finally:
        await server.stop()
        await server.erase()
        shutil.rmtree(folder, ignore_errors=True)
