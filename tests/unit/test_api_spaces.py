"""Segment's Profile API: its addresses, parameters, shapes and errors."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from api_steps import is_problem, open_api_shop
from asgi import App, ask
from obverse.core import json_values
from obverse.core.identity import id_text
from obverse.ports.outcomes import Unreachable
from reading import Shop, group_call, identify, track
from spaces_steps import ACCOUNTS, USERS, AtNoon, is_error, read, read_all, spaces

PARTS = ["traits", "external_ids", "events", "metadata", "links"]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        await opened.fold(
            group_call(3, "acme", '{"name": "Acme Ltd", "seats": 12.50}', user_id="ada"),
            group_call(4, "initech", user_id="ada"),
            group_call(5, "acme", '{"plan": "pro"}', user_id="bea"),
        )
        await opened.checkpoint()
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return spaces(shop)


async def test_traits_are_what_was_told_and_computed_and_the_audiences(api: App) -> None:
    answer = await ask(api, f"{USERS}/user_id:ada/traits")

    assert answer.json == {
        "traits": {
            "big_spenders": True,
            "email": "Ada@Example.com",
            "favourite_product": "A0",
            "first_order_at": "2026-01-31T12:00:00Z",
            "lifetime_value": Decimal("1000.30"),
            "orders": 2,
            "score": Decimal("1.50"),
        },
        "cursor": {"url": f"{USERS}/user_id:ada/traits", "has_more": False, "next": "", "limit": 10},
    }
    assert b'"score":1.50' in answer.body
    assert list(answer.json["traits"]) == sorted(answer.json["traits"])


async def test_a_trait_tells_who_said_so_and_when(api: App) -> None:
    told = (await read(api, f"{USERS}/user_id:ada/traits?verbose=true"))["traits"]

    assert told["score"] == {"value": Decimal("1.50"), "source_id": "shop", "updated_at": "2026-01-31T12:01:00Z"}
    assert told["orders"] == {"value": 2, "source_id": "obverse", "updated_at": "2026-01-31T12:04:00Z"}
    assert told["big_spenders"] == {"value": True, "source_id": "obverse", "updated_at": "2026-01-31T12:02:00Z"}
    plain = await read(api, f"{USERS}/user_id:ada/traits?verbose=false")
    assert plain["traits"] == {name: one["value"] for name, one in told.items()}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("class=audience", ["big_spenders"]),
        ("class=computed_trait", ["favourite_product", "first_order_at", "lifetime_value", "orders"]),
        ("include=score,orders", ["orders", "score"]),
        ("include=%20score%20,,orders,nothing", ["orders", "score"]),
        ("include=nothing", []),
        ("include=&limit=2", ["big_spenders", "email"]),
        ("class=audience&include=orders", []),
        ("limit=1", ["big_spenders"]),
        ("next=m", ["orders", "score"]),
    ],
)
async def test_which_traits_are_told(api: App, query: str, names: list[str]) -> None:
    assert list((await read(api, f"{USERS}/user_id:ada/traits?{query}"))["traits"]) == names


async def test_what_is_computed_here_hides_what_was_told(api: App, shop: Shop) -> None:
    await shop.fold(identify(6, '{"orders": "many"}', user_id="ada"))

    assert (await read(api, f"{USERS}/user_id:ada/traits?include=orders"))["traits"] == {"orders": 2}


async def test_ten_are_told_unless_asked_otherwise(api: App, shop: Shop) -> None:
    traits = json_values.encode({f"t{number:03}": number for number in range(250)}).decode()
    await shop.fold(identify(6, traits, user_id="cleo"))

    whole = f"{USERS}/user_id:cleo/traits"
    assert len((await read(api, whole))["traits"]) == 10
    most = await read(api, f"{whole}?limit=200")
    assert len(most["traits"]) == 200
    assert (most["cursor"]["has_more"], most["cursor"]["next"]) == (True, "t200")
    pages = await read_all(api, whole, limit=60)
    assert [len(page["traits"]) for page in pages] == [60, 60, 60, 60, 10]
    assert {name for page in pages for name in page["traits"]} == {f"t{number:03}" for number in range(250)}


async def test_pages_hold_while_traits_come(api: App, shop: Shop) -> None:
    await shop.fold(identify(6, '{"b": 1, "d": 1, "f": 1, "h": 1}', user_id="cleo"))
    whole = f"{USERS}/user_id:cleo/traits"
    first = await read(api, f"{whole}?limit=2")
    await shop.fold(identify(7, '{"a": 1, "c": 1, "e": 1, "g": 1}', user_id="cleo"))

    rest = await read(api, f"{whole}?limit=10&next={first['cursor']['next']}")

    assert (list(first["traits"]), list(rest["traits"])) == (["b", "d"], ["f", "g", "h"])


async def test_identifiers_tell_when_and_by_what_they_were_shown(api: App) -> None:
    found = await read(api, f"{USERS}/email:ADA%40example.com/external_ids")

    assert found["data"][1] == {
        "source_id": None,
        "collection": "users",
        "id": "ada@example.com",
        "type": "email",
        "created_at": "2026-01-31T12:01:00Z",
        "first_message_id": "m-1",
        "encoding": "none",
    }
    assert [one["type"] for one in found["data"]] == ["anonymous_id", "email", "user_id"]
    some = await read(api, f"{USERS}/user_id:ada/external_ids?include=user_id,email&verbose=true")
    assert [one["id"] for one in some["data"]] == ["ada@example.com", "ada"]
    pages = await read_all(api, f"{USERS}/user_id:ada/external_ids", limit=1)
    assert [one for page in pages for one in page["data"]] == found["data"]


async def test_metadata_tell_what_came_first_and_last(api: App, shop: Shop) -> None:
    assert await read(api, f"{USERS}/user_id:ada/metadata?verbose=true") == {
        "metadata": {
            "created_at": "2026-01-31T12:00:00Z",
            "updated_at": "2026-01-31T12:04:00Z",
            "expires_at": None,
            "first_message_id": "m-0",
            "first_source_id": "shop",
            "last_message_id": "m-4",
            "last_source_id": "shop",
        }
    }
    await shop.fold(track(9, "1", user_id="new"))
    fresh = (await read(api, f"{USERS}/user_id:new/metadata"))["metadata"]
    assert (fresh["first_message_id"], fresh["last_message_id"], fresh["last_source_id"]) == ("m-9", None, None)


async def test_links_of_a_user_are_accounts(api: App) -> None:
    found = await read(api, f"{USERS}/user_id:ada/links")

    assert found["data"][0] == {
        "to_collection": "accounts",
        "external_ids": [
            {
                "source_id": None,
                "collection": "accounts",
                "id": "acme",
                "type": "group_id",
                "created_at": "2026-01-31T12:03:00Z",
                "first_message_id": "m-3",
                "encoding": "none",
            }
        ],
    }
    pages = await read_all(api, f"{USERS}/user_id:ada/links", limit=1)
    assert [one for page in pages for one in page["data"]] == found["data"]
    assert len(found["data"]) == 2


async def test_an_account(api: App, shop: Shop) -> None:
    traits = await read(api, f"{ACCOUNTS}/group_id:acme/traits")
    assert traits["traits"] == {"name": "Acme Ltd", "plan": "pro", "seats": Decimal("12.50")}
    plan = await read(api, f"{ACCOUNTS}/group_id:acme/traits?verbose=1&include=plan")
    assert plan["traits"] == {"plan": {"value": "pro", "source_id": "shop", "updated_at": "2026-01-31T12:05:00Z"}}
    for only in ("audience", "computed_trait"):
        assert (await read(api, f"{ACCOUNTS}/group_id:acme/traits?class={only}"))["traits"] == {}
    (own,) = (await read(api, f"{ACCOUNTS}/group_id:acme/external_ids"))["data"]
    assert (own["type"], own["id"], own["source_id"], own["first_message_id"]) == ("group_id", "acme", "shop", "m-3")
    assert (await read(api, f"{ACCOUNTS}/group_id:acme/external_ids?include=user_id"))["data"] == []
    facts = (await read(api, f"{ACCOUNTS}/group_id:acme/metadata"))["metadata"]
    assert (facts["first_message_id"], facts["last_message_id"], facts["updated_at"]) == (
        "m-3", "m-5", "2026-01-31T12:05:00Z",
    )  # fmt: skip
    links = await read_all(api, f"{ACCOUNTS}/group_id:acme/links", limit=1)
    members = [one["external_ids"][0]["id"] for page in links for one in page["data"]]
    owners = shop.people.owners
    assert members == sorted(["ada", "bea"], key=lambda one: id_text(owners[f"user_id:{one}"]))
    assert {one["to_collection"] for page in links for one in page["data"]} == {"users"}
    assert is_error(await ask(api, f"{ACCOUNTS}/group_id:acme/events"), 400, "invalid_request_error", "links")


@pytest.mark.parametrize("value", ["a/b", "a/traits", "a+b c", "50%", "Zoë ☕", "traits"])
async def test_values_may_be_any_text(api: App, shop: Shop, value: str) -> None:
    await shop.fold(identify(6, '{"x": 1}', user_id=value), group_call(7, value, '{"y": 2}', user_id=value))
    await shop.checkpoint()
    encoded = quote(value, safe="")

    assert (await read(api, f"{USERS}/user_id:{encoded}/traits"))["traits"] == {"x": 1}
    assert (await read(api, f"{USERS}/user_id%3A{encoded}/links"))["data"][0]["external_ids"][0]["id"] == value
    assert (await read(api, f"{ACCOUNTS}/group_id:{encoded}/traits"))["traits"] == {"y": 2}


async def test_a_profile_by_its_own_id(api: App, shop: Shop) -> None:
    own = id_text(shop.people.owners["user_id:ada"])

    assert (await read(api, f"{USERS}/id:{own}/traits?include=orders"))["traits"] == {"orders": 2}


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        (f"{USERS}/user_id:ada/traits?limit=0", "invalid_request_error", "query.limit"),
        (f"{USERS}/user_id:ada/traits?limit=201", "invalid_request_error", "query.limit"),
        (f"{USERS}/user_id:ada/traits?limit=x", "invalid_request_error", "query.limit"),
        (f"{USERS}/user_id:ada/traits?class=trait", "invalid_request_error", "query.class"),
        (f"{USERS}/user_id:ada/traits?verbose=perhaps", "invalid_request_error", "query.verbose"),
        (f"{USERS}/user_id:ada/traits?include={'x' * 16_001}", "invalid_request_error", "query.include"),
        (f"{USERS}/user_id:ada/traits?next={'x' * 16_001}", "invalid_request_error", "query.next"),
        (f"{USERS}/user_id:ada/external_ids?limit=101", "invalid_request_error", "query.limit"),
        (f"{USERS}/user_id:ada/external_ids?verbose=perhaps", "invalid_request_error", "query.verbose"),
        (f"{USERS}/user_id:ada/events?limit=101", "invalid_request_error", "query.limit"),
        (f"{USERS}/user_id:ada/events?next=x", "invalid_request_error", "next: 'x' is none"),
        (f"{USERS}/user_id:ada/events?next=-1", "invalid_request_error", "next: "),
        (f"{USERS}/user_id:ada/events?next={2**63}", "invalid_request_error", "next: "),
        (f"{USERS}/user_id:ada/events?next={'9' * 5000}", "invalid_request_error", "next: "),
        (f"{USERS}/user_id:ada/events?start=soon", "invalid_request_error", "start: 'soon' is no time"),
        (f"{USERS}/user_id:ada/events?end=", "invalid_request_error", "end: "),
        (f"{USERS}/user_id:ada/events?sort=asc", "invalid_request_error", "query.sort"),
        (f"{USERS}/user_id:ada/links?limit=21", "invalid_request_error", "query.limit"),
        (f"{ACCOUNTS}/group_id:acme/links?next=acme", "invalid_request_error", "next: "),
        ("/v1/spaces/main/collections/folk/profiles/user_id:ada/traits", "validation_error", "use users or accounts"),
        (f"{USERS}/ada/traits", "validation_error", "write kind:value"),
        (f"{USERS}/phone:42/traits", "validation_error", "'phone' is no kind"),
        (f"{USERS}/user_id:/traits", "validation_error", "has no value"),
        (f"{USERS}/user_id:%FF/traits", "validation_error", "no UTF-8"),
        (f"{USERS}/user_id:a%00b/traits", "validation_error", "NUL"),
        (f"{ACCOUNTS}/acme/traits", "validation_error", "group_id:value"),
        (f"{ACCOUNTS}/user_id:ada/traits", "validation_error", "group_id:value"),
        (f"{ACCOUNTS}/group_id:/traits", "validation_error", "group_id:value"),
        (f"{ACCOUNTS}/group_id:%20/traits", "validation_error", "can be no group's id"),
        (f"{ACCOUNTS}/group_id:%FF/traits", "validation_error", "no UTF-8"),
    ],
)
async def test_what_cannot_be_asked(api: App, path: str, code: str, words: str) -> None:
    assert is_error(await ask(api, path), 400, code, words)


@pytest.mark.parametrize("part", PARTS)
async def test_what_is_not_there(api: App, part: str) -> None:
    assert is_error(await ask(api, f"{USERS}/user_id:nobody/{part}"), 404, "not_found", "no profile has")
    if part != "events":
        assert is_error(await ask(api, f"{ACCOUNTS}/group_id:hooli/{part}"), 404, "not_found", "no group 'hooli'")
    other = f"/v1/spaces/other/collections/users/profiles/user_id:ada/{part}"
    assert is_error(await ask(api, other), 404, "not_found", "write 'main'")


async def test_addresses_without_anything(api: App) -> None:
    for path in (f"{USERS}/user_id:ada", f"{USERS}/user_id:ada/nothing", "/v1/spaces/main"):
        assert is_error(await ask(api, path), 404, "not_found")
    posted = await ask(api, f"{USERS}/user_id:ada/traits", method="POST")
    assert is_error(posted, 405, "invalid_request_error")


@pytest.mark.parametrize("part", PARTS)
async def test_what_the_store_cannot_tell_is_said(api: App, shop: Shop, part: str) -> None:
    shop.faulty_cache.failure = Unreachable("the worker is away")
    shop.faulty_store.failure = Unreachable("the database is away", after=3)
    answer = await ask(api, f"{USERS}/user_id:ada/{part}")
    assert is_error(answer, 503, "server_error", "the database is away")
    assert answer.headers["retry-after"] == "3"

    shop.faulty_store.failure = RuntimeError("secret")
    answer = await ask(api, f"{USERS}/user_id:ada/{part}")
    assert is_error(answer, 500, "server_error")
    assert b"secret" not in answer.body


def basic(token: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(token.encode()).decode()}"}


@pytest.mark.parametrize("given", ["token:", "token"])
async def test_the_key_is_the_access_token(shop: Shop, given: str) -> None:
    api = spaces(shop, api_key="token")

    for part in PARTS:
        assert (await ask(api, f"{USERS}/user_id:ada/{part}", headers=basic(given))).status == 200
    assert (await ask(api, f"{USERS}/user_id:ada/traits", headers={"Authorization": "Bearer token"})).status == 200


@pytest.mark.parametrize(
    "headers",
    [{}, basic("toke:"), basic(""), basic(":token"), basic("token:x"), {"Authorization": "Basic token"},
     {"Authorization": "Basic"}, {"Authorization": "Basic ☕"}, {"Authorization": "Bearer other"}],
)  # fmt: skip
async def test_without_the_token_nothing_is_read(shop: Shop, headers: dict[str, Any]) -> None:
    api = spaces(shop, api_key="token")

    for path in (f"{USERS}/user_id:ada/traits", f"{USERS}/user_id:ada/nothing", "/v1/spaces/"):
        answer = await ask(api, path, headers=headers)
        assert is_error(answer, 401, "authentication_error", "curl -u TOKEN:")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert shop.faulty_store.asked == shop.faulty_cache.asked == []


async def test_elsewhere_the_token_is_no_user_name(shop: Shop) -> None:
    api = spaces(shop, api_key="token")

    assert is_problem(await ask(api, "/v1/profiles/user_id:ada", headers=basic("token:")), 401, "unauthorized")


async def test_a_request_has_an_id(api: App) -> None:
    path = f"{USERS}/user_id:ada/traits"
    answer = await ask(api, path, headers={"X-Request-Id": "r-1"})
    assert (answer.headers["request-id"], answer.headers["x-request-id"]) == ("r-1", "r-1")
    made = [(await ask(api, path)).headers["request-id"] for _ in range(2)]
    assert len(set(made)) == 2
    assert "request-id" not in (await ask(api, "/v1/profiles/user_id:ada")).headers


async def test_another_workspace_is_another_space(shop: Shop) -> None:
    api = spaces(shop, workspace="shop-2")

    assert is_error(await ask(api, f"{USERS}/user_id:ada/traits"), 404, "not_found", "write 'shop-2'")
    path = f"{USERS}/user_id:ada/traits".replace("/main/", "/shop%2D2/")
    assert (await ask(api, path)).status == 200


class Ticking(AtNoon):
    """A clock that is moved by hand."""

    passed = 0.0

    def elapsed(self) -> float:
        """See `Runtime.elapsed`."""
        return self.passed


async def test_who_asks_too_often_is_told_when_to_ask_again(shop: Shop) -> None:
    clock = Ticking()
    api = spaces(shop, runtime=clock, space_requests_per_second=3, api_key="secret")
    token = {"Authorization": "Basic " + b64encode(b"secret:").decode()}
    path = f"{USERS}/user_id:ada/metadata"
    # Whoever has no token uses none of it up.
    assert [(await ask(api, path)).status for _ in range(5)] == [401] * 5
    assert [(await ask(api, path, headers=token)).status for _ in range(3)] == [200] * 3
    refused = await ask(api, path, headers=token)
    assert is_error(refused, 429, "rate_limit_error", "takes 3 requests a second")
    assert refused.headers["retry-after"] == "1"
    assert (await ask(api, "/v1/profiles/user_id:ada", headers={"Authorization": "Bearer secret"})).status == 200
    clock.passed += 0.4
    assert [(await ask(api, path, headers=token)).status for _ in range(2)] == [200, 429]
    clock.passed += 1000
    assert [(await ask(api, path, headers=token)).status for _ in range(4)] == [200, 200, 200, 429]
    free = spaces(shop, runtime=clock)
    assert {(await ask(free, path)).status for _ in range(200)} == {200}
