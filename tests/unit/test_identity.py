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
from obverse.core.identity import LONGEST, IdentityRules, edge_key, id_text, identifiers, is_blocked, profile_id

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
