"""`obverse bench backfill`: how long it takes until a changed trait is computed from history, while events come.

Some people are read all the while: everybody must show the old value until the swap, and then the new one.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import aiohttp
import asyncpg

from obverse.apps.bench.backlog import FILLING
from obverse.apps.bench.installed import Installed
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import histogram
from obverse.apps.bench.phases import Phase, send_phase
from obverse.apps.bench.trial import drained, trial_of
from obverse.apps.bench.watched import Watched, histories, judge, sample

_LOOK: Final = 0.2
"""Seconds between two looks at where the backfill stands."""
_BEFORE: Final = "metadata: {name: orders}\nspec: {aggregate: count, event: Order Completed}"
_AFTER: Final = (
    "metadata: {name: orders}\n"
    "spec: {aggregate: count, event: Order Completed, where: {op: gte, property: revenue, value: 50}}"
)
_WRONG: Final = """
select count(*) from (
    select profile_id, count(*) filter (where (properties ->> 'revenue')::numeric >= 50) as orders
    from public.person_events where event_type = 'Order Completed' group by 1
) as found join public.customer_profiles as profile on profile.id = profile_id
where found.orders <> coalesce((profile.computed_traits ->> 'orders')::bigint, 0)
"""
"""How many people have another value than a count over their events gives."""


@dataclass(slots=True)
class _Course:
    live: float | None = None
    """Seconds after the file was changed until everybody saw the new value."""
    done: float | None = None
    """The same, until everybody had followed it into and out of audiences."""

    async def follow(self, here: Installed) -> None:
        """Look where it stands until it is done; the collector's events come meanwhile."""
        began = perf_counter()
        connection = await asyncpg.connect(here.dsn)
        try:
            while self.done is None:
                phase = await connection.fetchval("select phase from public.backfills")
                if phase in {"turning", "done"} and self.live is None:
                    self.live = perf_counter() - began
                if phase == "done":
                    self.done = perf_counter() - began
                await asyncio.sleep(_LOOK)
        finally:
            await connection.close()


async def bench_backfill(load: Load, history: int) -> dict[str, Any]:
    """
    Have a trait changed over a history of so many events while the load is sent and some people are read.

    What was read, and what everybody has in the end, is held against a plain count over their events.

    Raises:
        BenchFailed: the installation did not start, or not everything was answered.
    """
    filling = Phase(min(FILLING, history), -(-history // FILLING))
    steady, course = Phase(load.rate, load.seconds), _Course()
    watched = Watched(sample(load.people))
    async with trial_of(load) as trial:
        await send_phase(filling, trial.doors, load, b"history-%d" % os.getpid())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            await drained(http, trial.here)
        async with watched.all_the_while(trial.here):
            path = trial.here.data / "definitions" / "traits.yml"
            path.write_text(path.read_text().replace(_BEFORE, _AFTER))
            changed = perf_counter()
            following = asyncio.create_task(course.follow(trial.here))
            await send_phase(steady, trial.doors, load, b"steady-%d" % os.getpid())
            trial.ended = steady.ended
            await asyncio.wait_for(following, 20 * load.seconds)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            await drained(http, trial.here)
        connection = await asyncpg.connect(trial.here.dsn)
        wrong = await connection.fetchval(_WRONG)
        await connection.close()
        judged = judge(watched.readings, await histories(trial.here, watched.people), changed)
    before = len(filling.accepted) * load.batch
    accepted = before + len(steady.accepted) * load.batch
    own = {
        "history": before,
        "accepted": accepted,
        "live_after_s": None if course.live is None else round(course.live, 1),
        "done_after_s": None if course.done is None else round(course.done, 1),
        "people_with_another_value": wrong,
        "watched": judged.figures(),
        **steady.answer_figures(load.batch),
    }
    flaws = judged.flaws() + steady.failures() + steady.lacks(load.batch) + trial.losses(accepted)
    if wrong:
        flaws.append(f"{wrong} people have another value than a count over their events gives")
    return {**trial.figures(own), "histogram_ms": histogram(steady.accepted), "flaws": flaws}
