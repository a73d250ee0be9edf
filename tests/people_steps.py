"""Steps of the tests of people and profiles: events of a small shop, and what is read afterwards."""

from __future__ import annotations

from typing import Any

import msgspec

from obverse.core import json_values, profiles
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.events import Event
from obverse.core.identity import Decision, IdentityRules
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.traits.collections import MostFrequent, UniqueCount
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.moments import First, Last
from obverse.core.traits.numbers import Count, Max, Min, Sum

SECOND = 1_000_000
NOW = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z; events of these tests happen and arrive some seconds later."""


def trait(name: str, kind: TraitKind, prop: str | None = None, field: str | None = None) -> Trait:
    return Trait(name, kind, f"k:{name}:1", "track", "Bought", prop, field)


def audience(name: str, **where: Any) -> Audience:
    return Audience(name, parse(where))


DEFINITIONS = define(
    traits=[
        trait("orders", Count()),
        trait("spent", Sum(), "price"),
        trait("cheapest", Min(), "price"),
        trait("dearest", Max(), "price"),
        trait("first_sku", First(), "sku"),
        trait("last_at", Last(), field="timestamp"),
        trait("favourite", MostFrequent(), "sku"),
        trait("variety", UniqueCount(), "sku"),
    ],
    audiences=[
        audience("buyers", op="gte", trait="orders", value=1),
        audience("big", op="gt", trait="spent", value=10),
        audience("priced", op="exists", trait="spent"),
        audience("strangers", op="not", of={"op": "exists", "attribute": "plan"}),
        audience("not_pro", op="ne", attribute="plan", value="pro"),
    ],
    identity=IdentityRules(limits={}),
)
"""Without limits, so that few events bring many profiles together, in whatever order."""


def event(message_id: str, *, at: int = 0, type_: str = "page", name: str | None = None, **fields: Any) -> Event:
    """Return an event that happened `at` so many seconds; it arrived in the same second if nothing else is said."""
    properties = fields.pop("properties", {})
    received_at = fields.pop("received", at)
    return Event(
        type=type_,
        message_id=message_id,
        source="web",
        received_at=NOW + received_at * SECOND,
        timestamp=NOW + at * SECOND,
        name=name,
        properties=msgspec.json.encode(properties),
        **fields,
    )


def bought(message_id: str, price: float | str | None = 5, *, sku: str = "A", **fields: Any) -> Event:
    properties = {"sku": sku} if price is None else {"price": price, "sku": sku}
    return event(message_id, type_="track", name="Bought", properties=properties, **fields)


def new(definitions: Definitions = DEFINITIONS) -> People:
    return People("main", definitions)


def fold(people: People, *events: Event, partition: int = 0) -> list[Decision | None]:
    """Fold events that follow each other in a partition; return what was decided on each."""
    return [people.fold(one, (partition, offset)).decision for offset, one in enumerate(events)]


def only(people: People) -> Profile:
    (profile,) = people.profiles.values()
    return profile


def values(people: People) -> dict[str, Any]:
    return profiles.computed_traits(only(people), people.definitions)


def members(profile: Profile) -> set[str]:
    return {name for name, standing in profile.audiences.items() if standing.member}


def story() -> list[Event]:
    return [
        bought("m1", 7, anonymous_id="a-1"),
        event("m2", at=1, type_="identify", user_id="ada", anonymous_id="a-1", properties={"plan": "free"}),
        bought("m3", "2.50", at=2, user_id="bob", sku="B"),
        bought("m4", 4, at=3, anonymous_id="a-2", sku="B"),
        event("m5", at=4, user_id="bob", anonymous_id="a-2"),
        event("m6", at=5, type_="alias", user_id="ada", previous_id="a-2"),
        event("m7", at=6, type_="identify", user_id="bob", properties={"plan": "pro", "email": "bob@example.com"}),
    ]


def told(people: People) -> dict[frozenset[str], tuple[dict[str, Any], bytes]]:
    """Return what is known of each person, matched by identifiers; traits also as the text that is read."""
    return {
        frozenset(profile.identifiers): (
            profiles.state_of(profile, people.definitions),
            json_values.encode(profiles.computed_traits(profile, people.definitions)),
        )
        for profile in people.profiles.values()
    }
