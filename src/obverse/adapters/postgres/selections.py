"""Whom conditions hold for: each one as SQL over what is kept, with its values as parameters."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import asyncpg
from pyroaring import BitMap64

from obverse.adapters.postgres import selection_queries as queries
from obverse.adapters.postgres.connection import borrowed, trouble
from obverse.adapters.postgres.profile_writer import LOST
from obverse.adapters.postgres.reading import READ_LIMIT, Reading
from obverse.adapters.postgres.selection_queries import Parameters
from obverse.core import profiles
from obverse.core.conditions import Condition, Did, Events, Member, Steps, Test
from obverse.core.conditions.occurring import went_through
from obverse.ports.selections import Selection

_Run = tuple[Sequence[Test], Sequence[int]]
"""Tests, and everybody's number with a bit for each of them behind it."""


class PostgresSelections(Reading):
    """See `Selections`."""

    async def select(self, conditions: Collection[Condition], *, now: int) -> Selection:
        """See `Selections.select`."""
        conditions = list(dict.fromkeys(conditions))
        # All of those that look at a profile's own row are looked up in one run over everybody.
        of_rows = [one for one in conditions if isinstance(one, Test) and one.subject != "identifier"]
        others = [one for one in conditions if one not in of_rows]
        try:
            async with (
                asyncio.timeout(READ_LIMIT),
                borrowed(self._readers, limit=READ_LIMIT) as reader,
                reader.transaction(isolation="repeatable_read", readonly=True),
            ):
                await reader.execute(queries.SETTLE)
                runs = await self._of_rows(reader, of_rows, now)
                # The database looks for the others while the numbers are sorted out here.
                (everybody, chosen), found = await asyncio.gather(
                    asyncio.to_thread(_sorted_out, runs), self._all_others(reader, others, now)
                )
        except LOST as error:
            raise trouble(error, "look up whom a condition holds for") from error
        return Selection(everybody, chosen | {one: people & everybody for one, people in found.items()})

    async def numbered(self, numbers: Sequence[int]) -> Sequence[bytes]:
        """See `Selections.numbered`."""
        rows = await self._read(queries.NUMBERED, list(numbers))
        return [profiles.whole(row["known"] or b"", row["state"]) for row in rows]

    async def _of_rows(self, reader: asyncpg.Connection, tests: Sequence[Test], now: int) -> list[_Run]:
        """Everybody's number with bits behind it, for each so many tests."""
        runs = []
        for at in range(0, max(1, len(tests)), queries.MOST):
            some = tests[at : at + queries.MOST]
            values = Parameters(self._workspace)
            wanted = [queries.of_row(one, values, now) for one in some]
            # All rows are asked for, though there is one: for the first row alone no two processes would work together.
            ((numbers,),) = await reader.fetch(queries.run(wanted), *values.given, timeout=READ_LIMIT)
            runs.append((some, numbers or ()))
        return runs

    async def _all_others(
        self, reader: asyncpg.Connection, conditions: Sequence[Condition], now: int
    ) -> dict[Condition, BitMap64]:
        return {one: await self._others(reader, one, now) for one in conditions}

    async def _others(self, reader: asyncpg.Connection, one: Condition, now: int) -> BitMap64:
        values = Parameters(self._workspace)
        match one:
            case Test():
                query = queries.of_identifiers(one, values)
            case Member("audience"):
                query = queries.of_audience(one, values)
            case Member():
                query = queries.of_group(one, values)
            case Did():
                query = queries.of_events(one, values, now)
            case Steps():
                return await self._of_steps(reader, one, now)
            case _:
                raise ValueError(f"{type(one).__name__} joins other conditions; ask for those")
        ((numbers,),) = await reader.fetch(query, *values.given, timeout=READ_LIMIT)
        return BitMap64(numbers or ())

    async def _of_steps(self, reader: asyncpg.Connection, steps: Steps, now: int) -> BitMap64:
        happened: dict[int, dict[Events, Sequence[int]]] = {}
        for place, events in enumerate(dict.fromkeys(step.events for step in steps.steps)):
            values = Parameters(self._workspace)
            rows = await reader.fetch(queries.moments(events, values), *values.given, timeout=READ_LIMIT)
            for number, moments in rows:
                # Who did not do the first step did not go through them.
                if place == 0:
                    happened[number] = {events: moments}
                elif number in happened:
                    happened[number][events] = moments
        return await asyncio.to_thread(_through, steps, happened, now)


def _sorted_out(runs: Sequence[_Run]) -> tuple[BitMap64, dict[Condition, BitMap64]]:
    """Everybody, and those for whom each test holds."""
    chosen: dict[Condition, BitMap64] = {}
    everybody = BitMap64()
    for tests, numbers in runs:
        everybody, sets = _sorted_run(numbers, len(tests))
        chosen.update(zip(tests, sets, strict=True))
    return everybody, chosen


def _sorted_run(numbers: Sequence[int], predicates: int) -> tuple[BitMap64, list[BitMap64]]:
    """Everybody, and those for whom each predicate holds, of numbers with bits behind them."""
    alike: dict[int, list[int]] = {}
    mask = (1 << predicates) - 1
    for number in numbers:
        bits = number & mask
        if bits in alike:
            alike[bits].append(number >> predicates)
        else:
            alike[bits] = [number >> predicates]
    parts = {bits: BitMap64(some) for bits, some in alike.items()}
    sets = [
        BitMap64().union(*(part for bits, part in parts.items() if bits >> place & 1)) for place in range(predicates)
    ]
    return BitMap64().union(*parts.values()), sets


def _through(steps: Steps, happened: Mapping[int, Mapping[Events, Sequence[int]]], now: int) -> BitMap64:
    return BitMap64(
        number for number, known in happened.items() if went_through(steps, partial(_moments, known), now)[0]
    )


def _moments(known: Mapping[Events, Sequence[int]], events: Events) -> Sequence[int]:
    return known.get(events, ())
