"""Every kind of trait, over every window, with a condition and without, on two real shops: as SQL has it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest

from obverse.core import profiles
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.wiring import trait_kinds
from trait_queries import WINDOWS, Figures, Row, cdnow, shop

EVERY: Final = int(os.environ.get("OBVERSE_SHOP_PART", "50"))
"""One in so many customers or orders is told; `make figures` tells all of them."""

KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "count": {},
    **{name: {"property": "amount"} for name in ("sum", "average", "min", "max", "first", "last")},
    **{name: {"property": "word"} for name in ("most_frequent", "unique_list", "unique_count")},
    "top_k": {"property": "word", "top": 3},
    "percentile": {"property": "amount", "percentile": 90},
}


def _both(*parts: Any) -> dict[str, Any]:
    return {"op": "and", "of": list(parts)}


def _either(*parts: Any) -> dict[str, Any]:
    return {"op": "or", "of": list(parts)}


def _without(part: Any) -> dict[str, Any]:
    return {"op": "not", "of": part}


CONDITIONS: Final[Mapping[str, tuple[str, Mapping[str, Any] | None]]] = {
    "any": ("true", None),
    "dear": ("amount >= 12.5", {"op": "gte", "property": "amount", "value": 12.5}),
    "cheap": ("amount < 4.25", {"op": "lt", "property": "amount", "value": 4.25}),
    "of some": (
        "word::text in ('1', '3', '85123A', '22423', 'POST') and amount <= 40",
        _both(
            {"op": "in", "property": "word", "value": [1, 3, "85123A", "22423", "POST"]},
            {"op": "lte", "property": "amount", "value": 40},
        ),
    ),
    "by letters": (
        "note like '%b%' and not (note like 'a%' or note like '%9')",
        _both(
            {"op": "contains", "property": "note", "value": "b"},
            _without(
                _either(
                    {"op": "starts_with", "property": "note", "value": "a"},
                    {"op": "ends_with", "property": "note", "value": "9"},
                )
            ),
        ),
    ),
    "with a note": ("note is not null", {"op": "exists", "property": "note"}),
    "noted otherwise": (
        "note is distinct from 'ab1' and not (note is null and amount > 10)",
        _both(
            {"op": "ne", "property": "note", "value": "ab1"},
            _without(
                _both(_without({"op": "exists", "property": "note"}), {"op": "gt", "property": "amount", "value": 10})
            ),
        ),
    ),
    "one or the other": (
        "note = 'ab1' or amount = 4.95 or amount > 100",
        _either(
            {"op": "eq", "property": "note", "value": "ab1"},
            {"op": "eq", "property": "amount", "value": 4.95},
            {"op": "gt", "property": "amount", "value": 100},
        ),
    ),
}
"""By name, in SQL and as a definition says it: each test of an event's properties, and what joins them."""


SOME: Final = ("ever", "last 10 days", "month in Europe/Berlin")
"""Windows that every condition is held against; two of the conditions are held against all of them."""


def windows_of(condition: str) -> Sequence[str]:
    return list(WINDOWS) if condition in {"any", "dear"} else SOME


def spec_of(window: str) -> dict[str, Any]:
    """A window, as a definition says it."""
    if window == "ever":
        return {}
    if window.startswith("last "):
        return {"window": {"last": window.removeprefix("last ")}}
    period, _, zone = window.partition(" in ")
    return {"window": {"calendar": period, "time_zone": zone}}


def definitions() -> Definitions:
    known = trait_kinds()
    assert KINDS.keys() == known.keys(), "a kind is missing here"
    traits: list[Trait] = []
    for name, condition, window in cases():
        _, where = CONDITIONS[condition]
        spec = {"aggregate": name, "event": "Bought", **KINDS[name], **spec_of(window)}
        traits.append(trait(f"{name}, {condition}, {window}", "", spec | ({"where": where} if where else {}), known))
    return define(traits=traits, identity=IdentityRules(limits={}))


def cases() -> Iterator[tuple[str, str, str]]:
    return ((name, condition, window) for name in KINDS for condition in CONDITIONS for window in windows_of(condition))


def event(row: Row) -> Event:
    note = b"" if row.note is None else b', "note": %s' % msgspec.json.encode(row.note)
    properties = b'{"amount": %s, "word": %s%s}' % (row.amount.encode(), msgspec.json.encode(row.word), note)
    return Event(
        type="track",
        name="Bought",
        message_id=row.id,
        source="shop",
        received_at=row.arrived,
        timestamp=row.at,
        user_id=row.person,
        properties=properties,
    )


def instants(rows: Sequence[Row]) -> list[int]:
    """Ten instants: through the time of the rows, right after one came, and long after the last one."""
    arrivals = sorted(row.arrived for row in rows)
    shares = [arrivals[len(arrivals) * part // 7] for part in range(1, 7)]
    last = arrivals[-1]
    return sorted(
        [*shares, arrivals[len(arrivals) // 2] + 1, last, last + 9 * 86_400_000_000, last + 80 * 86_400_000_000]
    )


def agree(name: str, ours: Any, theirs: Mapping[str, Any]) -> bool:
    """Whether a reading is what SQL says; what is approximate, within its stated error."""
    if name == "average":
        expected = theirs["sum"] / theirs["count"] if theirs["count"] else None
        return (ours is None) == (expected is None) and (ours is None or abs(ours - expected) <= Decimal("0.0000005"))
    expected = theirs[name]
    if name == "percentile" and expected is not None:
        return ours is not None and abs(ours - expected) <= abs(expected) / 100
    return bool(ours == expected)


@pytest.mark.parametrize("rows", [cdnow, shop], ids=lambda rows: rows.__name__)
def test_traits_are_what_sql_computes_of_the_same_rows_at_ten_instants(rows: Any) -> None:
    told = sorted(rows(EVERY), key=lambda row: (row.arrived, row.id))
    figures, defined = Figures(told), definitions()
    for condition, (sql, _) in CONDITIONS.items():
        assert condition == "any" or 0 < figures.holding(sql) < len(told), condition
    people, folded, compared = People("main", defined), 0, 0
    for now in instants(told):
        while folded < len(told) and told[folded].arrived <= now:
            people.fold(event(told[folded]), (0, folded))
            folded += 1
        for profile in people.profiles.values():
            profiles.advance(profile, now, defined)
        read = {
            person: profiles.computed_traits(people.profiles[people.owners[f"user_id:{person}"]], defined)
            for person in dict.fromkeys(row.person for row in told[:folded])
        }
        for condition, (sql, _) in CONDITIONS.items():
            for window in windows_of(condition):
                expected = figures.at(now, window, sql)
                for person, values in read.items():
                    for name in KINDS:
                        ours = values.get(f"{name}, {condition}, {window}")
                        theirs = expected.get(person)
                        right = ours is None if theirs is None else agree(name, ours, theirs)
                        assert right, (name, condition, window, person, now, ours, theirs)
                        compared += 1
    assert folded == len(told)
    assert compared > 50_000
