"""What rolls over in the middle of a load: a segment of the log, and a partition of `event_stream`."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Any, Final

import aiohttp
import asyncpg

from obverse.apps.bench.installed import Installed, restarted
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed, spread
from obverse.apps.bench.phases import Phase

LEAST_SECONDS: Final = 4
"""Of a load in whose middle something may roll over."""
AROUND: Final = 0.5
"""Seconds before and after something happened whose answers are told apart."""
_LOOK: Final = 0.1
"""Seconds between two looks at how far the numbers of events are."""
_SCRAPE: Final = 1.0
"""Seconds between two looks at the worker's metrics; checkpoints are further apart."""
_SEGMENT: Final = "select name, starts_at, ends_at from event_log_segments() where stream = 'events' order by starts_at"
_PARTITIONS: Final = "select end_id from event_stream_partitions() order by end_id"
_LAST: Final = "select last_value from event_stream_event_id_seq"
_AGE: Final = re.compile(r"^obverse_checkpoint_age_seconds (\S+)", re.MULTILINE)
_SUM: Final = re.compile(r'^obverse_engine_step_seconds_sum\{step="checkpoint"\} (\S+)', re.MULTILINE)

Spans = Sequence[tuple[float, float]]
"""From when to when, by `perf_counter`, in order."""


@dataclass(slots=True)
class Rolls:
    """What is to roll over, and what was seen of it."""

    here: Installed
    segment_name: str
    """Of the one that ends."""
    partition_ends: int
    """The number of the first event in the next partition."""
    segment: float | None = None
    """When the log's segment rolled, by `perf_counter`."""
    partition: float | None = None
    """The same of the partition."""
    checkpoints: list[tuple[float, float]] = field(default_factory=list)
    """When each began and ended, as the worker's metrics tell."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look while the block runs."""
        watching = [asyncio.create_task(one) for one in (self._watch_numbers(), self._watch_checkpoints())]
        try:
            yield
        finally:
            for one in watching:
                one.cancel()
            ended = await asyncio.gather(*watching, return_exceptions=True)
        for why in ended:
            if isinstance(why, Exception):
                raise why
        await self._look_back()

    async def _watch_numbers(self) -> None:
        connection = await asyncpg.connect(self.here.dsn)
        try:
            while self.partition is None:
                if await connection.fetchval(_LAST) >= self.partition_ends:
                    self.partition = perf_counter()
                await asyncio.sleep(_LOOK)
        finally:
            connection.terminate()

    async def _watch_checkpoints(self) -> None:
        before: float | None = None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            while True:
                async with http.get(f"{self.here.worker}/metrics") as answer:
                    text, now = await answer.text(), perf_counter()
                age, took = _AGE.search(text), _SUM.search(text)
                if age is not None and took is not None:
                    total = float(took[1])
                    if before is not None and total > before:
                        ended = now - float(age[1])
                        self.checkpoints.append((ended - (total - before), ended))
                    before = total
                await asyncio.sleep(_SCRAPE)

    async def _look_back(self) -> None:
        """Find out when the first event came into the next segment."""
        connection = await asyncpg.connect(self.here.dsn)
        try:
            first = await connection.fetchval(
                "select extract(epoch from min(appended_at))::float8 from event_log"
                " where stream = 'events' and tableoid::regclass::text <> $1",
                self.segment_name,
            )
        finally:
            await connection.close()
        if first is not None:
            self.segment = perf_counter() + first - time()

    def figures(self, phase: Phase) -> dict[str, Any]:
        """When what happened, in seconds since the load began, and how those were answered who were sent then."""
        answers = _Answers.of(phase)
        checkpoints = [one for one in self.checkpoints if one[1] >= phase.began and one[0] <= phase.ended]
        rolls = {"log_segment": self.segment, "event_stream_partition": self.partition}
        around = {name: [] if at is None else [_around(at, at)] for name, at in rolls.items()}
        beside = [_around(*one) for one in checkpoints]
        every = sorted([*beside, *(span for spans in around.values() for span in spans)])
        return {
            "rolls": {
                name: {"at_s": None if at is None else round(at - phase.began, 2), **answers.within(around[name])}
                for name, at in rolls.items()
            },
            "checkpoints": {
                "at_s": [round(ended - phase.began, 2) for _, ended in checkpoints],
                "took_s": [round(ended - began, 2) for began, ended in checkpoints],
                **answers.within(beside),
            },
            "elsewhere": answers.within(list(_between(phase, every))),
        }

    def flaws(self, phase: Phase) -> list[str]:
        """What did not happen while the load was sent, though the figures are to be of it."""
        seen = {
            "the log's segment did not roll over": self.segment,
            "no partition of event_stream rolled over": self.partition,
        }
        flaws = [
            f"{what} while events were sent"
            for what, at in seen.items()
            if at is None or not phase.began <= at <= phase.ended
        ]
        return flaws if self.checkpoints else [*flaws, "there was no checkpoint while events were sent"]


@dataclass(frozen=True, slots=True)
class _Answers:
    """Those of a phase that were 200, by the moments at which they were due."""

    due: Sequence[float]
    took: Sequence[float]

    @classmethod
    def of(cls, phase: Phase) -> _Answers:
        pairs = sorted(zip(phase.due, phase.accepted, strict=True))
        return cls([due for due, _ in pairs], [took for _, took in pairs])

    def within(self, spans: Spans) -> dict[str, Any]:
        """How they were answered that were due then; each counts once."""
        found, reached = list[float](), 0
        for since, until in sorted(spans):
            first, end = max(reached, bisect_left(self.due, since)), bisect_left(self.due, until)
            found += self.took[first:end]
            reached = max(reached, end)
        return {"answers": len(found), **(spread(found) if found else {})}


def _around(since: float, until: float) -> tuple[float, float]:
    return since - AROUND, until + AROUND


def _between(phase: Phase, spans: Spans) -> Iterator[tuple[float, float]]:
    reached = phase.began
    for since, until in spans:
        if since > reached:
            yield reached, since
        reached = max(reached, until)
    yield reached, max(reached, phase.ended)


async def arrange_rolls(here: Installed, load: Load) -> Rolls:
    """
    Have a segment of the log and a partition of `event_stream` end in the middle of the load that comes next.

    The segment of today is given an end then, and the numbers of events are set ahead, so that the partition is full
    when half of them are stored. The collector is started anew before, for it would remember when its segment ended;
    what makes the next ones is the installation's own work, as at midnight and after ten million events.

    Raises:
        BenchFailed: the log is not in PostgreSQL, the engine is not the worker's, or the load is too short for it.
    """
    if load.log != "postgres" or load.engine != "embedded":
        raise BenchFailed("--roll is for the log in PostgreSQL and the engine in the worker: leave out --log, --engine")
    if load.seconds < LEAST_SECONDS:
        raise BenchFailed(f"nothing can roll over in the middle of {load.seconds} s: say --seconds {LEAST_SECONDS}")
    await restarted(here, "collector")
    connection = await asyncpg.connect(here.dsn)
    try:
        ends = time() + load.seconds / 2
        segment = await _end_segment(connection, ends)
        half = load.rate * load.seconds // 2
        last = await connection.fetchval(_LAST)
        parts = [row[0] for row in await connection.fetch(_PARTITIONS)]
        full = next((end for end in parts if end - half > last), None)
        if full is None:
            raise BenchFailed(f"no partition of event_stream has room for {half} events: say a lower --rate")
        await connection.fetchval("select setval('event_stream_event_id_seq', $1)", full - half)
    finally:
        await connection.close()
    return Rolls(here, segment, full)


async def _end_segment(connection: asyncpg.Connection, ends: float) -> str:
    """Give the segment of now an end; return its name."""
    segments = await connection.fetch(_SEGMENT)
    now = [one for one in segments if one["starts_at"].timestamp() <= time() < one["ends_at"].timestamp()]
    if not now or ends >= now[0]["ends_at"].timestamp():
        raise BenchFailed("the log's segment ends by itself too soon: run it again in a while")
    (one,) = now
    async with connection.transaction():
        # Its neighbours are empty, and would be in the way of the one that is to follow.
        for other in segments:
            if other["starts_at"] > one["starts_at"]:
                await connection.execute(f'drop table "{other["name"]}"')
        await connection.execute(f'alter table event_log detach partition "{one["name"]}"')
        bounds = await connection.fetchrow(
            "select quote_literal($1::timestamptz), quote_literal(to_timestamp($2))", one["starts_at"], ends
        )
        await connection.execute(
            f'alter table event_log attach partition "{one["name"]}"'
            f" for values from ('events', {bounds[0]}) to ('events', {bounds[1]})"
        )
    name: str = one["name"]
    return name
