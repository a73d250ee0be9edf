"""`obverse bench overload`: what a collector does with several times as much as it can take."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any, Final

from obverse.apps.bench.growth import grown, growth
from obverse.apps.bench.holding import Stood, slowed
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import percentile
from obverse.apps.bench.phases import Phase, look_at_memory, send_phase
from obverse.apps.bench.trial import trial_of

FLAT: Final = 1.25
"""How much more memory the collector may have at the end of the overload than in its first tenth."""
_MAY_BE: Final = frozenset({int(HTTPStatus.OK), int(HTTPStatus.TOO_MANY_REQUESTS)})


async def bench_overload(load: Load, times: int, *, slow_consumer: bool = False) -> dict[str, Any]:
    """
    Send a third as long at the load's rate, then its seconds at `times` that, and tell how the two differ.

    With a slow consumer the worker goes on for a quarter of the time only while too much comes.

    Raises:
        BenchFailed: the installation did not start.
    """
    usual = Phase(load.rate, max(1, load.seconds // 3))
    much = Phase(load.rate * times, load.seconds)
    async with trial_of(load) as trial:
        pids = trial.here.pids
        for number, phase in enumerate((usual, much)):
            looking = asyncio.create_task(look_at_memory(phase, pids["collector"]))
            slow = slow_consumer and phase is much
            async with slowed(pids["worker"]) if slow else nullcontext(Stood()) as stood:
                await send_phase(phase, trial.doors, load, b"phase-%d-%d" % (number, os.getpid()))
            looking.cancel()
        trial.ended = much.ended
    accepted, unexplained = (len(usual.accepted) + len(much.accepted)) * load.batch, trial.doors.collector.unexplained
    looks = trial.watch.looks_between(much.began, much.ended)
    figures = trial.figures(
        {
            "times": times,
            "slow_consumer": slow_consumer,
            "consumer_stood_still_s": round(stood.seconds, 2),
            "usual": usual.figures(load.batch),
            "overload": much.figures(load.batch),
            "p99_ratio": round(percentile(much.accepted, 0.99) / percentile(usual.accepted, 0.99), 2),
            "accepted": accepted,
            "without_retry_after": unexplained,
            "memory": growth(looks),
        }
    )
    flaws = _flaws(usual, much, load.batch, unexplained) + grown(looks, load.seconds)
    return {**figures, "flaws": flaws + trial.losses(accepted)}


def _flaws(usual: Phase, much: Phase, batch: int, unexplained: int) -> list[str]:
    flaws = [f"{unexplained} refusals did not say when to come again"] if unexplained else []
    for phase in (usual, much):
        others = sum(count for status, count in phase.statuses.items() if status not in _MAY_BE)
        if others:
            flaws.append(f"{others} requests at {phase.rate}/s were answered neither 200 nor 429")
        flaws += phase.lacks(batch) + phase.late()
    if usual.refused:
        flaws.append(f"{len(usual.refused)} requests were refused at {usual.rate}/s already: ask for a lower rate")
    if not much.refused:
        flaws.append(f"{much.rate}/s is no overload: ask for a higher rate")
    at_first = max(much.memory[: max(1, len(much.memory) // 10)])
    if much.memory[-1] > FLAT * at_first:
        flaws.append(f"the collector grew from {at_first} to {much.memory[-1]} bytes")
    return flaws
