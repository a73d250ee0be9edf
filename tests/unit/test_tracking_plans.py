"""Tracking plans: what is as planned goes on, what is not is noted, cut or blocked; and a plan's versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obverse.adapters.definition_files import read_folder
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.events import Event, RejectedEvent
from obverse.core.people import People
from obverse.core.tracking_plans import BadPlan, Mode, check_edits, narrowed
from obverse.wiring import trait_kinds
from people_steps import event

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["order_id", "total"],
    "properties": {
        "order_id": {"type": "string"},
        "total": {"type": "number", "minimum": 0},
        "coupon": {"enum": ["SPRING", "WELCOME"]},
        "customer": {"type": "object", "required": ["tier"], "properties": {"tier": {"type": "string"}}},
        "products": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
    "additionalProperties": False,
}
CALLS: list[dict[str, Any]] = [
    {"event": "Order Completed", "description": "Paid for", "schema": ORDER},
    {"event": "Cart Viewed"},
    {"type": "identify", "schema": {"properties": {"email": {"type": "string", "pattern": "^[^@]+@[^@]+$"}}}},
    {"type": "page", "name": "Home"},
]
GOOD = {"order_id": "o1", "total": 12.50}


def plan(version: str = "1.0", calls: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    spec = {"version": version, "calls": CALLS if calls is None else calls, **more}
    return {"version": "obverse/v1", "kind": "tracking_plan", "metadata": {"name": "shop"}, "spec": spec}


def source(**held: Any) -> dict[str, Any]:
    spec = {"tracking_plan": {"name": "shop", **held}} if held is not None else {}
    return {"version": "obverse/v1", "kind": "source", "metadata": {"name": "web"}, "spec": spec}


def defined(folder: Path, *documents: dict[str, Any]) -> Definitions:
    for place, document in enumerate(documents):
        (folder / f"{place}.yml").write_text(json.dumps(document), encoding="utf-8")
    return read_folder(folder, trait_kinds())


def judged(folder: Path, mode: Mode, one: Event) -> Event | RejectedEvent:
    return People("main", defined(folder, plan(), source(mode=mode))).admit(one)


def order(**properties: Any) -> Event:
    return event("m1", type_="track", name="Order Completed", user_id="ada", properties=properties)


@pytest.mark.parametrize(
    "one",
    [
        order(**GOOD),
        order(**GOOD, coupon="SPRING", products=[{"sku": "s1"}]),
        event("m1", type_="track", name="Cart Viewed", user_id="ada", properties={"any": 1}),
        event("m1", type_="identify", user_id="ada", properties={"email": "ada@example.com", "plan": "pro"}),
        event("m1", type_="page", name="Home", user_id="ada"),
        event("m1", type_="group", user_id="ada", group_id="g"),
    ],
    ids=["order", "order with all", "no schema", "traits", "page", "a type that it does not speak of"],
)
def test_what_is_as_planned_goes_on_untouched(tmp_path: Path, one: Event) -> None:
    modes: tuple[Mode, ...] = ("allow", "omit", "block")
    for mode in modes:
        assert judged(tmp_path, mode, one) is one


@pytest.mark.parametrize(
    ("one", "field", "reason"),
    [
        (order(total=1), "$.properties.order_id", '"order_id" is a required property'),
        (order(**GOOD, tip=1), "$.properties.tip", "is not planned"),
        (order(order_id="o1", total=-1), "$.properties.total", "-1 is less than the minimum of 0"),
        (order(order_id=5, total=1), "$.properties.order_id", '5 is not of type "string"'),
        (order(**GOOD, products=[{"sku": "a"}, {}]), "$.properties.products[1].sku", '"sku" is a required property'),
        (order(**GOOD, customer={"tier": 1}), "$.properties.customer.tier", '1 is not of type "string"'),
        (
            event("m1", type_="identify", user_id="ada", properties={"email": "ada"}),
            "$.traits.email",
            '"ada" does not match',
        ),
        (
            event("m1", type_="track", name="Order Complete", user_id="ada"),
            "$.event",
            "is not in tracking plan shop 1.0",
        ),
        (event("m1", type_="page", name="Hom", user_id="ada"), "$.name", "is not in tracking plan shop 1.0"),
    ],
)
def test_what_is_not_is_blocked_with_the_field(tmp_path: Path, one: Event, field: str, reason: str) -> None:
    rejected = judged(tmp_path, "block", one)
    assert isinstance(rejected, RejectedEvent)
    assert (rejected.code, rejected.field) == ("violates_tracking_plan", field)
    assert (rejected.source, rejected.message_id, rejected.type) == ("web", "m1", one.type)
    assert "tracking plan shop 1.0" in rejected.reason
    assert f"{field}: " in rejected.reason
    assert reason in rejected.reason
    assert json.loads(rejected.body)["messageId"] == "m1"


def test_allowed_it_goes_on_with_a_note(tmp_path: Path) -> None:
    admitted = judged(tmp_path, "allow", order(**GOOD, tip=1))
    assert isinstance(admitted, Event)
    assert json.loads(admitted.properties) == {**GOOD, "tip": 1}
    noted = {"plan": "shop 1.0", "violations": [{"field": "$.properties.tip", "reason": "is not planned"}]}
    assert json.loads(admitted.extra) == {"trackingPlan": noted}


@pytest.mark.parametrize(
    ("extra", "left"),
    [
        ({"tip": 1, "note": "x"}, {}),
        ({"coupon": "FREE"}, {}),
        ({"products": [{"sku": "a"}, {}]}, {}),
        ({"customer": {"tier": 5}, "products": [{"sku": "a"}]}, {"products": [{"sku": "a"}]}),
    ],
    ids=["unplanned", "wrong value", "a list goes as a whole", "what is hidden beneath goes too"],
)
def test_what_is_not_planned_is_omitted_and_kept_beside(
    tmp_path: Path, extra: dict[str, Any], left: dict[str, Any]
) -> None:
    sent = {"order_id": "o1", "total": 12.50}
    admitted = judged(tmp_path, "omit", order(**sent, **extra))
    assert isinstance(admitted, Event)
    assert json.loads(admitted.properties) == {**sent, **left}
    notes = json.loads(admitted.extra)["trackingPlan"]["violations"]
    assert {one["field"].split(".")[2].split("[")[0] for one in notes} == extra.keys() - left.keys()
    assert all("omitted" in one for one in notes)


def test_numbers_are_omitted_around_exactly(tmp_path: Path) -> None:
    one = event("m1", type_="track", name="Order Completed", user_id="ada")
    one = msgspec.structs.replace(one, properties=b'{"order_id":"o1","total":12.50,"tip":0.10}')
    admitted = judged(tmp_path, "omit", one)
    assert isinstance(admitted, Event)
    assert admitted.properties == b'{"order_id":"o1","total":12.50}'


@pytest.mark.parametrize("one", [order(total=1), event("m1", type_="track", name="Nothing", user_id="ada")])
def test_what_omitting_does_not_help_is_blocked(tmp_path: Path, one: Event) -> None:
    assert isinstance(judged(tmp_path, "omit", one), RejectedEvent)


def test_what_is_blocked_after_all_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    """Even if something of it was cut out before the rest turned out to be no better."""
    schema = {"properties": {"a": {"type": "string"}}, "minProperties": 2}
    held = defined(tmp_path, plan(calls=[{"event": "A", "schema": schema}]), source(mode="omit"))
    one = event("m1", type_="track", name="A", user_id="ada", properties={"a": 1, "b": 2})
    rejected = People("main", held).admit(one)
    assert isinstance(rejected, RejectedEvent)
    assert json.loads(rejected.body)["properties"] == {"a": 1, "b": 2}


def test_another_source_is_not_held_to_it(tmp_path: Path) -> None:
    people = People("main", defined(tmp_path, plan(), source(mode="block")))
    other = msgspec.structs.replace(order(total=1), source="app")
    assert people.admit(other) is other


def test_a_source_is_held_to_the_latest_version_or_to_the_one_it_names(tmp_path: Path) -> None:
    newer = plan("1.10", [*CALLS, {"event": "Added Later"}])
    for held, version in (({}, (1, 10)), ({"version": "1.2"}, (1, 2))):
        found = defined(tmp_path, plan("1.2"), newer, source(**held))
        assert found.held["web"].plan.version == version
        assert len(found.tracking_plans) == 2


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([plan(version=1.0)], "spec.version: Expected `str`, got `float`"),  # type: ignore[arg-type]  # as YAML reads it
        ([plan(version="1")], "spec.version"),
        ([plan(calls=[])], "spec.calls: Expected `array` of length >= 1"),
        ([plan(calls=[{"event": "A", "schema": {"type": "strin"}}])], "spec.calls[0].schema.type"),
        ([plan(calls=[{"event": "A", "schema": {"pattern": "(a"}}])], "spec.calls[0].schema.pattern"),
        ([plan(calls=[{"event": "A", "schema": {"pattern": "(?=a)"}}])], "spec.calls[0].schema.pattern"),
        (
            [plan(calls=[{"event": "A", "schema": {"$ref": "http://schemas.example/a"}}])],
            "put what it holds under `$defs`",
        ),
        ([plan(calls=[{"type": "alias"}])], "spec.calls[0].type: an alias has nothing that could be planned"),
        ([plan(calls=[{"type": "track"}])], "spec.calls[0].event: a track is planned by the name"),
        ([plan(calls=[{"type": "trakc", "event": "A"}])], "spec.calls[0]"),
        ([plan(calls=[{"type": "page", "event": "A"}])], "`event` is a track's; use `name` for a page"),
        ([plan(calls=[{"event": "A"}, {"event": "A"}])], "spec.calls[1]: track 'A' is planned above already"),
        ([plan(), plan()], "is defined in"),
        ([source(mode="block")], "held to tracking plan 'shop', which is not defined (defined: none)"),
        ([plan(), source(version="2.0")], "held to tracking plan 'shop 2.0', which is not defined (defined: shop 1.0)"),
        ([plan(), source(mode="shout")], "spec.tracking_plan.mode"),
        ([plan(), plan("1.1", CALLS[1:])], "shop 1.1: track 'Order Completed' was taken out"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused_with_the_place(
    tmp_path: Path, documents: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(BadDefinition) as told:
        defined(tmp_path, *documents)
    assert words in str(told.value)


def test_an_incompatible_change_needs_another_first_number(tmp_path: Path) -> None:
    stricter = {**ORDER, "required": [*ORDER["required"], "coupon"]}
    calls = [{**CALLS[0], "schema": stricter}, *CALLS[1:]]
    with pytest.raises(BadDefinition) as told:
        defined(tmp_path, plan("1.0"), plan("1.1", calls))
    assert "track 'Order Completed', schema.required asks for 'coupon'" in str(told.value)
    assert "make it version 2.0" in str(told.value)
    assert len(defined(tmp_path, plan("1.0"), plan("2.0", calls)).tracking_plans) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {}),
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": "string"}, {}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"minimum": 1, "maxLength": 5}, {"minimum": 0, "maxLength": 6}),
        ({"required": ["a", "b"]}, {"required": ["a"]}),
        ({"properties": {"a": {"type": "integer"}}}, {"properties": {"a": {"type": "number"}}}),
        ({"additionalProperties": False}, {"additionalProperties": {"type": "string"}}),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"properties": {"a": {}, "b": {}}, "additionalProperties": False},
        ),
        ({"description": "x"}, {"description": "y", "title": "z"}),
        ({"pattern": "^a"}, {"pattern": "^a"}),
        ({"pattern": "^a"}, {}),
        ({"items": {"type": "integer"}}, {"items": {"type": "number"}}),
    ],
)
def test_a_wider_schema_is_compatible(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert list(narrowed(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ({}, {"type": "string"}, ".type"),
        ({"type": "number"}, {"type": "integer"}, ".type"),
        ({"type": ["string", "null"]}, {"type": "string"}, ".type"),
        ({}, {"enum": ["a"]}, ".enum"),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, ".enum"),
        ({"minimum": 0}, {"minimum": 1}, ".minimum"),
        ({}, {"maxLength": 5}, ".maxLength"),
        ({}, {"required": ["a"]}, ".required"),
        ({}, {"additionalProperties": False}, ".additionalProperties"),
        ({"properties": {"a": {}}}, {"properties": {"a": {"type": "string"}}}, ".properties.a.type"),
        ({}, {"properties": {"a": {"type": "string"}}}, ".properties.a.type"),
        ({"properties": {"a": {}}}, {"additionalProperties": {"type": "string"}}, ".properties.a.type"),
        ({"pattern": "^a"}, {"pattern": "^b"}, ".pattern"),
        ({}, {"const": 1}, ".const"),
        ({"items": {}}, {"items": {"type": "string"}}, ".items.type"),
        ({}, False, ""),
        ({}, {"anyOf": [{"type": "string"}]}, ".anyOf"),
    ],
)
def test_a_narrower_schema_is_told_with_the_place(old: dict[str, Any], new: Any, place: str) -> None:
    assert place in [where for where, _ in narrowed(old, new)]


@pytest.mark.parametrize("mode", ["allow", "omit"])
def test_a_list_of_flaws_is_noted_in_few_words(tmp_path: Path, mode: Mode) -> None:
    """Each item has one, and an event of 32 KB was a megabyte with its notes."""
    products = [{"sku": f"s{n}"} if n else {"name": "no sku"} for n in [*range(3), *[0] * 1500]]
    noted = judged(tmp_path, mode, order(**GOOD, products=products, coupon="AUTUMN"))
    assert isinstance(noted, Event)
    notes = json.loads(noted.extra)["trackingPlan"]["violations"]
    assert len(noted.extra) < 40_000
    assert any(one["reason"].startswith("and 14") for one in notes)
    if mode == "omit":
        omitted = {one["field"].partition("[")[0]: one["omitted"] for one in notes if one.get("omitted")}
        assert omitted == {"$.properties.coupon": "AUTUMN", "$.properties.products": products}


def test_segments_own_plan_can_be_said(tmp_path: Path) -> None:
    """The tracking plan that Segment publishes holds what it says its events have."""
    told = json.loads((Path(__file__).parents[1] / "data/segment_spec/plan.json").read_bytes())
    calls = [
        {"event": one["name"], "schema": one["rules"].get("properties", {}).get("properties", {})}
        for one in told["rules"]["events"]
    ]
    found = defined(tmp_path, plan(calls=calls), source(mode="block"))
    people = People("main", found)
    good = event("m1", type_="track", name="Docs Searched", user_id="ada", properties={"query": "x"})
    bad = event("m2", type_="track", name="Docs Searched", user_id="ada", properties={"q": "x"})
    assert people.admit(good) is good
    rejected = people.admit(bad)
    assert isinstance(rejected, RejectedEvent)
    assert rejected.field == "$.properties.query"


def test_a_version_is_changed_where_it_stands_only_if_what_was_good_stays_good(tmp_path: Path) -> None:
    wider = [{**CALLS[0], "schema": {**ORDER, "required": ["order_id"]}}, *CALLS[1:]]
    before = defined(tmp_path, plan("1.0", wider))
    check_edits(before.tracking_plans, before.tracking_plans)
    narrower = defined(tmp_path, plan("1.0"))
    with pytest.raises(
        BadPlan, match=r"shop 1\.0 was changed where it stands: track 'Order Completed', schema.required"
    ):
        check_edits(before.tracking_plans, narrower.tracking_plans)
    check_edits(narrower.tracking_plans, before.tracking_plans)
    check_edits(before.tracking_plans, defined(tmp_path, plan("2.0")).tracking_plans)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (
            {"patternProperties": {"^x": {}}, "additionalProperties": False},
            {"additionalProperties": False},
            ".patternProperties",
        ),
        ({"prefixItems": [{}], "items": False}, {"items": False}, ".prefixItems"),
        (
            {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
            {"unevaluatedProperties": False},
            ".allOf",
        ),
    ],
)
def test_what_spared_some_of_a_rule_cannot_go_without_it(old: Any, new: Any, place: str) -> None:
    assert place in [where for where, _ in narrowed(old, new)]
    alone = {name: value for name, value in old.items() if name not in new}
    assert list(narrowed(alone, {})) == []
