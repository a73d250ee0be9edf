"""Which identifiers an event shows, and which of them identify anybody."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import ANYTHING, TEXTS
from obverse.core import json_values
from obverse.core.events import Event
from obverse.core.identity import (
    KNOWN,
    LONGEST,
    IdentityRules,
    Kind,
    edge_key,
    id_text,
    identifiers,
    is_blocked,
    profile_id,
)

RULES = IdentityRules()

ANY_CASE = [
    "anonymous",
    "guest",
    "distinctid",
    "distinct_id",
    "id",
    "not_authenticated",
    "email",
    "undefined",
    "true",
    "false",
]
EXACTLY = ["[object Object]", "NaN", "None", "none", "null", "0", "-1"]
EMPTY = ["", " ", "\t\n", "0", "00", "-", "--", "0000-0000", "00000000-0000-0000-0000-000000000000"]


@pytest.mark.parametrize("value", [*ANY_CASE, *EXACTLY, *EMPTY])
def test_placeholders_identify_nobody_bare_quoted_or_in_blanks(value: str) -> None:
    for written in (value, f"'{value}'", f'"{value}"', f" {value} ", f"' {value} '"):
        assert is_blocked(written, RULES), written


@pytest.mark.parametrize("value", ANY_CASE)
def test_some_placeholders_are_blocked_in_any_case(value: str) -> None:
    for written in (value.upper(), value.title(), f'"{value.swapcase()}"'):
        assert is_blocked(written, RULES), written


@pytest.mark.parametrize(
    "value",
    [
        "ada",
        "NULL",
        "NAN",
        "nan",
        "-2",
        "1",
        "0001",
        "null1",
        "'ada'",
        "'null\"",
        '"',
        "'",
        "anonymous-7",
        "x" * LONGEST,
    ],
)
def test_other_values_identify_somebody(value: str) -> None:
    assert not is_blocked(value, RULES)


def test_what_is_too_long_identifies_nobody() -> None:
    assert is_blocked("x" * (LONGEST + 1), RULES)


def test_a_workspace_may_block_values_of_its_own() -> None:
    rules = IdentityRules(blocked=frozenset({"test-user", "info@example.com"}))
    assert is_blocked("test-user", rules)
    assert not is_blocked("Test-User", rules)
    event = said({"email": "Info@example.com"}, user_id="test-user", anonymous_id="a-1")
    assert identifiers(event, rules) == ("anonymous_id:a-1",)


def said(properties: Any = None, *, context: Any = None, type_: str = "track", **fields: Any) -> Event:
    """Return an event with these properties or traits."""
    return Event(
        type=type_,
        message_id="m",
        source="web",
        received_at=1,
        timestamp=1,
        properties=properties if isinstance(properties, bytes) else msgspec.json.encode(properties or {}),
        context=context if isinstance(context, bytes) else msgspec.json.encode(context or {}),
        **fields,
    )


def shown(event: Event) -> tuple[str, ...]:
    return identifiers(event, RULES)


def test_the_strongest_kind_comes_first() -> None:
    event = said({"email": "ada@example.com"}, user_id="ada", anonymous_id="a-1")
    assert shown(event) == ("user_id:ada", "email:ada@example.com", "anonymous_id:a-1")


@pytest.mark.parametrize("type_", ["track", "identify", "page", "screen", "alias"])
def test_an_address_is_found_in_properties_or_traits(type_: str) -> None:
    assert shown(said({"email": "ada@example.com"}, type_=type_)) == ("email:ada@example.com",)


def test_an_address_is_found_in_the_contexts_traits() -> None:
    assert shown(said(context={"traits": {"email": "ada@example.com"}})) == ("email:ada@example.com",)


def test_two_addresses_are_both_shown_and_one_twice_once() -> None:
    event = said({"email": "one@example.com"}, context={"traits": {"email": "two@example.com"}})
    assert shown(event) == ("email:one@example.com", "email:two@example.com")
    event = said({"email": "ONE@example.com"}, context={"traits": {"email": "one@example.com "}})
    assert shown(event) == ("email:one@example.com",)


def test_an_address_is_trimmed_and_in_lower_case() -> None:
    assert shown(said({"email": "  Ada@Example.COM\n"})) == ("email:ada@example.com",)


@pytest.mark.parametrize("key", [rb"\u0065mail", rb"emai\u006C", rb"\u0065\u006d\u0061\u0069\u006c"])
def test_a_key_may_be_spelt_with_escapes(key: bytes) -> None:
    text = b'{"' + key + b'":"ada@example.com"}'
    assert shown(said(text)) == ("email:ada@example.com",)
    assert shown(said(context=b'{"traits":' + text + b"}")) == ("email:ada@example.com",)
    assert shown(said(context=rb'{"tr\u0061its":' + text + b"}")) == ("email:ada@example.com",)


def test_a_groups_traits_tell_of_the_account() -> None:
    event = said({"email": "office@example.com"}, type_="group", user_id="ada", group_id="acme")
    assert shown(event) == ("user_id:ada",)
    event = said({"email": "office@example.com"}, type_="group", context={"traits": {"email": "ada@example.com"}})
    assert shown(event) == ("email:ada@example.com",)


def test_an_alias_shows_both_ids() -> None:
    event = said(type_="alias", user_id="ada", previous_id="a-1")
    assert shown(event) == ("user_id:ada", "anonymous_id:a-1")
    assert shown(said(type_="track", user_id="ada", previous_id="a-1")) == ("user_id:ada",)
    assert shown(said(type_="alias", user_id="ada", previous_id="null")) == ("user_id:ada",)


def test_only_these_places_are_looked_at() -> None:
    hidden = {"user": {"email": "ada@example.com"}, "Email": "x@example.com", "emails": ["y@example.com"]}
    assert shown(said(hidden, context={"email": "z@example.com", **hidden}, user_id="ada")) == ("user_id:ada",)


def test_blocked_values_show_nothing() -> None:
    assert shown(said({"email": "none"}, user_id="null", anonymous_id="0000")) == ()


@pytest.mark.parametrize("address", [None, 5, True, [], {}, "", "  ", "a\0b@example.com", ["ada@example.com"]])
def test_what_is_no_address_shows_nothing(address: Any) -> None:
    assert shown(said({"email": address}, context={"traits": {"email": address}})) == ()


@pytest.mark.parametrize("context", [b'{"traits":5}', b'{"traits":null}', b'{"traits":["email"]}', b'{"email":1}'])
def test_a_context_without_traits_shows_nothing(context: bytes) -> None:
    assert shown(said({"email": "ada@example.com"}, context=context)) == ("email:ada@example.com",)


def test_what_is_nested_too_deep_to_read_shows_nothing() -> None:
    deep = b'{"email":' * 5000 + b'"ada@example.com"' + b"}" * 5000
    assert shown(said(deep, context=b'{"traits":' + deep + b"}", user_id="ada")) == ("user_id:ada",)


ANDROID = {"type": "Android", "id": "d-1", "advertisingId": "ad-1", "adTrackingEnabled": True, "token": "t-1"}


def test_a_device_is_found_by_its_type() -> None:
    event = said(context={"device": ANDROID}, anonymous_id="a-1")
    assert shown(event) == ("android.id:d-1", "android.idfa:ad-1", "android.push_token:t-1", "anonymous_id:a-1")
    event = said(context={"device": {**ANDROID, "type": "ios", "adTrackingEnabled": False}}, user_id="ada")
    assert shown(event) == ("user_id:ada", "ios.id:d-1", "ios.push_token:t-1")
    for odd in ({**ANDROID, "type": "desktop"}, {**ANDROID, "type": None}, "phone", None, [ANDROID]):
        assert shown(said(context={"device": odd}, anonymous_id="a-1")) == ("anonymous_id:a-1",)
    odd = {"type": "ios", "id": 5, "advertisingId": ["x"], "adTrackingEnabled": "true", "token": "null"}
    assert shown(said(context={"device": odd}, anonymous_id="a-1")) == ("anonymous_id:a-1",)


def test_googles_client_id_is_found_where_it_is_captured() -> None:
    event = said(context={"integrations": {"Google Analytics": {"clientId": "1.2"}}}, anonymous_id="a-1")
    assert shown(event) == ("anonymous_id:a-1", "ga_client_id:1.2")
    for odd in ({"Google Analytics": True}, {"Google Analytics": {"clientId": 5}}, {"All": False}, None):
        assert shown(said(context={"integrations": odd, "x": 'clientId"'}, anonymous_id="a-1")) == ("anonymous_id:a-1",)


def external(kind: Any, value: Any, **more: Any) -> dict[str, Any]:
    return {"id": value, "type": kind, "collection": "users", "encoding": "none", **more}


OWN = IdentityRules(added=(Kind("loyalty_card"), Kind("member_email", "email"), Kind("phone", "phone", "GB")))


def test_external_ids_count_if_their_kind_does() -> None:
    ids = [
        external("ga_client_id", "7"),
        external("user_id", "ada"),
        external("email", "ADA@example.com"),
        external("loyalty_card", 42),
        external("phone", "020 7946 0958"),
        external("unheard_of", "1"),
        external("loyalty_card", "9", collection="accounts"),
        external("loyalty_card", "8", encoding="md5"),
        external("loyalty_card", value=True),
        external(5, "7"),
        "odd",
    ]
    event = said(context={"externalIds": ids})
    assert shown(event) == ("user_id:ada", "email:ada@example.com", "ga_client_id:7")
    assert identifiers(event, OWN) == (
        "user_id:ada",
        "email:ada@example.com",
        "ga_client_id:7",
        "loyalty_card:42",
        "phone:+442079460958",
    )
    assert shown(said(context={"externalIds": {"id": 1}}, user_id="bob")) == ("user_id:bob",)


@pytest.mark.parametrize("key", ["loyalty_card", "loyaltyCard"])
def test_a_kind_of_ones_own_is_found_in_snake_and_camel_case(key: str) -> None:
    for event in (said({key: " 42 "}), said({key: 42}), said(context={"traits": {key: "42"}})):
        assert identifiers(event, OWN) == ("loyalty_card:42",)
        assert shown(event) == ()
    odds: list[Any] = [True, None, 4.5, [], {}, "", " ", "null", "x" * 401, "a\0b"]
    for odd in odds:
        assert identifiers(said({key: odd}, user_id="ada"), OWN) == ("user_id:ada",)
    assert identifiers(said({key: "42"}, type_="group", user_id="ada"), OWN) == ("user_id:ada",)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("020 7946 0958", "+442079460958"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("0044 20 7946 0958", "+442079460958"),
        ("+1 650-253-0000", "+16502530000"),
        ("tel:+442079460958", "+442079460958"),
        ("none", None),
        ("12", None),
        ("+999 123", None),
        ("0" * 12, None),
    ],
)
def test_a_phone_number_has_one_spelling(written: str, number: str | None) -> None:
    found = identifiers(said({"phone": written}), OWN)
    assert found == (() if number is None else (f"phone:{number}",))


def test_a_number_without_a_country_needs_a_region() -> None:
    anywhere = IdentityRules(added=(Kind("phone", "phone"),))
    assert identifiers(said({"phone": "020 7946 0958"}), anywhere) == ()
    assert identifiers(said({"phone": "+44 20 7946 0958"}), anywhere) == ("phone:+442079460958",)


def test_brazes_id_is_found_among_the_integrations_too() -> None:
    rules = IdentityRules(added=(KNOWN["braze_id"],))
    event = said(context={"integrations": {"Braze": {"braze_id": "b-1"}}}, user_id="ada")
    assert identifiers(event, rules) == ("user_id:ada", "braze_id:b-1")
    assert shown(event) == ("user_id:ada",)


def test_kinds_are_in_the_order_of_their_strength() -> None:
    assert OWN.kinds[:3] == ("user_id", "email", "android.id")
    assert list(OWN.kinds[2:]) == sorted(OWN.kinds[2:])


@LAWS
@given(st.dictionaries(st.just("email") | TEXTS, ANYTHING, max_size=4), st.none() | TEXTS, st.none() | TEXTS)
def test_no_event_breaks_it(fields: dict[str, Any], user: str | None, anonymous: str | None) -> None:
    text = json_values.encode(fields)
    found = shown(said(text, context=b'{"traits":%b}' % text, user_id=user, anonymous_id=anonymous))
    assert len(set(found)) == len(found)
    assert all(not is_blocked(one.partition(":")[2], RULES) for one in found)


# Ids.


def test_a_profiles_id_is_a_uuid_of_the_workspace_and_its_identifier() -> None:
    one = profile_id("main", "user_id:ada")
    assert len(one) == 16
    assert one == profile_id("main", "user_id:ada")
    others = [("main", "user_id:bob"), ("other", "user_id:ada"), ("main\0user_id", ":ada"), ("main", "email:ada")]
    assert one not in {profile_id(*other) for other in others}
    assert id_text(one) == str(UUID(bytes=one))
    assert UUID(bytes=one).variant == "specified in RFC 4122"
    assert UUID(bytes=one).version == 8


def test_an_edge_has_one_key_whichever_way_round() -> None:
    assert edge_key("b", "a") == edge_key("a", "b") == ("a", "b")


@pytest.mark.parametrize("value", [*EXACTLY, *ANY_CASE, "null", "-"])
def test_an_address_that_many_share_is_none(value: str) -> None:
    assert shown(said({"email": f" {value} "}, user_id="ada")) == ("user_id:ada",)
