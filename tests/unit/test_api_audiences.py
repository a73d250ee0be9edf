"""Conditions are counted before they are audiences, and audiences explained; a condition that is none is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api_steps import build_api, open_api_shop
from asgi import Answer, App, ask
from obverse.flows.preview import FRESH
from obverse.ports.outcomes import Unreachable
from reading import Shop, identify, track

SPENT: dict[str, Any] = {"op": "gte", "trait": "lifetime_value", "value": 1000}
BEA: dict[str, Any] = {"op": "starts_with", "attribute": "email", "value": "bea"}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        allowed = b'{"consent": {"categoryPreferences": {"mail": true, "ads": false}}}'
        await opened.fold(
            identify(3, '{"email": "bea@example.com"}', user_id="b-1", context=allowed),
            identify(4, '{"name": "Cleo C."}', user_id="b-2"),
            track(5, "2000.00", user_id="b-2"),
        )
        await opened.checkpoint()
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def preview(api: App, **body: Any) -> Answer:
    return await ask(api, "/v1/audiences/preview", method="POST", body=json.dumps(body).encode())


async def test_each_node_is_counted(api: App) -> None:
    answer = await preview(api, where={"op": "or", "of": [SPENT, {"op": "not", "of": {"op": "not", "of": BEA}}]})
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["people"], found["count"]) == (3, 3)
    spent, negated = found["node"]["of"]
    assert (spent["count"], spent["condition"], spent["of"]) == (2, SPENT, [])
    assert [negated["count"], negated["of"][0]["count"], negated["of"][0]["of"][0]["count"]] == [1, 2, 1]
    assert found["sql"] == "trait.lifetime_value >= 1000 OR NOT NOT starts_with(attribute.email, 'bea')"
    assert len({one["id"] for one in found["sample"]}) == 3
    assert found["overlaps"] == [
        {"audience": "big_spenders", "members": 2, "both": 2},
        {"audience": "one_time_buyers", "members": 1, "both": 1},
    ]


async def test_other_audiences_are_looked_at_if_asked_for(api: App) -> None:
    assert (await preview(api, where=SPENT, overlaps=False)).json["overlaps"] == []


async def test_sql_is_counted_as_the_tree_that_it_says(api: App) -> None:
    found = (await preview(api, sql="trait.lifetime_value >= 1000 AND NOT audience.one_time_buyers")).json
    assert found["condition"]["of"][0] == SPENT
    assert found["count"] == 1
    (one,) = found["sample"]
    assert one["email"] == "ada@example.com"


async def test_events_and_consents_are_counted(api: App) -> None:
    did = {"op": "did", "event": "Order Completed", "times": 2}
    allowed = {"op": "eq", "consent": "mail", "value": True}
    found = (await preview(api, where={"op": "or", "of": [did, allowed]})).json
    assert [node["count"] for node in found["node"]["of"]] == [1, 1]


async def test_a_set_that_was_just_looked_up_is_not_looked_up_again(api: App, shop: Shop) -> None:
    await preview(api, where=SPENT)
    await preview(api, where={"op": "not", "of": SPENT})
    await preview(api, where={"op": "and", "of": [SPENT, BEA]})
    assert shop.faulty_store.asked.count("select") == 2
    assert FRESH <= 10_000_000, "what is shown is no older than this"


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        ({}, "invalid-body", "neither"),
        ({"where": SPENT, "sql": "trait.orders = 1"}, "invalid-body", "or both"),
        ({"wear": SPENT}, "invalid-body", "wear"),
        ({"sql": 5}, "invalid-body", "$.sql"),
        ({"where": "x"}, "invalid-body", "where"),
        ({"where": {}}, "invalid-condition", "where.op: None is no operator"),
        ({"where": {"op": "eq", "trait": "order", "value": 1}}, "invalid-condition", "did you mean orders?"),
        ({"where": {"op": "member", "audience": "vip"}}, "invalid-condition", "audience 'vip', which is not defined"),
        ({"where": {"op": "exists", "identifier": "emial"}}, "invalid-condition", "did you mean email?"),
        ({"where": {"op": "eq", "trait": "orders", "value": {"$gt": ""}}, "sql": None}, "", ""),
        ({"sql": "trait.orders = 1; DROP TABLE customer_profiles"}, "invalid-condition", "line 1, column 1"),
        ({"sql": "trait.order = 1"}, "invalid-condition", "did you mean orders?"),
        ({"sql": "pg_sleep(10)"}, "invalid-condition", "no function pg_sleep()"),
    ],
)
async def test_what_is_no_condition_is_refused(api: App, body: Any, code: str, detail: str) -> None:
    answer = await preview(api, **body)
    if not code:
        assert answer.json["count"] == 0
        return
    assert answer.status == 400
    assert answer.json["type"].endswith(code)
    assert detail in answer.json["detail"]


async def test_a_store_that_cannot_be_read_is_told(api: App, shop: Shop) -> None:
    shop.faulty_store.failure = Unreachable("gone")
    assert (await preview(api, where=SPENT)).status == 503


async def why(api: App, person: str, audience: str) -> Answer:
    return await ask(api, f"/v1/profiles/{person}/audiences/{audience}/why")


async def test_reasons_agree_with_membership_and_name_the_values(api: App) -> None:
    answer = await why(api, "user_id:ada", "big_spenders")
    assert answer.status == 200, answer.body
    ada, cleo = answer.json, (await why(api, "user_id:b-2", "one_time_buyers")).json
    assert (ada["member"], ada["reason"]["holds"], str(ada["reason"]["value"])) == (True, True, "1000.30")
    assert ada["reason"]["condition"] == SPENT
    assert (cleo["member"], cleo["reason"]["holds"], cleo["number"]) == (True, True, 1)
    bea = (await why(api, "user_id:b-1", "big_spenders")).json
    assert (bea["member"], bea["since"], bea["reason"]["holds"], bea["reason"]["value"]) == (False, None, False, None)


async def test_reasons_of_what_is_not_there(api: App) -> None:
    assert (await why(api, "user_id:nobody", "big_spenders")).status == 404
    nothing = await why(api, "user_id:ada", "big_spender")
    assert (nothing.status, "big_spenders" in nothing.json["detail"]) == (404, True)
    assert (await why(api, "nonsense", "big_spenders")).status == 400


async def test_consents_are_told_with_who_said_so(api: App) -> None:
    found = (await ask(api, "/v1/profiles/user_id:b-1/consents")).json
    assert {purpose: said["allowed"] for purpose, said in found.items()} == {"mail": True, "ads": False}
    assert found["mail"]["event"] == "m-3"
    assert (await ask(api, "/v1/profiles/user_id:ada")).json["consents"] == {}
