"""Measure: which traits are defined, how many people have a value of them, and how these are spread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from obverse.core import json_values, times
from obverse.core.definitions import Definitions, Trait
from obverse.core.distributions import Distribution, Numbers, Values, distribution
from obverse.flows.views import Time
from obverse.ports.trait_runs import TraitRun, TraitRuns
from obverse.ports.trait_values import TraitValues

MOST: Final = 100_000
"""People who are looked at; of more some are taken."""

LookedAt = Annotated[
    int, Meta(description=f"Of everybody: fewer beyond {MOST:,}, of whom about so many are looked at.")
]


class NoSuchTrait(LookupError):
    """A name that no trait has; the message says which there are."""


class TraitRunView(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the latest run of a trait's query."""

    at: Annotated[Time, Meta(description="When it began.")]
    took_seconds: Annotated[float | None, Meta(description="Null if a release that did not note it ran it.")]
    due_at: Annotated[Time, Meta(description="When it is run again.")]
    rows: Annotated[
        dict[str, int],
        Meta(
            description="By what became of them: given, same, gone, unknown, twice, unusable.",
            examples=[{"given": 2, "same": 40}],
        ),
    ]
    people: Annotated[int, Meta(description="Who have a value by it: rows that were given, or the same as before.")]
    flaw: Annotated[
        str | None,
        Meta(
            description="Why it gave nothing, with the place in the query if that is known; null if it went well.",
            examples=['line 2, column 5: PostgreSQL says: column "revenu" does not exist'],
        ),
    ]


_Run = Annotated[
    TraitRunView | None, Meta(description="Of a trait by a query, the latest run of that query; null before the first.")
]


class TraitView(msgspec.Struct, frozen=True, kw_only=True):
    """A trait that is defined."""

    name: str
    description: str
    spec: Annotated[dict[str, Any], Meta(description="As the definition says it, without what goes without saying.")]
    having: Annotated[int, Meta(description="People who have a value, of those who were looked at.")]
    run: _Run


class TraitsView(msgspec.Struct, frozen=True, kw_only=True):
    """Every trait that is defined, as of the last checkpoint."""

    traits: list[TraitView]
    everybody: int
    looked_at: LookedAt


class BinView(msgspec.Struct, frozen=True):
    """One bin of a histogram."""

    least: Raw
    below: Annotated[Raw, Meta(description="Where the next begins; of the last one the greatest number.")]
    count: int


class QuantileView(msgspec.Struct, frozen=True):
    """A number that this part of them does not exceed."""

    part: Annotated[float, Meta(description="0.5: the median.")]
    value: Raw


class NumbersView(msgspec.Struct, frozen=True, kw_only=True):
    """How numbers are spread."""

    count: int
    least: Raw
    most: Raw
    quantiles: list[QuantileView]
    bins: Annotated[
        list[BinView], Meta(description="Even ones; the last is wide if a few numbers are far beyond the others.")
    ]


class FrequentView(msgspec.Struct, frozen=True):
    """How often a value is there."""

    value: Raw
    count: int


class ValuesView(msgspec.Struct, frozen=True):
    """Which values there are."""

    distinct: int
    frequent: Annotated[list[FrequentView], Meta(description="The most frequent.")]


class PeriodView(msgspec.Struct, frozen=True):
    """How many times there are in a month or a year."""

    period: Annotated[str, Meta(description="`2026-01`, or `2026`.")]
    count: int


class TraitValuesView(msgspec.Struct, frozen=True, kw_only=True):
    """A trait and how its values are spread, as of the last checkpoint. What has no value of its kind is null."""

    name: str
    description: str
    spec: Annotated[dict[str, Any], Meta(description="As the definition says it, without what goes without saying.")]
    everybody: int
    looked_at: LookedAt
    having: Annotated[int, Meta(description="People who have a value, of those who were looked at.")]
    run: _Run
    newest: Annotated[Time | None, Meta(description="When one of these people last changed.")]
    numbers: NumbersView | None
    values: Annotated[ValuesView | None, Meta(description="Texts that say no time, true and false, objects.")]
    periods: Annotated[list[PeriodView] | None, Meta(description="Times, by month or year, in order.")]
    elements: Annotated[ValuesView | None, Meta(description="Lists, by their elements.")]


class Measure:
    """Tells of traits."""

    def __init__(self, store: TraitValues, runs: TraitRuns, definitions: Callable[[], Definitions]) -> None:
        self._store = store
        self._runs = runs
        self._definitions = definitions

    async def traits(self) -> TraitsView:
        """
        Return the traits that are defined, and how many people have a value of each.

        Raises:
            Unreachable, AccessRefused: the store cannot be read. So does `trait`.
        """
        shown = self._shown()
        counted = await self._store.count_values([one.name for one in shown], most=MOST)
        runs = await self._latest(shown)
        return TraitsView(
            traits=[
                TraitView(
                    name=one.name,
                    description=one.description,
                    spec=dict(one.spec),
                    having=counted.having[one.name],
                    run=runs.get(one.name),
                )
                for one in shown
            ],
            everybody=counted.everybody,
            looked_at=counted.looked_at,
        )

    async def trait(self, name: str) -> TraitValuesView:
        """
        Return a trait and how its values are spread.

        Raises:
            NoSuchTrait: none has this name.
        """
        shown = {one.name: one for one in self._shown()}
        if name not in shown:
            raise NoSuchTrait(f"there is no trait {name!r}; defined: {', '.join(shown) or 'none'}")
        runs = await self._latest([shown[name]])
        sample = await self._store.sample_values(name, most=MOST)
        found = await asyncio.to_thread(distribution, sample.values)
        return TraitValuesView(
            name=name,
            description=shown[name].description,
            spec=dict(shown[name].spec),
            everybody=sample.everybody,
            looked_at=sample.looked_at,
            having=len(sample.values),
            run=runs.get(name),
            newest=None if sample.newest is None else times.to_text(sample.newest),
            numbers=None if found.numbers is None else _numbers(found.numbers),
            values=_values(found.values),
            periods=_periods(found),
            elements=_values(found.elements),
        )

    async def _latest(self, traits: Sequence[Trait]) -> dict[str, TraitRunView]:
        queries = {one.name: one.query for one in traits if one.query is not None}
        if not queries:
            return {}
        return {
            one.trait: _run(one, query.every)
            for one in await self._runs.latest()
            # A run of another query says nothing of this one, which is run in a moment.
            if (query := queries.get(one.trait)) is not None and query.digest == one.digest
        }

    def _shown(self) -> Sequence[Trait]:
        return [one for one in self._definitions().traits if not one.hidden]


def _run(run: TraitRun, every: int) -> TraitRunView:
    return TraitRunView(
        at=times.to_text(run.at),
        took_seconds=None if run.took is None else run.took / 1_000_000,
        due_at=times.to_text(run.at + every),
        rows=dict(run.counts),
        people=run.counts.get("given", 0) + run.counts.get("same", 0),
        flaw=run.flaw,
    )


def _numbers(found: Numbers) -> NumbersView:
    return NumbersView(
        count=found.count,
        least=_raw(found.least),
        most=_raw(found.most),
        quantiles=[QuantileView(float(part), _raw(value)) for part, value in found.quantiles.items()],
        bins=[BinView(_raw(one.least), _raw(one.below), one.count) for one in found.bins],
    )


def _raw(value: Any) -> Raw:
    return Raw(json_values.encode(value))


def _values(found: Values | None) -> ValuesView | None:
    if found is None:
        return None
    return ValuesView(found.distinct, [FrequentView(Raw(one.value), one.count) for one in found.frequent])


def _periods(found: Distribution) -> list[PeriodView] | None:
    return None if found.periods is None else [PeriodView(*one) for one in found.periods.items()]
