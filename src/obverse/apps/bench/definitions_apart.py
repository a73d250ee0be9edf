"""What each definition costs the fold: traits over windows to fold with, and each trait and audience by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from time import process_time
from typing import Any, Final

from obverse.core.audiences import Audience, conditions_of
from obverse.core.conditions import AUDIENCE, TRAIT, Condition, subjects
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


def costs(definitions: Definitions, events: Callable[[], Iterator[Event]], count: int, *, runs: int) -> dict[str, Any]:
    """
    Return what each trait and each audience costs an event of them all, in microseconds of CPU.

    Each is folded by itself, and none of them, with the same events; an audience with the traits and audiences that it
    looks at, less what these cost alone. All together may cost less than the sum: a property is read once for all of
    them, and what several remember of events is kept once. Each definition and none are run `runs` times in turns, and
    the quickest of each counts.
    """
    nothing = define(identity=definitions.identity)
    traits = {one.name: define(traits=[one], identity=definitions.identity) for one in definitions.traits}
    without = {one.name: _looked_at(one, definitions) for one in definitions.audiences}
    audiences = {
        one.name: define(
            traits=without[one.name].traits,
            audiences=[*without[one.name].audiences, one],
            identity=definitions.identity,
        )
        for one in definitions.audiences
    }
    told = list(events())

    def cost(one: Definitions, than: Definitions) -> float:
        took = [(_seconds(one, told), _seconds(than, told)) for _ in range(runs)]
        return round((min(mine for mine, _ in took) - min(other for _, other in took)) * 1_000_000 / count, 3)

    return {
        "us_per_event_by_trait": {name: cost(one, nothing) for name, one in traits.items()},
        "us_per_event_by_audience": {name: cost(one, without[name]) for name, one in audiences.items()},
        "us_per_event_of_all": cost(definitions, nothing),
    }


def _looked_at(audience: Audience, definitions: Definitions) -> Definitions:
    """The traits and audiences that an audience looks at, be it by way of others."""
    known = conditions_of(definitions.audiences)
    traits = {name for subject, name in subjects(audience.where, known) if subject == TRAIT}
    audiences = set(_audiences_in(audience.where, known))
    return define(
        traits=[one for one in definitions.traits if one.name in traits],
        audiences=[one for one in definitions.audiences if one.name in audiences],
        identity=definitions.identity,
    )


def _audiences_in(condition: Condition, known: Mapping[str, Condition]) -> Iterator[str]:
    for subject, name in subjects(condition):
        if subject == AUDIENCE:
            yield name
            yield from _audiences_in(known[name], known)


def _seconds(definitions: Definitions, events: Sequence[Event]) -> float:
    people = People("bench", definitions)
    began = process_time()
    for place, event in enumerate(events):
        people.fold(event, (0, place))
    return process_time() - began
