"""What many machines hold: computed from what an event costs in each process, and simulated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from obverse.apps.bench.layout.asked import MB, Asked
from obverse.apps.bench.layout.partitions import brokers_of, partitioned
from obverse.apps.bench.layout.queues import Station
from obverse.apps.bench.layout.road import WELL, Cell, World
from obverse.apps.bench.layout.sizing import Layout, held_by, layout_of

__all__ = ["bench_layout", "simulated"]

MACHINES: Final = (1, 10, 100)
FULL: Final = 0.97
"""Of a server's time: from there on what comes is more than it takes. Some tenths of a second pass before any comes."""


async def bench_layout(asked: Asked, *, seconds: float, seed: int, cells: int | None = None) -> Mapping[str, Any]:
    """
    The figures of a layout; `seconds` are simulated, after as many as a checkpoint's pause to warm up.

    Raises:
        TooMuch: it cannot be held.
    """
    layout = layout_of(asked, cells=cells, seed=seed)
    return {
        "settings": {
            "rate": asked.rate,
            "cores": asked.machine.cores,
            "planned_busy": asked.habits.busy,
            "people": asked.habits.people,
            "skew": asked.habits.skew,
            "buckets": asked.habits.buckets,
            "partition_mb_s": asked.habits.partition_mb,
            "costs_us": asdict(asked.costs),
            "simulated_seconds": seconds,
            "seed": seed,
        },
        "held": {f"{count}_machines": held_by(count, asked, seed=seed) for count in MACHINES},
        "layout": {
            "machines": layout.machines,
            "workspaces": layout.cells,
            "tasks_each": layout.tasks,
            "brokers": layout.brokers,
            "busy_cores": round(layout.cores, 1),
            "busiest_bucket": round(max(layout.weights), 3),
            "busiest_task": round(layout.busiest, 3),
            "state_mb_a_task": round(asked.habits.people / layout.cells / layout.tasks * asked.sizes.profile / MB, 1),
        },
        "partitions": partitions(asked, layout, seed=seed),
        **simulated(asked, layout, seconds=seconds, seed=seed),
        "lost_machine": recovered(asked, layout, seed=seed),
    }


def partitions(asked: Asked, layout: Layout, *, seed: int) -> dict[str, Any]:
    """How many partitions there are, on how many brokers, and what the busiest of both carry."""
    topics = partitioned(asked, asked.rate / layout.cells, layout.weights)
    brokers = brokers_of(asked, topics, cells=layout.cells, brokers=layout.brokers, seed=seed)
    counts = [one.partitions for one in brokers]
    busiest = max(brokers, key=lambda one: max(one.comes, one.goes))
    return {
        "of_a_workspace": {name: len(carried) for name, carried in topics.items()},
        "all": layout.cells * sum(map(len, topics.values())),
        "busiest_mb_s": {name: round(max(carried), 2) for name, carried in topics.items() if any(carried)},
        "copies": min(asked.habits.replication, layout.brokers),
        "on_a_broker": {"mean": round(sum(counts) / len(counts), 1), "most": max(counts)},
        "busiest_broker": {
            "comes_mb_s": round(busiest.comes, 1),
            "goes_mb_s": round(busiest.goes, 1),
            "share_of_network": round(max(busiest.comes, busiest.goes) / asked.machine.network_mb, 3),
        },
    }


def simulated(asked: Asked, layout: Layout, *, seconds: float, seed: int) -> dict[str, Any]:
    """What comes of a layout while nothing fails."""
    warm = asked.habits.checkpoint
    world = World(asked, layout, seed=seed, from_=warm)
    world.clock.run(warm + seconds)
    whole = warm + seconds
    stations = world.stations()
    shown = sum(cell.visible for cell in world.cells)
    lasted, paused = world.checkpoints.lasted, world.checkpoints.paused
    return {
        "events": {"sent": world.sent, "visible": shown, "on_their_way": world.sent - shown},
        "visible_ms": {f"p{part * 100:g}": world.latencies.percentile(part) for part in (0.5, 0.95, 0.99, 0.999)},
        "busy": {name: _busy(found, whole) for name, found in stations.items()},
        "waiting": {
            name: round(sum(one.area for one in _closed(found)) / whole, 2) for name, found in stations.items()
        },
        "overloaded": sorted(name for name, found in stations.items() if _busiest(found, whole) > FULL),
        "checkpoints": {
            "number": len(lasted),
            "longest_s": round(max(lasted, default=0.0), 3),
            "longest_pause_ms": round(1000 * max(paused, default=0.0), 1),
        },
        "network_mb_s": {
            **{hop: round(bytes_ / whole / MB, 1) for hop, bytes_ in sorted(world.bytes.items())},
            "all_a_machine": round(sum(world.bytes.values()) / whole / MB / layout.machines, 1),
            "share_of_a_machines": round(
                sum(world.bytes.values()) / whole / MB / layout.machines / asked.machine.network_mb, 3
            ),
        },
    }


def recovered(asked: Asked, layout: Layout, *, seed: int, patience: float = 600.0) -> dict[str, Any]:
    """What the loss of a machine of the engine costs: whom it hits, how long nothing is folded, when all is well."""
    before = 1.5 * asked.habits.checkpoint
    world = World(asked, layout, seed=seed, cells=math.ceil(layout.cells / layout.engines))
    world.clock.run(before)
    world.lose_machine()
    gone_at, step, most = world.clock.now, 0.5, world.outage + patience
    world.clock.run(gone_at + world.outage)
    while not _well(world.cells) and world.clock.now - gone_at < most:
        world.clock.run(world.clock.now + step)
    took = world.clock.now - gone_at
    return {
        "workspaces_hit": len(world.cells),
        "nothing_folded_s": round(world.outage, 1),
        "folded_again": world.again,
        "well_after_s": round(took, 1) if took < most else None,
    }


def _well(cells: Sequence[Cell]) -> bool:
    return all(task.waits < WELL for cell in cells for task in cell.tasks)


def _closed(stations: Sequence[Station]) -> Sequence[Station]:
    for one in stations:
        one.close()
    return stations


def _busiest(stations: Sequence[Station], seconds: float) -> float:
    return max(one.busy / one.servers / seconds for one in stations)


def _busy(stations: Sequence[Station], seconds: float) -> dict[str, float]:
    """Of each server's time: on average, and of the busiest."""
    every = [one.busy / one.servers / seconds for one in stations]
    return {"mean": round(sum(every) / len(every), 3), "most": round(max(every), 3)}
