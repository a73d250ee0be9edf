"""Groups and their members, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.core.identity import id_text
from obverse.ports.outcomes import Unreachable
from reading import Shop, group_call, identify

ODD = "a/members b%2F?c/ü👩"
"""An id that an address must not take apart."""


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        await opened.fold(
            group_call(3, "acme", '{"name": "Acme Ltd", "plan": "free", "seats": 12.50}', user_id="ada"),
            group_call(4, "acme", '{"plan": "pro"}', user_id="bea"),
            identify(5, '{"name": "Bea B.", "email": "bea@example.com"}', user_id="bea"),
            group_call(6, "acme-2", '{"name": " "}', user_id="bea"),
            group_call(7, ODD, user_id="bea"),
            group_call(8, "initech", '{"name": 7}', user_id="cleo"),
        )
        await opened.checkpoint()
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def read(api: App, path: str) -> Any:
    answer = await ask(api, path)
    assert answer.status == 200, answer.body
    return answer.json


async def test_groups_are_listed_a_page_at_a_time(api: App) -> None:
    found: list[Any] = []
    after = ""
    while True:
        page = await read(api, f"/v1/groups?limit=2{after}")
        found += page["groups"]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"

    assert [(one["id"], one["name"]) for one in found] == [
        (ODD, None),
        ("acme", "Acme Ltd"),
        ("acme-2", None),
        ("initech", None),
    ]
    assert found[1]["first_seen"] == "2026-01-31T12:03:00Z"
    assert found[1]["changed_at"] == "2026-01-31T12:04:00Z"


@pytest.mark.parametrize(
    ("text", "ids"), [("ac", ["acme", "acme-2"]), (" acme-", ["acme-2"]), ("Acme", []), ("\0", []), ("%", [])]
)
async def test_groups_are_found_by_how_their_id_begins(api: App, text: str, ids: list[str]) -> None:
    page = await read(api, f"/v1/groups?q={quote(text)}")
    assert [one["id"] for one in page["groups"]] == ids
    assert page["next"] is None


async def test_a_group_tells_who_said_what_and_what_it_replaced(api: App) -> None:
    acme = await read(api, "/v1/groups/acme")

    assert (acme["id"], acme["name"], acme["members"]) == ("acme", "Acme Ltd", 2)
    assert acme["attributes"]["plan"] == {
        "value": "pro",
        "source": "shop",
        "updated_at": "2026-01-31T12:04:00Z",
        "event": "m-4",
        "previous": [
            {"value": "free", "source": "shop", "updated_at": "2026-01-31T12:03:00Z", "event": "m-3"},
        ],
    }
    assert b'"value":12.50' in (await ask(api, "/v1/groups/acme")).body
    assert (acme["first_seen"], acme["changed_at"]) == ("2026-01-31T12:03:00Z", "2026-01-31T12:04:00Z")
    assert await read(api, "/v1/groups/%20acme%20") == acme


async def test_members_are_listed_with_since_when(api: App, shop: Shop) -> None:
    whole = await read(api, "/v1/groups/acme/members")
    assert (whole["total"], whole["next"]) == (2, None)
    assert [one["profile"] for one in whole["members"]] == sorted(one["profile"] for one in whole["members"])
    (bea,) = [one for one in whole["members"] if one["name"] == "Bea B."]
    assert bea == {
        "profile": id_text(shop.people.owners["user_id:bea"]),
        "name": "Bea B.",
        "email": "bea@example.com",
        "identifiers": [{"kind": "user_id", "value": "bea"}, {"kind": "email", "value": "bea@example.com"}],
        "since": "2026-01-31T12:04:00Z",
        "event": "m-4",
    }
    first = await read(api, "/v1/groups/acme/members?limit=1")
    second = await read(api, f"/v1/groups/acme/members?limit=1&after={first['next']}")
    assert first["members"] + second["members"] == whole["members"]
    assert (first["total"], second["next"]) == (2, None)


async def test_an_id_may_be_any_text(api: App) -> None:
    assert (await read(api, f"/v1/groups/{quote(ODD, safe='')}"))["id"] == ODD
    assert (await read(api, f"/v1/groups/{quote(ODD, safe='')}/members"))["total"] == 1
    assert (await read(api, "/v1/profiles/user_id:bea"))["groups"][0]["id"] == ODD


async def test_a_profile_tells_its_groups_at_once(api: App, shop: Shop) -> None:
    await shop.fold(group_call(9, "hooli", user_id="ada"))
    ada = await read(api, "/v1/profiles/user_id:ada")

    assert ada["groups"] == [
        {"id": "acme", "since": "2026-01-31T12:03:00Z", "event": "m-3"},
        {"id": "hooli", "since": "2026-01-31T12:09:00Z", "event": "m-9"},
    ]
    assert await read(api, "/v1/profiles/user_id:ada/groups") == ada["groups"]
    await shop.checkpoint()
    past = await read(api, "/v1/profiles/user_id:ada?as_of=2026-01-31T12:02:30Z")
    assert past["groups"] == []
    past = await read(api, "/v1/profiles/user_id:ada?as_of=2026-01-31T12:03:30Z")
    assert [one["id"] for one in past["groups"]] == ["acme"]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/groups/hooli", 404, "group-not-found"),
        ("/v1/groups/null", 404, "group-not-found"),
        ("/v1/groups/hooli/members", 404, "group-not-found"),
        ("/v1/groups/%20", 400, "invalid-group"),
        ("/v1/groups/", 400, "invalid-group"),
        ("/v1/groups/a%00b", 400, "invalid-group"),
        ("/v1/groups/%FF", 400, "invalid-group"),
        ("/v1/groups/%FF/members", 400, "invalid-group"),
        (f"/v1/groups/{'x' * 401}", 400, "invalid-group"),
        ("/v1/groups?limit=0", 400, "invalid-parameter"),
        ("/v1/groups?limit=501", 400, "invalid-parameter"),
        (f"/v1/groups?q={'x' * 501}", 400, "invalid-parameter"),
        ("/v1/groups?q=ac&after=b", 400, "invalid-parameter"),
        ("/v1/groups?after=%00", 400, "invalid-parameter"),
        ("/v1/groups/acme/members?after=acme", 400, "invalid-parameter"),
        ("/v1/groups/acme/members?limit=no", 400, "invalid-parameter"),
    ],
)
async def test_bad_input_is_told_what_is_wrong(api: App, path: str, status: int, kind: str) -> None:
    assert is_problem(await ask(api, path), status, kind)


@pytest.mark.parametrize("path", ["/v1/groups", "/v1/groups/acme", "/v1/groups/acme/members"])
async def test_what_the_store_cannot_tell_is_said(api: App, shop: Shop, path: str) -> None:
    shop.faulty_store.failure = Unreachable("the database is away", after=3)
    assert is_problem(await ask(api, path), 503, "unavailable")
    shop.faulty_store.failure = None
    shop.faulty_store.answers = {"groups": [b"?"], "load_groups": [b"?"]}
    assert is_problem(await ask(api, path), 500, "unreadable-profile")
