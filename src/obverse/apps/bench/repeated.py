"""A benchmark that is run several times: each time in a process of its own, and told with what lies in the middle."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from obverse.apps.bench.machine import BenchFailed
from obverse.apps.processes import run, set_up_logging, until_told_to_stop

Figures = dict[str, Any]
Measure = Callable[[], Coroutine[Any, Any, Mapping[str, Any]]]
"""A benchmark: a function of a module with what it is given, so that another process can have it."""


async def repeated(measure: Measure, times: int) -> Figures:
    """
    Run a benchmark so many times, one after another; return what all runs gave, and each run as it came.

    Raises:
        BenchFailed: one of them did not come to its end.
    """
    runs = []
    for number in range(1, times + 1):
        runs.append(await _apart(measure))
        sys.stderr.write(f"obverse: run {number} of {times} is done{os.linesep}")
    return summary(runs)


def summary(runs: Sequence[Mapping[str, Any]]) -> Figures:
    """
    Median, least and most of every figure that is a number in each of these runs, beside the runs themselves.

    Figures within others are named with a dot; what is no measure (settings, process ids, histograms) is left to the
    runs. A flaw of any run is one of the whole.
    """
    each = [dict(_numbers(figures)) for figures in runs]
    common = [name for name in each[0] if all(name in one for one in each)]
    return {
        "repeat": len(runs),
        "figures": {name: _spread([one[name] for one in each]) for name in common},
        "runs": list(runs),
        "flaws": [f"run {number}: {flaw}" for number, one in enumerate(runs, 1) for flaw in one.get("flaws", ())],
    }


_NO_MEASURES = frozenset({"load", "machine", "postgres", "settings", "garbage_collector", "pid", "flaws"})


def _numbers(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    for name, value in figures.items():
        if name in _NO_MEASURES or name.startswith("histogram"):
            continue
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{before}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield before + name, value


def _spread(values: Sequence[float]) -> dict[str, float]:
    # Two in the middle give a mean with more digits than either was measured with.
    middle = round(median(values), 3)
    return {"median": middle, "min": min(values), "max": max(values)}


async def _apart(measure: Measure) -> Mapping[str, Any]:
    """One run in a process of its own, for memory and caches that the last run left behind would change its figures."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(measure, theirs))
    process.start()
    theirs.close()
    try:
        found: Mapping[str, Any] | str = await asyncio.to_thread(ours.recv)
    except EOFError:
        found = "a run ended without a word"
    finally:
        if process.is_alive():
            process.terminate()  # told to stop, it takes down what it has started; at its end it does nothing
        await asyncio.to_thread(process.join)
    if isinstance(found, str):
        raise BenchFailed(found)
    return found


def _measured(measure: Measure, to: Connection) -> None:
    set_up_logging("WARNING")

    async def work() -> int:
        try:
            to.send(await measure())
        except BenchFailed as error:
            to.send(str(error))
        except Exception as error:
            to.send(f"a run failed: {error}")
            raise
        return 0

    sys.exit(run(until_told_to_stop(work())))
