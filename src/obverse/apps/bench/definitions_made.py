"""Traits and audiences of every sort, as many as are asked for: what `obverse bench fold --traits` folds with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle, islice
from typing import Any, Final

from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.documents.traits import trait
from obverse.wiring import trait_kinds

_ORDER: Final[dict[str, Any]] = {"event": "Order Completed"}
_PRODUCT: Final[dict[str, Any]] = {"event": "Product Added"}
_REVENUE: Final[dict[str, Any]] = {**_ORDER, "property": "revenue"}
_PRICE: Final[dict[str, Any]] = {**_PRODUCT, "property": "price"}
_SKU: Final[dict[str, Any]] = {**_PRODUCT, "property": "sku"}

_KINDS: Final[Sequence[dict[str, Any]]] = (
    {"aggregate": "count", **_ORDER},
    {"aggregate": "sum", **_REVENUE},
    {"aggregate": "average", **_PRICE},
    {"aggregate": "min", **_PRICE},
    {"aggregate": "max", **_REVENUE},
    {"aggregate": "first", **_SKU},
    {"aggregate": "last", **_ORDER, "field": "timestamp"},
    {"aggregate": "most_frequent", **_SKU},
    {"aggregate": "top_k", **_SKU},
    {"aggregate": "unique_list", **_PRODUCT, "property": "quantity"},
    {"aggregate": "unique_count", **_SKU},
    {"aggregate": "percentile", **_PRICE, "percentile": 90},
)
"""Each kind of trait, of what it is computed."""
_WINDOWS: Final[Sequence[tuple[str, dict[str, str]]]] = (
    ("7_days", {"last": "7 days"}),
    ("month", {"calendar": "month", "time_zone": "Europe/Berlin"}),
    ("30_days", {"last": "30 days"}),
    ("day", {"calendar": "day"}),
    ("365_days", {"last": "365 days"}),
)


def _both(*parts: Any) -> dict[str, Any]:
    return {"op": "and", "of": list(parts)}


def _either(*parts: Any) -> dict[str, Any]:
    return {"op": "or", "of": list(parts)}


def _without(part: Any) -> dict[str, Any]:
    return {"op": "not", "of": part}


def _property(op: str, name: str, value: Any) -> dict[str, Any]:
    return {"op": op, "property": name, "value": value}


_WHERES: Final[Sequence[Callable[[int], dict[str, Any]]]] = (
    lambda number: _property("gte", "price", number),
    lambda number: _property("lt", "price", 40 - number),
    lambda number: _property("in", "quantity", list(range(number % 3, 10))),
    lambda number: _both(_property("contains", "name", "HEART"), _property("ne", "quantity", number)),
    lambda number: _either(_property("starts_with", "sku", "0"), _property("eq", "quantity", number)),
    lambda number: _both({"op": "exists", "property": "currency"}, _without(_property("gt", "price", 39 - number))),
)
"""Conditions on an event, which most events of the load pass; no two are the same while the number is below 20."""

_TURNS: Final = 20
"""How often each kind can be made, and no two be the same."""
MOST_TRAITS: Final = 8 + _TURNS * len(_KINDS)
"""With the eight of the bench's own file."""


def made_traits(number: int) -> list[Trait]:
    """Return so many traits: each kind over all events, then over a window, with a condition, and with both."""
    kinds = trait_kinds()
    return [trait(name, "", spec, kinds) for name, spec in islice(_trait_specs(), number)]


def _trait_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    windows = cycle(_WINDOWS)
    for turn in range(_TURNS):
        for place, plain in enumerate(_KINDS):
            name, spec = plain["aggregate"], dict(plain)
            # The fifth turn and all after it have both, with other numbers in their conditions.
            if turn == 1 or turn > 2:  # noqa: PLR2004 - the turns, as `made_traits` says them
                label, spec["window"] = next(windows)
                name += f".{label}"
            if turn >= 2:  # noqa: PLR2004 - likewise
                spec["where"] = _WHERES[(turn + place) % len(_WHERES)](turn)
                name += f".where_{turn}"
            # A name of the bench's own file is another trait's.
            yield f"made.{name}", spec


def _trait(op: str, name: str, value: Any) -> dict[str, Any]:
    return {"op": op, "trait": name, "value": value}


def _attribute(op: str, name: str, value: Any) -> dict[str, Any]:
    return {"op": op, "attribute": name, "value": value}


def _did(number: int, **more: Any) -> dict[str, Any]:
    return {"op": "did", **_PRODUCT, "times": {"at_least": 1 + number % 3}, **more}


_BOUGHT: Final[dict[str, Any]] = {"op": "sequence", "steps": [_PRODUCT, {**_ORDER, "within": "2 days"}]}
_LEFT: Final[dict[str, Any]] = {"op": "sequence", "steps": [_PRODUCT, {**_ORDER, "not": True, "within": "1 hour"}]}

_SORTS: Final[Sequence[tuple[str, Callable[[int], dict[str, Any]]]]] = (
    ("trait", lambda number: _trait("gte", "lifetime_value", number)),
    ("text", lambda number: _trait("ne", "favourite_product", f"{number:05}")),
    ("time", lambda number: _trait("within_last", "last_order_at", f"{1 + number} days")),
    ("attribute", lambda number: _attribute("in", "city", ["London", "York", f"Town {number}"])),
    ("part_of_attribute", lambda number: _attribute("ends_with", "email", f"{number}@example.com")),
    ("identifier", lambda number: {"op": "ends_with", "identifier": "user_id", "value": str(number)}),
    ("consent", lambda number: {"op": "ne", "consent": f"purpose_{number}", "value": False}),
    ("group", lambda number: _either({"op": "member", "group": f"firm-{number}"}, _attribute("eq", "plan", "pro"))),
    ("did", lambda number: _did(number, where=_property("ne", "quantity", number))),
    ("did_lately", lambda number: _did(number, within=f"{1 + number} days", where=_property("gte", "quantity", 2))),
    ("sequence", lambda number: {**_BOUGHT, "within": f"{3 + number} days"}),
    ("absence", lambda number: _either({**_LEFT, "within": f"{1 + number} days"}, _attribute("eq", "city", "Bath"))),
    (
        "audience",
        lambda number: _both({"op": "member", "audience": "buyers"}, _trait("lt", "lifetime_value", 990 - number)),
    ),
    (
        "nested",
        lambda number: _both(
            _attribute("eq", "newsletter", value=True),
            _either(_trait("gte", "products", 2 + number % 3), _trait("lt", "cheapest_product", 5 + number)),
            _without(_attribute("eq", "plan", "free")),
        ),
    ),
)
"""Audiences of every test that there is, each with a number in it, so that no two are the same."""


_TESTS: Final[dict[str, tuple[str, Any]]] = {
    "min": ("lt", 30),
    "first": ("starts_with", "0"),
    "last": ("within_last", "2 days"),
    "most_frequent": ("gt", "00500"),
    "top_k": ("contains", "01676"),
    "unique_list": ("contains", 7),
}
"""What is asked of made traits, by kind; of all others whether they are at least a number."""


def made_audiences(number: int, traits: Sequence[Trait]) -> list[Audience]:
    """Return so many audiences, of every sort in turn; with each turn of them go two that look at these traits."""
    return list(islice(_audiences(traits), number))


def _audiences(traits: Sequence[Trait]) -> Iterator[Audience]:
    made = cycle(one.name for one in traits)
    for turn in count():
        for sort, where in _SORTS:
            yield Audience(f"made.{sort}_{turn}", parse(where(turn)))
        for name in islice(made, 2):
            op, value = _TESTS.get(name.split(".")[1], ("gte", turn / 20))
            yield Audience(f"{name}_{turn}", parse(_trait(op, name, value)))


def with_made(definitions: Definitions, *, traits: int, audiences: int) -> Definitions:
    """Return these definitions with others beside them, so that there are so many traits and audiences in all."""
    more = made_traits(traits - len(definitions.traits))
    return define(
        traits=[*definitions.traits, *more],
        audiences=[*definitions.audiences, *made_audiences(audiences - len(definitions.audiences), more)],
        identity=definitions.identity,
    )
