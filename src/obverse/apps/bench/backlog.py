"""`obverse bench backlog`: how fast a worker catches up with what came while it was away, while more comes in."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import aiohttp

from obverse.apps.bench.holding import held
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import histogram
from obverse.apps.bench.phases import Phase, send_phase
from obverse.apps.bench.trial import trial_of

FILLING: Final = 30_000
"""Events a second that are sent while nobody folds."""
_LOOK: Final = 0.5
"""Seconds between two looks at how far the worker is."""
_GONE: Final = 1.0
"""Seconds of what arrives that may be on their way when the backlog is said to be gone."""


@dataclass(slots=True)
class _Course:
    """How far the fold was, and when."""

    looks: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the worker went on, and the offset that it folds next."""

    async def follow(self, worker: str) -> None:
        """Ask the worker now and then, until cancelled."""
        began = perf_counter()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            while True:
                async with http.get(f"{worker}/ready") as answer:
                    folded = (await answer.json())["folded"]
                self.looks.append((perf_counter() - began, sum(folded.values())))
                await asyncio.sleep(_LOOK)

    def folded_per_second(self, seconds: float) -> int:
        """How many events a second were folded until then."""
        first, last = self.looks[0], max(look for look in self.looks if look[0] <= max(seconds, self.looks[0][0]))
        return round((last[1] - first[1]) / max(last[0] - first[0], _LOOK))

    def gone_after(self, waiting: int, rate: int) -> float | None:
        """When no more was behind than what had just come in; None if that never was."""
        start = self.looks[0][1]
        return next((at for at, folded in self.looks if waiting + rate * (at - _GONE) <= folded - start), None)


async def bench_backlog(load: Load, backlog: int) -> dict[str, Any]:
    """
    Hold the worker while a backlog comes in, then let it go on while the load is sent, and tell how both fare.

    Raises:
        BenchFailed: the installation did not start, or not everything was answered.
    """
    filling = Phase(min(FILLING, backlog), -(-backlog // FILLING))
    steady, course = Phase(load.rate, load.seconds), _Course()
    async with trial_of(load) as trial:
        with held(trial.here.pids["worker"]):
            await send_phase(filling, trial.doors, load, b"backlog-%d" % os.getpid())
        following = asyncio.create_task(course.follow(trial.here.worker))
        await send_phase(steady, trial.doors, load, b"steady-%d" % os.getpid())
        trial.ended = steady.ended
        following.cancel()
    waiting = len(filling.accepted) * load.batch
    accepted = waiting + len(steady.accepted) * load.batch
    gone = course.gone_after(waiting, load.rate)
    own = {
        "accepted": accepted,
        "backlog": waiting,
        "backlog_gone_after_s": None if gone is None else round(gone, 1),
        "folded_per_second": course.folded_per_second(load.seconds if gone is None else gone),
        "filling": filling.answer_figures(load.batch),
        **steady.answer_figures(load.batch),
    }
    flaws = _flaws(steady, gone) + steady.lacks(load.batch) + trial.losses(accepted)
    return {**trial.figures(own), "histogram_ms": histogram(steady.accepted), "flaws": flaws}


def _flaws(steady: Phase, gone: float | None) -> list[str]:
    left = [f"the backlog was not gone after {steady.seconds} s"] if gone is None else []
    return [*steady.failures(), *left, *steady.late()]
