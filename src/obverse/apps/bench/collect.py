"""`obverse bench collect`: the way of a request up to its answer, while all that comes behind it runs as usual."""

from __future__ import annotations

import os
from typing import Any

from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import histogram
from obverse.apps.bench.phases import Phase, send_closed, send_phase
from obverse.apps.bench.trial import trial_of


async def bench_collect(load: Load) -> dict[str, Any]:
    """
    Send the load, or if it has no rate as much as is taken, and tell how it was answered.

    Raises:
        BenchFailed: the installation did not start, or not everything was answered.
    """
    phase = Phase(load.rate, load.seconds)
    send = send_phase if load.rate else send_closed
    async with trial_of(load) as trial:
        await send(phase, trial.doors, load, b"load-%d" % os.getpid())
        trial.ended = phase.ended
    accepted = len(phase.accepted) * load.batch
    answers = phase.answer_figures(load.batch)
    own = {"accepted": accepted, **answers, "events_per_second": answers["rate_achieved"]}
    flaws = phase.failures() + phase.lacks(load.batch) + trial.losses(accepted)
    return {**trial.figures(own), "histogram_ms": histogram(phase.accepted), "flaws": flaws}
