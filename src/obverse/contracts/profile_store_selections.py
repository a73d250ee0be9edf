"""What every `ProfileStore` must prove of conditions: whom they hold for."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from obverse.contracts.profile_store_steps import (
    NOON,
    StoreQuestions,
    a_profile,
    an_event,
    an_id,
    done_by,
    soon,
    whole,
    write,
)
from obverse.core import times
from obverse.core.conditions import Condition, parse
from obverse.core.conditions.evaluation import moment
from obverse.core.events import Event
from obverse.ports.profile_store import ProfileRow, ProfileStore

_DAY: Final = 86_400_000_000
_HOUR: Final = 3_600_000_000


def someone(
    name: str,
    *,
    traits: Any = None,
    attributes: Any = None,
    consents: Any = None,
    groups: tuple[str, ...] = (),
    identifiers: tuple[str, ...] = (),
    audiences: tuple[str, ...] = (),
) -> ProfileRow:
    """Return the row of a person of whom this is known."""
    row = replace(a_profile(name, *identifiers), audiences=dict.fromkeys(audiences, (1, NOON)))
    assert row.known is not None
    known = replace(row.known, attributes=_json(attributes or {}), consents=_json(consents or {}), groups=groups)
    return replace(row, known=known, computed_traits=_json(traits or {}))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def told(*ago: int, name: str = "Viewed", properties: Any = None, kind: str = "track") -> list[Event]:
    """Return events of so many microseconds before noon."""
    return [
        an_event(
            f"{kind} {name} {at} {place}",
            type=kind,
            name=name,
            received_at=NOON,
            timestamp=NOON - at,
            properties=_json(properties or {}),
        )
        for place, at in enumerate(ago)
    ]


_PEOPLE: Final = ("ada", "bob", "cleo", "dora")


async def chosen(store: ProfileStore, tree: Any, people: Collection[str] = _PEOPLE) -> set[str]:
    """Return the names of those of these people for whom a condition holds at noon."""
    condition: Condition = parse(tree)
    selection = await soon(store.select([condition], now=NOON))
    assert selection.chosen.keys() == {condition}
    assert selection.chosen[condition] <= selection.everybody
    packed = await soon(store.numbered(list(selection.chosen[condition])))
    return {name for name in people if whole(name) in packed}


_TEXTS: Final = (
    "2024-02-29",
    "2023-02-29",
    "2025-12-31T23:59:59Z",
    "2025-11-31T23:59:59Z",
    "2025-06-28T24:00:01Z",
    "2025-06-15T12:60:00Z",
    "2025-13-15T12:00:00Z",
    "2025-06-15T12:00:00.123456Z",
    "2025-06-15 12:00:00+02:00",
    "2025-06-30T12:00:00+14:00",
    "0000-01-01T00:00:00Z",
    "20xx-06-15T12:00:00Z",
    "2025-06-15T12:00:00ZZ",
    "2025-06-15T24:00:00Z",
    "2025-06-15T11:59:60Z",
    "2025-06-15T11:58:60Z",
    "2024-06-30T12:00:00.0000009Z",
    "2025-06-15T12:00:00,5Z",
    "2025-06-15T12:00:00+16:00",
    "2025-06-15T12:00:00 UTC",
    "2025-06-15 12:00 PM",
    "2025-06-15T12",
    "2025-06-15x12:00",
    "20250615T120000Z",
    "2025-W24-7",
    "infinity",
    "now",
    "",
)


_AT_50: Final = {"op": "eq", "property": "price", "value": 50}
_AT_150: Final = {"op": "eq", "property": "price", "value": 150}


def _in_zone(at: int, minutes: int) -> str:
    """An instant as a clock shows it that is so many minutes ahead of UTC."""
    local = times.to_text(at + minutes * 60_000_000).removesuffix("Z")
    return f"{local}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


class SelectionPromises(StoreQuestions):
    """Sets of people, by what is kept of them."""

    async def test_of_nobody_there_are_no_sets(self, store: ProfileStore) -> None:
        condition = parse({"op": "exists", "trait": "orders"})
        selection = await soon(store.select([condition], now=NOON))
        assert (len(selection.everybody), len(selection.chosen[condition])) == (0, 0)
        assert list(await soon(store.numbered([1, 2]))) == []
        assert len((await soon(store.select([], now=NOON))).everybody) == 0

    @pytest.mark.parametrize("subject", ["trait", "attribute"])
    @pytest.mark.parametrize(
        ("test", "names"),
        [
            ({"op": "eq", "value": 5}, {"ada"}),
            ({"op": "eq", "value": "5"}, {"bob"}),
            ({"op": "eq", "value": True}, {"cleo"}),
            ({"op": "ne", "value": 5}, {"bob", "cleo", "dora"}),
            ({"op": "gt", "value": 4.5}, {"ada"}),
            ({"op": "gte", "value": 5}, {"ada"}),
            ({"op": "lt", "value": 5}, set()),
            ({"op": "lte", "value": "5"}, {"bob"}),
            ({"op": "gt", "value": "49"}, {"bob"}),
            ({"op": "in", "value": [5, "6", True]}, {"ada", "cleo"}),
            ({"op": "in", "value": []}, set()),
            ({"op": "exists"}, {"ada", "bob", "cleo"}),
            ({"op": "contains", "value": "5"}, {"bob"}),
            ({"op": "contains", "value": 5}, set()),
            ({"op": "starts_with", "value": "5"}, {"bob"}),
            ({"op": "ends_with", "value": "%"}, set()),
            ({"op": "within_last", "value": "1 day"}, set()),
        ],
    )
    async def test_values_are_compared_by_type(
        self, store: ProfileStore, subject: str, test: Any, names: set[str]
    ) -> None:
        values = {"ada": {"x": 5.0}, "bob": {"x": "5"}, "cleo": {"x": True}, "dora": {"x": None}}
        await write(
            store,
            profiles=[
                someone(name, traits=value) if subject == "trait" else someone(name, attributes=value)
                for name, value in values.items()
            ],
        )
        assert await chosen(store, {subject: "x", **test}) == names

    @pytest.mark.parametrize(
        ("test", "names"),
        [
            ({"op": "gt", "value": 5}, {"ada", "bob"}),
            ({"op": "gte", "value": 10**50}, {"ada", "bob"}),
            ({"op": "lt", "value": 5}, {"finn"}),
            ({"op": "eq", "value": 1e50}, {"ada", "bob"}),
            ({"op": "ne", "value": 10**50}, {"cleo", "dora", "elis", "finn"}),
            ({"op": "exists"}, {"ada", "bob", "cleo", "dora", "elis", "finn"}),
        ],
    )
    async def test_numbers_are_within_reach_by_their_worth_and_not_by_their_spelling(
        self, store: ProfileStore, test: Any, names: set[str]
    ) -> None:
        values = {"ada": 10**50, "bob": 1e50, "cleo": 10**60, "dora": 1e60, "elis": 1e-41, "finn": 1e-40}
        await write(store, profiles=[someone(name, attributes={"x": value}) for name, value in values.items()])
        assert await chosen(store, {"attribute": "x", **test}, values) == names

    @pytest.mark.parametrize(
        ("test", "names"),
        [
            ({"op": "contains", "value": "a_b%"}, {"ada"}),
            ({"op": "starts_with", "value": "ÄÖ"}, {"bob"}),
            ({"op": "ends_with", "value": "'; drop table x; --"}, {"bob"}),
            ({"op": "contains", "value": "b"}, {"ada", "bob", "cleo"}),
            ({"op": "contains", "value": 1}, {"cleo"}),
            ({"op": "eq", "value": ["b", 1]}, {"cleo"}),
            ({"op": "eq", "value": ["b", True]}, set()),
            ({"op": "in", "value": [["b", True], ["b", 1.0]]}, {"cleo"}),
            ({"op": "gt", "value": "Z"}, {"ada", "bob", "dora"}),
            ({"op": "lt", "value": "\U0001f600"}, {"ada", "bob"}),
        ],
    )
    async def test_texts_and_lists(self, store: ProfileStore, test: Any, names: set[str]) -> None:
        values: dict[str, Any] = {
            "ada": "xa_b%x",
            "bob": "ÄÖ'; drop table x; --",
            "cleo": ["b", 1],
            "dora": "\U0001f600",
        }
        await write(store, profiles=[someone(name, attributes={"o'd\"d": value}) for name, value in values.items()])
        assert await chosen(store, {"attribute": "o'd\"d", **test}) == names

    async def test_how_long_ago_a_time_is(self, store: ProfileStore) -> None:
        moments = {
            "ada": times.to_text(NOON - _DAY + 1),
            "bob": times.to_text(NOON - _DAY),
            "cleo": "2024-02-30T25:00:00Z",
            "dora": "yesterday",
        }
        await write(store, profiles=[someone(name, traits={"seen": value}) for name, value in moments.items()])
        assert await chosen(store, {"op": "within_last", "trait": "seen", "value": "1 day"}) == {"ada"}
        assert await chosen(store, {"op": "longer_ago", "trait": "seen", "value": "1 day"}) == {"bob"}

    @pytest.mark.parametrize("text", _TEXTS)
    async def test_a_text_is_a_time_or_is_not(self, store: ProfileStore, text: str) -> None:
        await write(store, profiles=[someone("ada", traits={"seen": text})])
        at, holds = moment(text), set[str]()
        for op in ("within_last", "longer_ago"):
            holds |= {op for _ in await chosen(store, {"op": op, "trait": "seen", "value": "365 days"})}
        lately = {"within_last"} if at is not None and at > NOON - 365 * _DAY else {"longer_ago"}
        assert holds == (set() if at is None else lately)

    async def test_a_time_in_another_zone_is_of_another_day(self, store: ProfileStore) -> None:
        """At the bound, a minute before it and a minute after it, as clocks all over the world show them."""
        instants = {
            f"{side}{offset}": _in_zone(NOON - _DAY + side * 60_000_000, offset)
            for side in (-1, 0, 1)
            for offset in (-959, -60, 0, 840, 959)
        }
        await write(store, profiles=[someone(name, traits={"seen": text}) for name, text in instants.items()])
        recent = {name for name in instants if name.startswith("1")}
        for op, holds in (("within_last", recent), ("longer_ago", instants.keys() - recent)):
            assert await chosen(store, {"op": op, "trait": "seen", "value": "1 day"}, instants) == holds

    async def test_consents_and_groups(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[
                someone("ada", consents={"mail": True}, groups=("acme", "x")),
                someone("bob", consents={"mail": False}, groups=("acm",)),
                someone("cleo"),
            ],
        )
        assert await chosen(store, {"op": "eq", "consent": "mail", "value": True}) == {"ada"}
        assert await chosen(store, {"op": "eq", "consent": "mail", "value": False}) == {"bob"}
        assert await chosen(store, {"op": "ne", "consent": "mail", "value": True}) == {"bob", "cleo"}
        assert await chosen(store, {"op": "member", "group": "acme"}) == {"ada"}

    async def test_audiences_that_people_are_in(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[someone("ada", audiences=("vip",)), someone("bob", audiences=("vi",))],
        )
        assert await chosen(store, {"op": "member", "audience": "vip"}) == {"ada"}
        assert await chosen(store, {"op": "member", "audience": "none"}) == set()

    @pytest.mark.parametrize(
        ("test", "names"),
        [
            ({"op": "eq", "value": "a@x.at"}, {"ada"}),
            ({"op": "ne", "value": "a@x.at"}, {"bob", "cleo"}),
            ({"op": "exists"}, {"ada", "bob"}),
            ({"op": "ends_with", "value": ".at"}, {"ada", "bob"}),
            ({"op": "starts_with", "value": "_"}, set()),
            ({"op": "contains", "value": "b@"}, {"bob"}),
            ({"op": "in", "value": ["b@x.at", "c@x.at", 5]}, {"bob"}),
            ({"op": "gt", "value": "a@x.at"}, {"ada", "bob"}),
            ({"op": "gt", "value": 5}, set()),
            ({"op": "eq", "value": 5}, set()),
        ],
    )
    async def test_of_several_identifiers_one_is_enough(self, store: ProfileStore, test: Any, names: set[str]) -> None:
        await write(
            store,
            profiles=[
                someone("ada", identifiers=("email:a@x.at", "email:z@x.de", "user_id:a@y")),
                someone("bob", identifiers=("email:b@x.at",)),
                someone("cleo", identifiers=("email2:a@x.at",)),
            ],
        )
        assert await chosen(store, {"identifier": "email", **test}) == names

    @pytest.mark.parametrize(
        ("more", "names"),
        [
            ({}, {"ada", "bob"}),
            ({"times": 2}, {"ada"}),
            ({"times": {"at_most": 0}}, {"cleo"}),
            ({"times": {"at_most": 1}}, {"bob", "cleo"}),
            ({"times": {"exactly": 1}}, {"bob"}),
            ({"within": "1 hour"}, {"ada"}),
            ({"times": {"exactly": 0}, "within": "1 hour"}, {"bob", "cleo"}),
            ({"where": {"op": "gt", "property": "price", "value": 100}}, {"ada"}),
            ({"where": {"op": "not", "of": {"op": "exists", "property": "price"}}}, {"bob"}),
            ({"where": {"op": "or", "of": [_AT_50, _AT_150]}, "times": 2}, {"ada"}),
        ],
    )
    async def test_what_people_did(self, store: ProfileStore, more: Any, names: set[str]) -> None:
        await write(
            store,
            profiles=[someone(name) for name in ("ada", "bob", "cleo")],
            events=[
                *done_by("ada", *told(_HOUR - 1, properties={"price": 150})),
                *done_by("ada", *told(_HOUR, properties={"price": 50})),
                *done_by("bob", *told(_DAY)),
                *done_by("cleo", *told(1, name="Bought")),
                *done_by("cleo", *told(1, kind="page")),
            ],
        )
        assert await chosen(store, {"op": "did", "event": "Viewed", **more}) == names

    async def test_steps_in_their_order(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[someone(name) for name in _PEOPLE],
            events=[
                *done_by("ada", *told(3 * _HOUR, 2 * _HOUR)),
                *done_by("bob", *told(3 * _HOUR, 2 * _HOUR)),
                *done_by("bob", *told(90 * 60_000_000, name="Bought")),
                *done_by("cleo", *told(3 * _HOUR)),
                *done_by("dora", *told(_HOUR, _HOUR // 2)),
            ],
        )
        steps = [{"event": "Viewed", "times": 2, "within": "1 day"}]
        quietly = {"op": "sequence", "steps": [*steps, {"event": "Bought", "not": True, "within": "1 hour"}]}
        assert await chosen(store, quietly) == {"ada"}
        bought = {"op": "sequence", "steps": [*steps, {"event": "Bought"}]}
        assert await chosen(store, bought) == {"bob"}

    async def test_what_was_merged_away_counts_for_its_keeper(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[someone("ada"), someone("bob", identifiers=("email:b@x.at",), attributes={"x": 1})],
            events=[*done_by("ada", *told(1)), *done_by("bob", *told(2))],
        )
        await write(store, absorbed={an_id("bob"): an_id("ada")})

        assert len((await soon(store.select([], now=NOON))).everybody) == 1
        assert await chosen(store, {"op": "did", "event": "Viewed", "times": 2}) == {"ada"}
        assert await chosen(store, {"op": "eq", "identifier": "email", "value": "b@x.at"}) == {"ada"}
        assert await chosen(store, {"op": "exists", "attribute": "x"}) == set()

    async def test_several_conditions_are_looked_up_at_once(self, store: ProfileStore) -> None:
        await write(store, profiles=[someone("ada", traits={"x": 1}), someone("bob", traits={"x": 2})])
        trees = [
            {"op": "exists", "trait": "x"},
            {"op": "gt", "trait": "x", "value": 1},
            {"op": "member", "group": "none"},
        ]
        conditions = [parse(tree) for tree in trees]
        selection = await soon(store.select([*conditions, conditions[0]], now=NOON))
        assert [len(selection.chosen[one]) for one in conditions] == [2, 1, 0]

    async def test_numbers_stay_while_profiles_move(self, store: ProfileStore) -> None:
        await write(store, profiles=[someone("ada"), someone("bob")])
        before = (await soon(store.select([], now=NOON))).everybody
        await write(store, profiles=[replace(someone("ada"), known=None), someone("bob"), someone("cleo")])
        after = (await soon(store.select([], now=NOON))).everybody
        assert len(before & after) == 2
        assert len(after) == 3
        assert msgspec.json.encode(len(await soon(store.numbered(list(after))))) == b"3"
