"""Steps of the tests of what time alone does: traits over windows, audiences that look at them, logs over some days."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from obverse.core import profiles, spans
from obverse.core.changes import Change
from obverse.core.definitions import Trait, define
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.traits.collections import UniqueCount, UniqueList
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.numbers import Count, Sum
from people_steps import NOW, audience, bought, event

KINDS: Final[dict[str, TraitKind]] = {
    "count": Count(),
    "sum": Sum(),
    "unique_count": UniqueCount(),
    "unique_list": UniqueList(),
}


def windowed(name: str, **spec: Any) -> Trait:
    return trait(name, "", {"event": "Bought", **spec}, KINDS)


DAYS: Final = define(
    traits=[
        windowed("orders", aggregate="count"),
        windowed("orders_7d", aggregate="count", window={"last": "7 days"}),
        windowed("spent_2d", aggregate="sum", property="price", window={"last": "2 days"}),
        windowed("skus_today", aggregate="unique_list", property="sku", window={"calendar": "day"}),
        windowed(
            "dear_this_week",
            aggregate="count",
            where={"op": "gte", "property": "price", "value": 5},
            window={"calendar": "week", "time_zone": "Europe/Berlin"},
        ),
        windowed("dear", aggregate="count", where={"op": "gte", "property": "price", "value": 5}),
    ],
    audiences=[
        audience("active", op="gte", trait="orders_7d", value=1),
        audience(
            "lapsed",
            op="and",
            of=[
                {"op": "exists", "trait": "orders"},
                {"op": "not", "of": {"op": "gte", "trait": "orders_7d", "value": 1}},
            ],
        ),
        audience("big", op="gt", trait="spent_2d", value=9),
    ],
    identity=IdentityRules(limits={}),
)


def day(number: float) -> int:
    """An instant of these tests, in microseconds since 1970."""
    return NOW + round(number * spans.DAY)


def at(one: Event, happened: float, arrived: float | None = None) -> Event:
    """The same event, on other days."""
    return replace(one, timestamp=day(happened), received_at=day(happened if arrived is None else arrived))


def settle(people: People, now: int) -> list[Change]:
    """Have time go on for everybody."""
    told = []
    for profile in people.profiles.values():
        told += profiles.advance(profile, now, people.definitions)
    return told


def settled(people: People, now: int) -> People:
    settle(people, now)
    return people


_NAMES: Final = st.sampled_from(["ada", "bob", None])
_DEVICES: Final = st.sampled_from(["a-1", "a-2", None])
_PRICES: Final[SearchStrategy[float | str]] = st.sampled_from([2, 5, "7.50"])
_STEPS: Final = st.integers(0, 80).map(lambda eighths: eighths / 8)


@st.composite
def day_logs(draw: st.DrawFn) -> list[Event]:
    """Orders and pages of a few people over ten days, in the order in which they arrive; some arrive days late."""
    count = draw(st.integers(1, 12))
    log = []
    for number in range(count):
        ids: dict[str, Any] = {"user_id": draw(_NAMES), "anonymous_id": draw(_DEVICES)}
        if not any(ids.values()):
            ids["user_id"] = "ada"
        price, sku = draw(_PRICES), draw(st.sampled_from("AB"))
        one = bought(f"m{number}", price, sku=sku, **ids) if draw(st.integers(0, 3)) else event(f"m{number}", **ids)
        happened = draw(_STEPS)
        log.append(at(one, happened, happened + draw(st.sampled_from([0, 0, 0.5, 3, 8]))))
    return sorted(log, key=lambda one: one.received_at)


def instants(log: Iterable[Event]) -> SearchStrategy[int]:
    """Instants from the last arrival on."""
    latest = max(one.received_at for one in log)
    return st.integers(0, 120).map(lambda hours: latest + hours * spans.HOUR // 4)
