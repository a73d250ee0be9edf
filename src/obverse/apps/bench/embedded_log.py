"""`obverse bench log`: the log's benchmark in a PostgreSQL of its own, which is removed afterwards."""

from __future__ import annotations

import shutil
from typing import Any

from obverse.adapters.postgres import schema
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.installed import new_folder
from obverse.apps.bench.log import LogBench, bench_log
from obverse.apps.bench.machine import database_settings, machine


async def bench_embedded_log(*, small: int, large: int) -> dict[str, Any]:
    """Fill a small and a large log, and tell what appending and reading cost in each."""
    folder = new_folder()
    server = EmbeddedServer(folder / "data")
    await server.start()
    try:
        dsn = server.dsn("obverse_owner")
        await schema.migrate(dsn)
        figures = await bench_log(dsn, open_runtime(), LogBench(small=small, large=large))
        return {"machine": machine(), "postgres": await database_settings(dsn), **figures}
    finally:
        await server.stop()
        await server.erase()
        shutil.rmtree(folder, ignore_errors=True)
