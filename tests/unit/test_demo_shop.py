"""The demo's shop: what the file's invoices become, held against a second reading of the file."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from typing import Any

import msgspec
import pytest
import yaml

from acceptance.shop_figures import SHOP_FILE, Figures, shop_figures
from obverse.apps.demo.people import made_traits
from obverse.apps.demo.shop import Event, Kind, Shop, open_shop, read_shop

COLUMNS = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
AT = "2010-12-01 08:26:00"


@pytest.fixture(scope="module")
def shop() -> Shop:
    return open_shop()


@pytest.fixture(scope="module")
def told(shop: Shop) -> list[Event]:
    return list(shop.events())


@pytest.fixture(scope="module")
def figures() -> Figures:
    return shop_figures()


def small_shop(*rows: str) -> Shop:
    return read_shop(csv.DictReader([COLUMNS, *rows]))


def encoded(event: Event) -> bytes:
    return msgspec.json.encode(event)


def name(event: Event) -> str:
    return str(event.get("event", event["type"]))


def names(shop: Shop) -> list[str]:
    return [name(event) for event in shop.events()]


def owner(event: Event, user_of_visitor: dict[str, str]) -> str:
    """Whose event it turns out to be, once everyone has said who they are."""
    return str(event["userId"] or user_of_visitor.get(event["anonymousId"], event["anonymousId"]))


def test_the_rows_are_those_of_the_data_set() -> None:
    # Of the unpacked text: packing it anew may change the archive and not a row.
    assert (
        sha256(gzip.decompress(SHOP_FILE.read_bytes())).hexdigest()
        == "5ebccabb7ff6a4b912432add9e9842db63ab2c1762424f719cd238cbbbaf7990"
    )


def test_as_many_events_of_each_name_as_the_file_asks_for(shop: Shop, told: list[Event], figures: Figures) -> None:
    assert Counter(name(event) for event in told) == figures.events
    assert len(told) == shop.event_count == figures.events_accepted


def test_the_known_figures(figures: Figures) -> None:
    assert figures.events_accepted == 52_228
    assert (len(figures.customers), len(figures.guests), figures.profiles) == (1_039, 359, 1_398)
    assert figures.merges == 50
    assert figures.audiences == {"big_spenders": 199, "one_time_buyers": 834, "refunded": 309}


def test_the_story_gives_each_person_what_the_file_gives(told: list[Event], figures: Figures) -> None:
    user_of_visitor = {event["anonymousId"]: event["userId"] for event in told if event["type"] == "identify"}
    lifetime_value: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    refunds: Counter[str] = Counter()
    times: dict[str, list[datetime]] = {}
    baskets: dict[str, Counter[str]] = {}
    for event in told:
        person = owner(event, user_of_visitor)
        if name(event) == "Order Completed":
            orders[person] += 1
            lifetime_value[person] += event["properties"]["revenue"]
            times.setdefault(person, []).append(datetime.fromisoformat(event["timestamp"]))
        elif name(event) == "Order Refunded":
            refunds[person] += event["properties"]["revenue"]
        elif name(event) == "Product Added":
            baskets.setdefault(person, Counter())[event["properties"]["sku"]] += 1

    people = figures.customers | {f"visitor-{number}": guest for number, guest in figures.guests.items()}
    assert {owner(event, user_of_visitor) for event in told} == set(people)
    for person, expected in people.items():
        assert orders[person] == expected.orders
        assert lifetime_value[person] == expected.lifetime_value
        assert refunds[person] == expected.refunds
        assert min(times.get(person, []), default=None) == expected.first_order_at
        assert max(times.get(person, []), default=None) == expected.last_order_at
        counted = sorted((-count, sku) for sku, count in baskets.get(person, Counter()).items())
        assert (counted[0][1] if counted else None) == expected.favourite_product


def test_merges_are_visitors_who_turn_out_to_be_known(told: list[Event], figures: Figures) -> None:
    known: set[str] = set()
    merges = 0
    for event in told:
        if event["type"] == "identify":
            merges += event["anonymousId"] in known and event["userId"] in known
        known |= {event["anonymousId"], event["userId"]} - {None}
    assert merges == figures.merges


def test_time_never_runs_back(shop: Shop, told: list[Event]) -> None:
    assert [event["timestamp"] for event in told] == sorted(event["timestamp"] for event in told)
    assert [(invoice.at, invoice.number) for invoice in shop.invoices] == sorted(
        (invoice.at, invoice.number) for invoice in shop.invoices
    )


def test_an_event_looks_as_a_segment_client_sends_it(told: list[Event]) -> None:
    common = {"integrations", "anonymousId", "timestamp", "context", "userId", "type", "messageId"}
    for event in told:
        if event["type"] == "track":
            assert set(event) == common | {"event", "properties"}
        else:
            assert event["type"] == "identify"
            assert set(event) == common | {"traits"}
        assert event["integrations"] == {}
        assert set(event["context"]["library"]) == {"name", "version"}
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:00\.000\+00:00", event["timestamp"])
        assert event["anonymousId"] or event["userId"]


def test_no_event_claims_a_time_of_sending_and_none_is_too_large(told: list[Event]) -> None:
    bodies = [encoded(event) for event in told]
    assert not any(b"sentAt" in body for body in bodies)
    assert max(map(len, bodies)) < 32 * 1024


def test_message_ids_are_distinct_short_sorted_and_the_same_in_each_telling(shop: Shop, told: list[Event]) -> None:
    ids = [event["messageId"] for event in told]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) < 100
    assert ids == sorted(ids)
    assert ids == [event["messageId"] for event in shop.events()]
    assert not set(ids) & {event["messageId"] for event in shop.events("another")}


def test_money_goes_out_as_exact_numbers_and_codes_as_text(told: list[Event]) -> None:
    encode = msgspec.json.Encoder(decimal_format="number").encode
    decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
    for event in told:
        body = encode(event)
        assert not re.search(rb'"(?:price|revenue)":[^,}]*[eE"]', body)
        assert decode(body) == event
        if name(event) == "Product Added":
            assert type(event["properties"]["sku"]) is str
            assert type(event["properties"]["quantity"]) is int


def test_prices_are_spelled_as_in_the_file() -> None:
    shop = small_shop(f"1,A,,2,{AT},15.0,,France", f"1,B,,1,{AT},2.50,,France")
    body = msgspec.json.encode(list(shop.events()), order=None)
    assert b'"price":"15.0"' in body
    assert b'"price":"2.50"' in body
    assert b'"revenue":"32.50"' in body


def test_a_long_order_lists_its_first_100_products_and_says_how_many_it_had(
    told: list[Event], figures: Figures
) -> None:
    completed = [event["properties"] for event in told if name(event) == "Order Completed"]
    added: dict[str, list[dict[str, Any]]] = {}
    for event in told:
        if name(event) == "Product Added":
            product = dict(event["properties"])
            added.setdefault(product.pop("order_id"), []).append(product)
    assert len(completed) == figures.events["Order Completed"]
    for properties in completed:
        lines = added[properties["order_id"]]
        assert properties["product_lines"] == len(lines)
        assert properties["products"] == lines[:100]
        assert properties["revenue"] > 0
    assert max(properties["product_lines"] for properties in completed) == 675


def test_a_customers_first_order_begins_unknown_and_all_later_events_name_them() -> None:
    shop = small_shop(
        f"1,A,,1,{AT},1.0,17850.0,France",
        f"2,A,,1,{AT},1.0,17850.0,France",
        f"C3,A,,-1,{AT},1.0,17850.0,France",
        f"4,A,,-1,{AT},0.0,17850.0,France",
    )
    assert [(name(event), event["anonymousId"], event["userId"]) for event in shop.events()] == [
        ("Product Added", "visitor-1", None),
        ("identify", "visitor-1", "17850"),
        ("Order Completed", None, "17850"),
        ("Product Added", None, "17850"),
        ("Order Completed", None, "17850"),
        ("Stock Adjusted", None, "17850"),
        ("Order Refunded", None, "17850"),
    ]


def test_a_refund_before_the_first_order_names_the_customer_and_the_order_still_begins_unknown() -> None:
    shop = small_shop(
        f"C1,A,,-2,{AT},1.25,17850.0,France",
        "2,A,,1,2010-12-02 08:00:00,1.0,17850.0,France",
    )
    assert [(name(event), event["anonymousId"], event["userId"]) for event in shop.events()] == [
        ("Order Refunded", None, "17850"),
        ("Product Added", "visitor-2", None),
        ("identify", "visitor-2", "17850"),
        ("Order Completed", None, "17850"),
    ]
    refund = next(shop.events())
    assert refund["properties"] == {"order_id": "C1", "revenue": Decimal("2.50")}


def test_guests_keep_one_anonymous_id_an_invoice_and_say_no_name() -> None:
    shop = small_shop(
        f"1,A,,1,{AT},1.0,,France",
        f"2,A,,-5,{AT},0.0,,France",
        f"C3,A,,-1,{AT},1.0,,France",
    )
    assert [(name(event), event["anonymousId"], event["userId"]) for event in shop.events()] == [
        ("Product Added", "visitor-1", None),
        ("Order Completed", "visitor-1", None),
        ("Stock Adjusted", "visitor-2", None),
        ("Order Refunded", "visitor-C3", None),
    ]


@pytest.mark.parametrize(
    ("number", "lines", "kind"),
    [
        ("1", [("1", "0.01")], Kind.ORDER),
        ("1", [("3", "0.10"), ("-1", "0.30")], Kind.ADJUSTMENT),  # a float would find 5.6e-17 of revenue
        ("1", [("5", "0.0")], Kind.ADJUSTMENT),
        ("1", [("-5", "2.0")], Kind.ADJUSTMENT),
        ("C1", [("-1", "2.0")], Kind.REFUND),
    ],
)
def test_the_kinds_of_invoice(number: str, lines: list[tuple[str, str]], kind: Kind) -> None:
    shop = small_shop(*(f"{number},A,,{quantity},{AT},{price},,France" for quantity, price in lines))
    assert [invoice.kind for invoice in shop.invoices] == [kind]


def test_invoices_go_by_the_time_of_their_first_line_and_ties_by_number() -> None:
    shop = small_shop(
        "C8,A,,-1,2010-12-01 08:00:00,1.0,,France",
        "9,A,,1,2010-12-01 09:00:00,1.0,,France",
        "7,A,,1,2010-12-01 08:00:00,1.0,,France",
        "9,B,,1,2010-12-01 07:00:00,1.0,,France",
    )
    assert [invoice.number for invoice in shop.invoices] == ["7", "C8", "9"]
    assert [line.sku for line in shop.invoices[2].lines] == ["A", "B"]
    assert names(shop)[-3:] == ["Product Added", "Product Added", "Order Completed"]
    assert {event["timestamp"] for event in list(shop.events())[-3:]} == {"2010-12-01T09:00:00.000+00:00"}


def test_each_customer_has_an_address_of_their_own_that_belongs_to_nobody(told: list[Event]) -> None:
    introduced = [event for event in told if event["type"] == "identify"]
    addresses = {event["traits"]["email"] for event in introduced}
    assert len(addresses) == len({event["userId"] for event in introduced}) == len(introduced)
    for event in introduced:
        traits = event["traits"]
        assert traits == made_traits(event["userId"], traits["country"])
        assert traits["made"] is True
        assert re.fullmatch(r"[a-z]+\.[a-z]+\.\d+@example\.com", traits["email"])
        assert traits["name"] == f"{traits['firstName']} {traits['lastName']}"
    assert not any(b"@" in encoded(event) for event in told if event["type"] != "identify")


def test_every_definition_of_the_demo_speaks_of_what_the_story_tells(told: list[Event]) -> None:
    definitions = files("obverse.apps.demo") / "definitions"
    properties = {name(event): set(event["properties"]) for event in told if event["type"] == "track"}
    traits = set()
    for file in (definitions / "traits").iterdir():
        trait = yaml.safe_load(file.read_text())
        assert (trait["version"], trait["kind"]) == ("obverse/v1", "trait")
        assert file.name == f"{trait['metadata']['name']}.yml"
        traits.add(trait["metadata"]["name"])
        wanted = trait["spec"].get("property")
        assert wanted is None or wanted in properties[trait["spec"]["event"]]
        assert trait["spec"]["event"] in properties
    assert traits == {
        "orders",
        "lifetime_value",
        "refunds",
        "first_order_at",
        "last_order_at",
        "favourite_product",
    }

    audiences = {}
    for file in (definitions / "audiences").iterdir():
        audience = yaml.safe_load(file.read_text())
        assert (audience["version"], audience["kind"]) == ("obverse/v1", "audience")
        audiences[audience["metadata"]["name"]] = audience["spec"]["where"]
    assert audiences == {
        "big_spenders": {"op": "gte", "trait": "lifetime_value", "value": 1000},
        "one_time_buyers": {"op": "eq", "trait": "orders", "value": 1},
        "refunded": {"op": "gt", "trait": "refunds", "value": 0},
    }
