"""`obverse bench idle`: how soon an installation is ready, at first and after a kill; what it costs while idle."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from obverse.apps.bench.installed import installed, restarted
from obverse.apps.bench.machine import cpu_seconds, machine, memory_bytes, tree

_KILLED = ("collector", "worker", "api", "postgres")


async def bench_idle(data: Path, *, seconds: int) -> dict[str, Any]:
    """Start `obverse up` on a data folder, let it rest, then kill each process once; tell what all of it took."""
    async with installed(data=data) as here:
        pids = {one for pid in here.pids.values() for one in tree(pid)}
        await asyncio.sleep(3)  # what a start leaves behind is not idling
        before = cpu_seconds(pids)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        took = asyncio.get_running_loop().time() - began
        used = cpu_seconds(pids) - before
        memory = memory_bytes(pids)
        processes = {
            name: {"pid": pid, "memory_bytes": memory_bytes(tree(pid) if name != "supervisor" else [pid])}
            for name, pid in here.pids.items()
        }
        return {
            "machine": machine(),
            "ready_after_s": round(here.ready_after, 2),
            "seconds": round(took, 1),
            "cpu_percent_of_one_core": round(100 * used / took, 2),
            "memory_bytes": memory,
            "processes": processes,
            "ready_again_after_kill_s": {name: round(await restarted(here, name), 2) for name in _KILLED},
        }
