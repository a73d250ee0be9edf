"""Steps of the tests of permutations: a shop's log with consents and groups, and definitions of every sort over it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, Final

from msgspec import structs

from obverse.contracts.stories import DEFINITIONS
from obverse.contracts.stories import tell as tell_story
from obverse.core import profiles
from obverse.core.definitions import Trait, define
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.profiles import Profile
from obverse.core.spans import DAY
from obverse.wiring import trait_kinds
from people_steps import audience

THREE_DAYS: Final = 3 * DAY
VIEWED: Final = {"event": "Product Viewed"}
ORDERED: Final = {"event": "Order Completed"}
GROUPS: Final = ("acme", "initech", "hooli")
PURPOSES: Final = ("ads", "email")


def _trait(name: str, aggregate: str, **spec: Any) -> Trait:
    return trait(name, "", {"aggregate": aggregate, **spec}, trait_kinds())


EVERY_SORT: Final = define(
    traits=[
        *DEFINITIONS.traits,
        _trait("usual", "average", property="revenue", **ORDERED),
        _trait("liked", "top_k", property="sku", top=3, **VIEWED),
        _trait("seen", "unique_list", property="sku", **VIEWED),
        _trait("dear", "percentile", property="revenue", percentile=90, **ORDERED),
        _trait("orders_lately", "count", window={"last": "4 days"}, **ORDERED),
        _trait("spent_lately", "sum", property="revenue", window={"last": "5 days"}, **ORDERED),
        _trait("liked_lately", "top_k", property="sku", window={"last": "100 hours"}, **VIEWED),
        _trait("seen_this_week", "unique_list", property="sku", window={"calendar": "week"}, **VIEWED),
        _trait(
            "dear_this_week",
            "percentile",
            property="revenue",
            window={"calendar": "week", "time_zone": "Europe/Berlin"},
            where={"op": "gte", "property": "revenue", "value": 5},
            **ORDERED,
        ),
    ],
    audiences=[
        *DEFINITIONS.audiences,
        audience("lately", op="gte", trait="orders_lately", value=1),
        audience("looking", op="did", times=2, within="4 days", **VIEWED),
        audience("never_ordered", op="did", times={"exactly": 0}, **ORDERED),
        audience("looked_then_ordered", op="sequence", within="5 days", steps=[VIEWED, {**ORDERED, "within": "1 day"}]),
        audience("left_it", op="sequence", steps=[VIEWED, {**ORDERED, "not": True, "within": "12 hours"}]),
        audience("may_be_mailed", op="eq", consent="email", value=True),
        audience("at_acme", op="member", group="acme"),
        audience(
            "mailed_at_acme",
            op="and",
            of=[{"op": "member", "audience": "may_be_mailed"}, {"op": "member", "group": "acme"}],
        ),
    ],
    identity=DEFINITIONS.identity,
)
"""Traits of every kind, some over windows; audiences over traits, time, what people did, consents and groups."""


def every_sort_of_event(*, seed: int, people: int, events: int) -> list[Event]:
    """Return a log like that of `stories`, in which people also allow something, or join a group."""
    dice, found = Random(seed), list[Event]()
    for event in tell_story(seed=seed, people=people, events=events):
        more: dict[str, Any] = {}
        if dice.random() < 0.2:
            allowed = "true" if dice.random() < 0.5 else "false"
            preferences = f'{{"{dice.choice(PURPOSES)}":{allowed}}}'
            more["context"] = f'{{"consent":{{"categoryPreferences":{preferences}}}}}'.encode()
        if event.type == "page" and dice.random() < 0.3:
            more |= {"type": "group", "name": None, "group_id": dice.choice(GROUPS)}
        found.append(structs.replace(event, **more) if more else event)
    return found


def shuffled(story: list[Event], dice: Random) -> list[Event]:
    """Return the events in another order, three in ten of them twice, the copy up to three days later."""
    copies = [
        structs.replace(event, received_at=event.received_at + dice.randrange(THREE_DAYS))
        for event in dice.sample(story, len(story) * 3 // 10)
    ]
    return dice.sample([*story, *copies], len(story) + len(copies))


def at_the_end(everybody: Iterable[Profile], story: list[Event]) -> list[Profile]:
    """Have time go on for everybody until the last copy may have come: what is over a window hangs on the time."""
    end, found = story[-1].received_at + THREE_DAYS, list(everybody)
    for one in found:
        profiles.advance(one, end, EVERY_SORT)
    return found
