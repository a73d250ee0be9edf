"""The demo's shop with audiences of every sort: its six weeks, more that its people might have told, and the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec.structs import replace

from obverse.core import documents
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.spans import DAY, HOUR, SECOND
from obverse.wiring import trait_kinds
from shop_steps import shop_story

ODD: Final[tuple[Any, ...]] = (
    *(5, 5.0, "5", 5.5, True, False, None, 0, -3, "", "A", "a", "ÄÖ", "it's", "100%", "a_b", "\U0001f600"),
    *([], ["a", 1], [True], [1], [[1]], {"a": 1.0}, {"a": True}, {}, 12345678901234567890, 0.1),
)
"""What the attribute `score` is said to be, in turn."""
SEEN: Final = (
    *("2010-12-15", "2011-01-10T09:30:00Z", "2011-01-10 09:30:00+02:00", "2010-12-01T24:00:00Z", "2010-11-31"),
    *("lately", "", "2011-01-12T00:00:00.5Z", "9999-12-31"),
)
"""What the attribute `seen` is said to be, in turn."""


def story() -> list[Event]:
    """The shop's events, each soon after it happened, and what was made up, in the order in which they arrived."""
    told: list[Event] = []
    for place, event in enumerate(shop_story()):
        soon = replace(event, source="shop", received_at=event.timestamp + SECOND + place % 7)
        # A few come late, and a few are dated ahead of our clock.
        if place % 97 == 0:
            soon = replace(soon, received_at=soon.received_at + 3 * DAY)
        elif place % 89 == 0:
            soon = replace(soon, timestamp=soon.received_at + HOUR)
        told.append(soon)
        if event.type == "identify":
            told += made_up(soon, place)
    return sorted(told, key=lambda one: one.received_at)


def made_up(event: Event, place: int) -> Iterator[Event]:
    """What somebody might have told beside their orders: attributes, consents, a group, pages."""

    def call(kind: str, number: int, properties: Any, context: Any = None, **fields: Any) -> Event:
        return Event(
            type=kind,
            message_id=f"made-{place}-{number}",
            source="made-up",
            received_at=event.received_at + number * SECOND,
            timestamp=event.timestamp + number * SECOND,
            user_id=event.user_id,
            properties=json.dumps(properties).encode(),
            context=json.dumps(context or {}).encode(),
            **fields,
        )

    yield call("identify", 1, {"score": ODD[place % len(ODD)], "odd \"name'; --": place % 3})
    yield call("identify", 2, {"seen": SEEN[place % len(SEEN)]})
    said = {"mail": place % 3 == 0, "ads": place % 2 == 0} if place % 5 else {"ads": True}
    yield call("track", 3, {"ok": True}, {"consent": {"categoryPreferences": said}}, name="Preferences Set")
    if place % 4 == 0:
        yield call("group", 4, {"name": "A firm"}, group_id=f"firm-{place % 3}")
    for number in range(place % 4):
        yield call("page", 5 + number * 3600, {"path": f"/{number}", "depth": number}, name="Home")


TRAITS: Final[dict[str, Any]] = {
    "orders_7d": {"aggregate": "count", "event": "Order Completed", "window": {"last": "7 days"}},
    "spent_month": {
        "aggregate": "sum",
        "event": "Order Completed",
        "property": "revenue",
        "window": {"calendar": "month", "time_zone": "Europe/London"},
    },
    "average_order": {"aggregate": "average", "event": "Order Completed", "property": "revenue"},
    "products": {"aggregate": "unique_count", "event": "Product Added", "property": "sku"},
    "baskets": {"aggregate": "unique_list", "event": "Product Added", "property": "quantity"},
    "liked": {"aggregate": "top_k", "top": 3, "event": "Product Added", "property": "sku"},
}


def attribute(op: str, name: str, value: Any) -> dict[str, Any]:
    """A test of an attribute."""
    return {"op": op, "attribute": name, "value": value}


def trait(op: str, name: str, value: Any) -> dict[str, Any]:
    """A test of a trait."""
    return {"op": op, "trait": name, "value": value}


def both(*parts: Any) -> dict[str, Any]:
    """All of these."""
    return {"op": "and", "of": list(parts)}


def either(*parts: Any) -> dict[str, Any]:
    """One of these."""
    return {"op": "or", "of": list(parts)}


def without(part: Any) -> dict[str, Any]:
    """Not this."""
    return {"op": "not", "of": part}


DEAR: Final = {"op": "gte", "property": "revenue", "value": 300.5}
ORDERED: Final = {"event": "Order Completed"}
AUDIENCES: Final[dict[str, Any]] = {
    "no_single_order": trait("ne", "orders", 1),
    "small_spenders": both(trait("lt", "lifetime_value", 150.25), trait("gt", "lifetime_value", 0)),
    "up_to_two": trait("lte", "orders", 2),
    "likes": trait("in", "favourite_product", ["85123A", "22423", "POST", 5, True]),
    "likes_post": either(trait("contains", "liked", "POST"), trait("contains", "baskets", 12)),
    "late_codes": both(
        trait("gt", "favourite_product", "85"), without(trait("starts_with", "favourite_product", "85"))
    ),
    "dear_orders": trait("gte", "average_order", 400),
    "wide_tastes": either(trait("gte", "products", 40), trait("eq", "products", 1)),
    "this_week": trait("gte", "orders_7d", 1),
    "good_month": trait("gt", "spent_month", 250),
    "recent": trait("within_last", "last_order_at", "14 days"),
    "gone": both(trait("longer_ago", "last_order_at", "20 days"), {"op": "exists", "identifier": "email"}),
    "never_ordered": without({"op": "exists", "trait": "first_order_at"}),
    **{f"score_{place}": attribute("eq", "score", value) for place, value in enumerate(ODD) if value is not None},
    "no_score": attribute("ne", "score", 5),
    "scores": attribute("in", "score", ["5", True, [1], {"a": 1}, 0, "ÄÖ"]),
    "scores_in_none": attribute("in", "score", []),
    "score_in_order": either(attribute("gt", "score", "Z"), attribute("lte", "score", 0.1)),
    "score_has": either(*(attribute("contains", "score", one) for one in (1, "a", "'", "%", "_"))),
    "score_ends": either(attribute("ends_with", "score", "%"), attribute("starts_with", "score", "\U0001f600")),
    "odd_name": attribute("eq", "odd \"name'; --", 2),
    "scored": {"op": "exists", "attribute": "score"},
    "seen": attribute("within_last", "seen", "10 days"),
    "seen_long_ago": attribute("longer_ago", "seen", "10 days"),
    "names": both(
        attribute("starts_with", "name", "A"),
        without(attribute("contains", "email", "patel")),
        attribute("ends_with", "email", "@example.com"),
    ),
    "strangers": {"op": "ne", "identifier": "user_id", "value": "17850"},
    "by_number": {"op": "in", "identifier": "user_id", "value": ["17850", "13047", 5]},
    "visitors_with_c": {"op": "starts_with", "identifier": "anonymous_id", "value": "visitor-C"},
    "known": {"op": "exists", "identifier": "email"},
    "beyond_b": {"op": "gt", "identifier": "email", "value": "b"},
    "mail": {"op": "eq", "consent": "mail", "value": True},
    "no_mail": {"op": "eq", "consent": "mail", "value": False},
    "not_against_ads": {"op": "ne", "consent": "ads", "value": False},
    "firm": either({"op": "member", "group": "firm-0"}, {"op": "member", "group": "firm-9"}),
    "best_in_firm": both(
        {"op": "member", "audience": "firm"}, without({"op": "member", "audience": "gone"}), trait("gte", "orders", 2)
    ),
    "once_lately": {"op": "did", **ORDERED, "times": {"exactly": 1}, "within": "10 days"},
    "hardly": {"op": "did", **ORDERED, "times": {"at_most": 1}},
    "between": {"op": "did", "event": "Product Added", "times": {"at_least": 20, "at_most": 60}},
    "dear_lately": {"op": "did", **ORDERED, "where": DEAR, "within": "21 days"},
    "odd_baskets": {
        "op": "did",
        "event": "Product Added",
        "times": 2,
        "where": both(
            without({"op": "in", "property": "sku", "value": ["85123A", "POST"]}),
            either({"op": "gte", "property": "quantity", "value": 12}, {"op": "lt", "property": "price", "value": 0.5}),
        ),
    },
    "readers": {"op": "did", "type": "page", "event": "Home", "times": 2},
    "never_told": {"op": "did", "type": "identify", "times": {"at_most": 0}},
    "left_off": {
        "op": "sequence",
        "steps": [
            {"event": "Product Added", "times": 3, "within": "1 day"},
            {**ORDERED, "not": True, "within": "1 hour"},
        ],
    },
    "came_back": {"op": "sequence", "steps": [{**ORDERED, "where": DEAR}, {**ORDERED, "within": "12 days"}]},
    "back_lately": {"op": "sequence", "steps": [ORDERED, {"event": "Product Added", "times": 2}], "within": "9 days"},
    "gave_back": {"op": "sequence", "steps": [ORDERED, {"event": "Order Refunded", "within": "30 days"}]},
}


def definitions() -> Definitions:
    """The demo's traits and audiences, and those above."""
    demo = Path(str(files("obverse.apps.demo") / "definitions"))
    of_demo = [
        (path.name, yaml.safe_load(path.read_text(encoding="utf-8")))
        for kind in ("traits", "audiences")
        for path in sorted((demo / kind).glob("*.yml"))
    ]
    made = [
        *(_document("trait", name, spec) for name, spec in TRAITS.items()),
        *(_document("audience", name, {"where": where}) for name, where in AUDIENCES.items()),
    ]
    return documents.read([*of_demo, *made], trait_kinds())


def _document(kind: str, name: str, spec: Any) -> tuple[str, Any]:
    return f"{name}.yml", {"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
