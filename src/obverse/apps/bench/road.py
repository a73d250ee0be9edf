"""`obverse bench road`: the whole road at a constant rate, from the sender's body to the visible profile."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from obverse.apps.bench.growth import grown, growth
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import histogram, percentile
from obverse.apps.bench.marks import Marks
from obverse.apps.bench.messages_written import messages_of
from obverse.apps.bench.phases import Phase, send_phase
from obverse.apps.bench.reads import Reads
from obverse.apps.bench.trial import trial_of


async def bench_road(load: Load) -> dict[str, Any]:
    """
    Start an installation, send the load, and tell the figures.

    Raises:
        BenchFailed: the installation did not start, or not everything was answered.
    """
    phase, marks = Phase(load.rate, load.seconds), Marks()
    async with trial_of(load) as trial:
        reads = Reads(load)
        works = [asyncio.create_task(one) for one in (marks.send(trial.doors, load.seconds), reads.send(trial.here))]
        await send_phase(phase, trial.doors, load, b"load-%d" % os.getpid())
        trial.ended = phase.ended
        await asyncio.gather(*works)
        wrote = await messages_of(trial.here, marks) if load.marked else None
    accepted, looks = (
        len(phase.accepted) * load.batch + marks.accepted,
        trial.watch.looks_between(phase.began, phase.ended),
    )
    own = {
        "accepted": accepted,
        **phase.answer_figures(load.batch),
        "visible_p50_ms": round(percentile(marks.visible, 0.5) * 1000, 2),
        "visible_p99_ms": round(percentile(marks.visible, 0.99) * 1000, 2),
        **({} if wrote is None else wrote.figures()),
        **reads.figures(),
        **({} if trial.rolls is None else trial.rolls.figures(phase)),
        "memory": growth(looks),
    }
    flaws = phase.failures() + marks.flaws() + phase.lacks(load.batch) + trial.losses(accepted) + reads.flaws()
    flaws += grown(looks, load.seconds)
    flaws += [] if trial.rolls is None else trial.rolls.flaws(phase)
    flaws += [] if wrote is None else wrote.flaws()
    return {**trial.figures(own), "histogram_ms": histogram(phase.accepted), "flaws": flaws}
