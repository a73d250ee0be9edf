"""`obverse bench engine`: an engine by itself, over a log that was filled beforehand; then at a pace."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, islice
from time import perf_counter
from typing import Any, Final

from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.engine.asked import BATCH, EMBEDDED, STEADY, Asked
from obverse.apps.bench.engine.cores import on_cores, shared_out
from obverse.apps.bench.engine.course import Look, look, steady_figures, threads_figures
from obverse.apps.bench.engine.events import batches, happening, known
from obverse.apps.bench.engine.hosts import Fold, Place, folding
from obverse.apps.bench.engine.machine_alone import profiled
from obverse.apps.bench.engine.pacing import A_SECOND, Paced
from obverse.apps.bench.engine.routing import Filled, filled_by
from obverse.apps.bench.installed import log_of, new_folder
from obverse.apps.bench.machine import Watch, heaps_mb, machine
from obverse.apps.log_stand_ins import LogToUse

__all__ = ["Asked", "bench_engine"]

SHORT: Final = 5.0
"""Seconds that the steady part must last at least: what is shorter is chance."""
BUSY: Final = 0.7
"""Of its cores, what an engine must have had in the steady part; else it was others who held it up."""
_LOOK: Final = 10.0
"""Seconds between two looks at what all processes use."""
_OF_ONE: Final = ("events_per_second", "events_per_second_per_core", "startup_s", "visible_p50_ms", "visible_p99_ms")


async def bench_engine(asked: Asked) -> dict[str, Any]:
    """
    Fill a log, have the engine fold it, then more at a pace, and tell what both took; with one core before more.

    Raises:
        BenchFailed: it cannot be done as asked.
        BadSettings, SandboxLacking, FlinkLacking, SparkLacking: something is not installed; says what to do.
    """
    figures = {**await _run(asked), "machine": machine()}
    if asked.cores == 1:
        return figures
    one = await _run(replace(asked, cores=1, profile=False))
    return {
        **{name: figures[name] for name in ("benchmark", "engine", *_OF_ONE)},
        "scaling": round(figures["events_per_second"] / one["events_per_second"], 2),
        **figures,
        "with_1_core": {name: one[name] for name in (*_OF_ONE, "steady", "paced", "cores")},
        "flaws": [*figures["flaws"], *(f"with one core: {flaw}" for flaw in one["flaws"])],
    }


async def _run(asked: Asked) -> dict[str, Any]:
    cores, folder = shared_out(asked.cores), new_folder()
    try:
        with on_cores(cores.others):
            async with log_of("kafka") as to_use:
                table, own = _kafka(to_use), to_use.settings.port_options("engine", asked.engine)[1]
                async with filled_by(asked.engine, own, table, open_runtime()) as filled:
                    return await _measure(asked, filled, to_use, Place(table, own, folder, cores))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kafka(to_use: LogToUse) -> dict[str, Any]:
    """The table of a log that nobody else uses."""
    table = to_use.settings.port_options("event_log", "kafka")[1]
    return {**table, "prefix": f"bench-{os.getpid()}-{os.urandom(4).hex()}"}


async def _measure(asked: Asked, filled: Filled, to_use: LogToUse, place: Place) -> dict[str, Any]:
    load = happening(asked)
    await filled.fill(batches(chain(known(asked), islice(load, asked.events)), BATCH))
    await filled.route()
    each = asked.rate // A_SECOND
    to_pace = list(batches(islice(load, each * A_SECOND * asked.seconds), each))
    # Of Flink and Spark items are counted: to make somebody known takes two, a decision and an event.
    whole, first = (asked.backlog, asked.people) if asked.engine == EMBEDDED else (filled.turns.end, 2 * asked.people)
    paced = Paced()
    async with folding(asked, place, whole) as fold:
        watch = Watch({**to_use.pids, **fold.pids(), "generator": os.getpid()})
        watch.look()
        looking = asyncio.create_task(_look(watch))
        try:
            begun, ended = [
                await _reach(fold, first + int(share * (whole - first)), to_use.pids, profile=asked.profile)
                for share in STEADY
            ]
            await fold.until(lambda: fold.course.done >= whole, "the whole backlog is folded")
            await paced.send(filled, to_pace)
            await _see_all(fold, filled, paced, whole)
        finally:
            looking.cancel()
        watch.look()
        processes, done, pids = watch.report(), fold.course.done, fold.pids()
        heaps = heaps_mb({**to_use.pids, **pids})
    events_each = asked.events / (whole - first)
    steady = steady_figures(begun, ended, events_each=events_each, engine=pids)
    profile = await _profile(begun, ended, events_each, filled, range(first, whole)) if asked.profile else {}
    return {
        "benchmark": "engine",
        "engine": asked.engine,
        "events_per_second": steady.pop("events_per_second"),
        "events_per_second_per_core": steady.pop("events_per_second_per_core"),
        "startup_s": round(fold.startup, 1),
        **paced.figures(),
        **steady,
        "settings": asked.told(),
        "engine_settings": dict(fold.told),
        "kafka_settings": {name: value for name, value in place.kafka.items() if name not in {"servers", "prefix"}},
        "sink": "profiles and events are packed, and dropped in place of written",
        "java_heaps_mb": heaps,
        "cores": place.cores.told(),
        "load_average": round(os.getloadavg()[0], 2),
        "peak_memory_bytes": watch.peak,
        "processes": processes,
        **profile,
        "flaws": _flaws(asked, steady["steady"], done - whole) + paced.flaws(),
    }


async def _look(watch: Watch) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        await asyncio.to_thread(watch.look)


async def _reach(fold: Fold, done: int, broker: Mapping[str, int], *, profile: bool) -> Look:
    await fold.until(lambda: fold.course.done >= done, f"{done} folded")
    pids = fold.pids()
    return look(fold.course, {**broker, **pids}, pids if profile else None)


async def _see_all(fold: Fold, filled: Filled, paced: Paced, first: int) -> None:
    """Wait until all of the paced phase is seen."""

    def seen() -> bool:
        if filled.routed is None:
            return fold.course.done >= filled.appended
        paced.read(fold.course, filled.turns, first)
        return paced.items >= filled.turns.end - first

    if filled.routed is not None:
        await filled.until_routed()
    await fold.until(seen, "all that was sent is folded")
    paced.behind = perf_counter() - paced.ended
    if filled.routed is None:
        paced.read_steps(fold.course)


async def _profile(begun: Look, ended: Look, events_each: float, filled: Filled, numbers: range) -> dict[str, Any]:
    threads = threads_figures(begun, ended, events=(ended.done - begun.done) * events_each)
    return {"profile": {"threads_us_per_event": threads, "machine": await profiled(filled.log, numbers)}}


def _flaws(asked: Asked, steady: Mapping[str, float], surplus: int) -> list[str]:
    flaws, seconds, busy = [], steady["seconds"], steady["engine_cores_busy"]
    if seconds < SHORT:
        flaws.append(f"the steady part took {seconds} s, which is too short: ask for more --events than {asked.events}")
    if busy < BUSY * asked.cores:
        flaws.append(f"the engine had {busy} of {asked.cores} cores: others use the machine, so believe CPU alone")
    if asked.engine != EMBEDDED and surplus:
        flaws.append(f"{surplus} items were folded again: a task failed meanwhile")
    return flaws
