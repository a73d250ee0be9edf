"""What each definition costs the fold: traits over windows to fold with, and each trait and audience by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from time import process_time
from typing import Any, Final

from obverse.core.audiences import Audience
from obverse.core.conditions import subjects
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.people import People
from obverse.wiring import trait_kinds

_ORDERS: Final[dict[str, Any]] = {"aggregate": "count", "event": "Order Completed"}
_SPENT: Final[dict[str, Any]] = {"aggregate": "sum", "event": "Order Completed", "property": "revenue"}
_SKUS: Final[dict[str, Any]] = {"aggregate": "unique_count", "event": "Product Added", "property": "sku"}
_WINDOWED: Final[Sequence[dict[str, Any]]] = (
    {**_ORDERS, "window": {"last": "7 days"}},
    {**_SPENT, "window": {"last": "30 days"}},
    {**_SKUS, "window": {"last": "365 days"}},
    {**_SPENT, "window": {"calendar": "month", "time_zone": "Europe/Berlin"}},
    {**_ORDERS, "window": {"calendar": "day"}, "where": {"op": "gte", "property": "revenue", "value": 50}},
)
ROUNDS: Final = 5
"""Runs of each definition and of none, in turns; the quickest of each counts."""


def windowed(count: int) -> list[Trait]:
    """Return so many traits over windows, of five sorts in turn."""
    kinds = trait_kinds()
    return [
        trait(f"windowed_{number}", "", spec, kinds) for number, spec in enumerate(islice(cycle(_WINDOWED), count), 1)
    ]


def with_windowed(definitions: Definitions, count: int) -> Definitions:
    """Return these traits and audiences, with so many traits over windows beside them."""
    return define(
        traits=[*definitions.traits, *windowed(count)],
        audiences=definitions.audiences,
        identity=definitions.identity,
    )


def costs(definitions: Definitions, events: Callable[[], Iterator[Event]], count: int) -> dict[str, dict[str, float]]:
    """
    Return what each trait and each audience costs an event of them all, in microseconds of CPU.

    Each is folded by itself, and none of them, with the same events; an audience with the traits that it looks at, less
    what these cost alone.
    """
    nothing = define(identity=definitions.identity)
    traits = {one.name: define(traits=[one], identity=definitions.identity) for one in definitions.traits}
    looked_at = {one.name: _traits_of(one, definitions) for one in definitions.audiences}
    without = {name: define(traits=of, identity=definitions.identity) for name, of in looked_at.items()}
    audiences = {
        one.name: define(traits=looked_at[one.name], audiences=[one], identity=definitions.identity)
        for one in definitions.audiences
    }
    told = list(events())

    def cost(one: Definitions, than: Definitions) -> float:
        took = [(_seconds(one, told), _seconds(than, told)) for _ in range(ROUNDS)]
        return round((min(mine for mine, _ in took) - min(other for _, other in took)) * 1_000_000 / count, 3)

    return {
        "us_per_event_by_trait": {name: cost(one, nothing) for name, one in traits.items()},
        "us_per_event_by_audience": {name: cost(one, without[name]) for name, one in audiences.items()},
    }


def _traits_of(audience: Audience, definitions: Definitions) -> list[Trait]:
    names = {name for subject, name in subjects(audience.where) if subject == "trait"}
    return [one for one in definitions.traits if one.name in names]


def _seconds(definitions: Definitions, events: Sequence[Event]) -> float:
    people = People("bench", definitions)
    began = process_time()
    for place, event in enumerate(events):
        people.fold(event, (0, place))
    return process_time() - began
