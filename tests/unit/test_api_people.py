"""Looking for people, and who is in an audience, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.core import conditions
from obverse.core.identity import id_text
from obverse.ports.outcomes import Unreachable
from reading import Shop, identify, track


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        await opened.fold(
            identify(3, '{"first_name": "Bea", "last_name": " ", "email": "bea@example.com"}', user_id="b-1"),
            identify(4, '{"name": "Cleo C."}', user_id="b-2", anonymous_id="b-3"),
            track(5, "2000.00", user_id="b-2"),
        )
        await opened.checkpoint()
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def people(api: App, query: str = "") -> Any:
    answer = await ask(api, f"/v1/profiles{query}")
    assert answer.status == 200, answer.body
    return answer.json


async def test_everybody_is_listed_a_page_at_a_time(api: App, shop: Shop) -> None:
    found: list[Any] = []
    after = ""
    while True:
        page = await people(api, f"?limit=2{after}")
        found += page["profiles"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert [one["id"] for one in found] == sorted(map(id_text, shop.people.profiles))
    names = {one["name"]: one for one in found}
    assert set(names) == {None, "Bea", "Cleo C."}
    assert names["Bea"]["email"] == "bea@example.com"
    assert names["Cleo C."]["email"] is None
    assert names["Cleo C."]["identifiers"] == [
        {"kind": "user_id", "value": "b-2"},
        {"kind": "anonymous_id", "value": "b-3"},
    ]
    assert names[None]["changed_at"] == "2026-01-31T12:02:01Z"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b-", ["Cleo C.", "Bea"]),  # by what was found first: anonymous_id:b-3, user_id:b-1
        ("b-2", ["Cleo C."]),
        ("B-2", []),
        (" BEA@ ", ["Bea"]),
        ("email:BEA@ex", ["Bea"]),
        ("user_id:b-", ["Bea", "Cleo C."]),
        ("anonymous_id:b-1", []),
        ("phone:1", []),
        ("ada", [None]),  # user_id and address of one person
        ("\0", []),
    ],
)
async def test_people_are_found_by_how_an_identifier_begins(api: App, text: str, names: list[str | None]) -> None:
    assert [one["name"] for one in (await people(api, f"?q={quote(text)}"))["profiles"]] == names


async def test_a_search_goes_on_and_tells_everybody_once(api: App) -> None:
    found, after = [], ""
    for _ in range(5):
        page = await people(api, f"?q=b&limit=1{after}")
        found += [one["name"] for one in page["profiles"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"

    assert found == ["Cleo C.", "Bea"]


async def test_somebody_is_found_by_their_own_id(api: App) -> None:
    (bea,) = (await people(api, "?q=b-1"))["profiles"]

    for text in (bea["id"], f"id:{bea['id'].upper()}"):
        assert (await people(api, f"?q={text}"))["profiles"] == [bea]
    assert (await people(api, "?q=00000000-0000-0000-0000-000000000000"))["profiles"] == []
    whole = await ask(api, f"/v1/profiles/id:{bea['id']}")
    assert (whole.status, whole.json["id"]) == (200, bea["id"])
    parts = await ask(api, f"/v1/profiles/id:{bea['id'].upper()}/events")
    assert [one["message_id"] for one in parts.json["events"]] == ["m-3"]


async def test_an_id_that_was_merged_away_leads_to_its_keeper(api: App, shop: Shop) -> None:
    ids = {one["name"]: one["id"] for one in (await people(api))["profiles"]}
    await shop.fold(identify(6, "{}", user_id="b-1", anonymous_id="b-3"))
    await shop.checkpoint()

    await shop.fold(track(7, "1.00", user_id="b-1"))

    both = [(await ask(api, f"/v1/profiles/id:{ids[name]}")).json for name in ("Bea", "Cleo C.")]

    assert both[0] == both[1]
    assert both[0]["id"] in ids.values()
    assert both[0]["events"] == 5, "what was folded since the checkpoint is shown under either id"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/profiles?limit=0", "invalid-parameter"),
        ("/v1/profiles?limit=101", "invalid-parameter"),
        ("/v1/profiles?after=x", "invalid-parameter"),
        ("/v1/profiles?q=b&after=user_id:c", "invalid-parameter"),
        (f"/v1/profiles?q={'x' * 501}", "invalid-parameter"),
        ("/v1/profiles/id:42", "invalid-identifier"),
        ("/v1/profiles/id:", "invalid-identifier"),
        ("/v1/audiences/big_spenders/members?after=x", "invalid-parameter"),
        ("/v1/audiences/big_spenders/members?limit=x", "invalid-parameter"),
    ],
)
async def test_what_cannot_be_asked(api: App, path: str, kind: str) -> None:
    assert is_problem(await ask(api, path), 400, kind)


async def test_audiences_say_what_they_are(api: App) -> None:
    answer = await ask(api, "/v1/audiences")

    big, once = answer.json["audiences"]
    assert (big["name"], big["members"], once["members"]) == ("big_spenders", 2, 1)
    assert big["condition"] == {"op": "gte", "trait": "lifetime_value", "value": 1000}


@pytest.mark.parametrize(
    "tree",
    [
        {"op": "exists", "attribute": "email"},
        {"op": "not", "of": {"op": "in", "trait": "orders", "value": [1, 2]}},
        {"op": "and", "of": [{"op": "or", "of": [{"op": "eq", "attribute": "a", "value": "x"}]}]},
    ],
)
def test_a_condition_is_told_as_it_was_written(tree: Any) -> None:
    assert conditions.as_tree(conditions.parse(tree)) == tree


async def test_members_are_listed(api: App) -> None:
    first = (await ask(api, "/v1/audiences/big_spenders/members?limit=1")).json
    second = (await ask(api, f"/v1/audiences/big_spenders/members?limit=1&after={first['next']}")).json

    assert first["total"] == second["total"] == 2
    assert second["next"] is None
    members = {one["name"]: one for one in (*first["members"], *second["members"])}
    assert members["Cleo C."] | {"profile": ""} == {
        "profile": "",
        "name": "Cleo C.",
        "email": None,
        "identifiers": [{"kind": "user_id", "value": "b-2"}, {"kind": "anonymous_id", "value": "b-3"}],
        "since": "2026-01-31T12:05:00Z",
        "number": 1,
    }
    assert members[None]["email"] == "ada@example.com"


async def test_an_audience_that_nobody_defined(api: App) -> None:
    answer = await ask(api, "/v1/audiences/vip/members")

    assert is_problem(answer, 404, "audience-not-found")
    assert "big_spenders, one_time_buyers" in answer.json["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/profiles", "/v1/profiles?q=b", "/v1/audiences", "/v1/audiences/big_spenders/members"]
)
async def test_while_the_store_is_away(api: App, shop: Shop, path: str) -> None:
    shop.faulty_store.failure = Unreachable("no store")

    assert is_problem(await ask(api, path), 503, "unavailable")
