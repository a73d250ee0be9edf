"""Made logs for suites: people who browse, sign up, buy, come back on another device, and are seen twice."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec
from msgspec.structs import replace

from obverse.core.audiences import Audience
from obverse.core.conditions import Every, Not, Test
from obverse.core.definitions import Trait, define
from obverse.core.events import Event
from obverse.core.json_values import number
from obverse.core.traits.collections import MostFrequent, UniqueCount
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.moments import First, Last
from obverse.core.traits.numbers import Count, Max, Min, Sum

START: Final = 1_735_689_600_000_000
"""2025-01-01T00:00:00Z, in microseconds since 1970."""
_DAY: Final = 86_400_000_000


def _trait(name: str, kind: TraitKind, event: str, prop: str | None = None, field: str | None = None) -> Trait:
    return Trait(name=name, kind=kind, key=f"k:{name}:1", type="track", event=event, property=prop, field=field)


_TWO_ORDERS: Final = Test("gte", "trait", "orders", number(2))

DEFINITIONS: Final = define(
    traits=[
        _trait("orders", Count(), "Order Completed"),
        _trait("spent", Sum(), "Order Completed", "revenue"),
        _trait("smallest", Min(), "Order Completed", "revenue"),
        _trait("largest", Max(), "Order Completed", "revenue"),
        _trait("first_order", First(), "Order Completed", field="timestamp"),
        _trait("last_order", Last(), "Order Completed", field="timestamp"),
        _trait("favourite", MostFrequent(), "Product Viewed", "sku"),
        _trait("variety", UniqueCount(), "Product Viewed", "sku"),
    ],
    audiences=[
        Audience("big", Test("gte", "trait", "spent", number(100))),
        Audience("once", Test("eq", "trait", "orders", number(1))),
        Audience(
            "known_shy",
            Every((Test("exists", "attribute", "plan", None), Not(Test("gte", "trait", "orders", number(2))))),
        ),
    ],
)
"""Every kind of trait, and audiences that are entered and left."""


def tell(*, seed: int, people: int, events: int) -> list[Event]:
    """Return a log of distinct events of some people; their arrival is in order, their times are not."""
    dice = Random(seed)  # noqa: S311 - a story that can be told again
    return [_event(dice, f"{seed}-{place}", dice.randrange(people), seed, place) for place in range(events)]


def _event(dice: Random, message_id: str, person: int, seed: int, place: int) -> Event:
    received_at = START + place * 1_000_000
    device = f"device-{seed}-{person}-{dice.randrange(3)}"
    user = f"user-{seed}-{person}"
    kind = dice.choices(["identify", "view", "order", "page"], [15, 35, 30, 20])[0]
    seen = Event(
        type="page",
        name="Home",
        anonymous_id=device,
        message_id=message_id,
        source=dice.choice(["web", "app"]),
        received_at=received_at,
        timestamp=received_at - dice.randrange(3 * _DAY),
    )
    if kind == "identify":
        traits = {"email": f"{user}@example.com", "plan": dice.choice(["free", "pro"]), "seat": dice.randrange(9)}
        return replace(seen, type="identify", name=None, user_id=user, properties=msgspec.json.encode(traits))
    if kind == "view":
        viewed = msgspec.json.encode({"sku": f"sku-{dice.randrange(8)}"})
        return replace(seen, type="track", name="Product Viewed", properties=viewed)
    if kind == "order":
        bought = b'{"revenue":%d.%02d}' % (dice.randrange(60), dice.randrange(100))
        return replace(seen, type="track", name="Order Completed", anonymous_id=None, user_id=user, properties=bought)
    return seen
