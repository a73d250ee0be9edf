"""Routes of rejected events: looked through, counted, and asked to be sent again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.core.events import RejectedEvent
from obverse.ports.outcomes import Unreachable
from reading import NOON, Shop

ONE = RejectedEvent(source="shop", received_at=NOON, code="invalid_json", reason="no JSON at 1", body=b"\xff{")
OTHER = structs.replace(ONE, source="app", code="missing_id", field="$.userId", message_id="m2", type="track")
PATH = "/v1/rejected-events"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as shop:
        await shop.checkpoint(rejected=[ONE] * 29 + [OTHER])
        yield shop


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def test_they_are_shown_the_latest_first_page_by_page(api: App) -> None:
    first = (await ask(api, PATH)).json
    assert len(first["rejected"]) == 20
    assert first["rejected"][0] == {
        "id": "30",
        "source": "app",
        "received_at": "2026-01-31T12:00:00Z",
        "code": "missing_id",
        "reason": "no JSON at 1",
        "field": "$.userId",
        "message_id": "m2",
        "type": "track",
        "event": "track",
        "user_id": None,
        "anonymous_id": None,
        "body": "\N{REPLACEMENT CHARACTER}{",
        "state": "open",
        "settled_at": None,
        "correction": None,
    }
    rest = (await ask(api, f"{PATH}?after={first['next']}")).json
    assert [one["id"] for one in rest["rejected"]] == [str(number) for number in range(10, 0, -1)]
    assert rest["next"] is None


async def test_they_are_filtered_and_counted(api: App) -> None:
    assert [one["id"] for one in (await ask(api, f"{PATH}?source=app")).json["rejected"]] == ["30"]
    assert len((await ask(api, f"{PATH}?code=invalid_json&limit=100")).json["rejected"]) == 29
    assert (await ask(api, f"{PATH}?state=replayed")).json == {"rejected": [], "next": None}
    assert [one["id"] for one in (await ask(api, f"{PATH}?event=track")).json["rejected"]] == ["30"]
    assert (await ask(api, f"{PATH}/counts")).json == {
        "counts": [
            {"source": "app", "code": "missing_id", "state": "open", "count": 1},
            {"source": "shop", "code": "invalid_json", "state": "open", "count": 29},
        ]
    }


async def test_they_are_filtered_by_what_can_be_read_of_them(api: App, shop: Shop) -> None:
    body = b'{"type": "track", "event": "Bought it", "userId": "ada", "anonymousId": {}}'
    await shop.checkpoint(rejected=[structs.replace(OTHER, body=body), OTHER])
    (one,) = (await ask(api, f"{PATH}?event=Bought%20it&user=ada")).json["rejected"]
    assert (one["event"], one["user_id"], one["anonymous_id"]) == ("Bought it", "ada", None)
    assert (await ask(api, f"{PATH}?user=eve")).json["rejected"] == []
    assert (await ask(api, f"{PATH}?user=ada&event=track")).json["rejected"] == []


@pytest.mark.parametrize(
    ("body", "asked", "waiting"),
    [
        ({"ids": ["30", "2"]}, 2, ["30", "2"]),
        ({"ids": ["30", "999"]}, 1, ["30"]),
        ({"all": True, "source": "app"}, 1, ["30"]),
        ({"all": True, "source": "app", "code": "invalid_json"}, 0, []),
        ({"all": True, "code": "missing_id"}, 1, ["30"]),
        ({"all": True}, 30, None),
    ],
)
async def test_what_is_asked_for_waits(api: App, body: object, asked: int, waiting: list[str] | None) -> None:
    answer = await ask(api, f"{PATH}/replay", method="POST", body=json.dumps(body).encode())
    assert (answer.status, answer.json) == (200, {"asked": asked})
    found = (await ask(api, f"{PATH}?state=waiting&limit=100")).json["rejected"]
    assert len(found) == asked
    assert waiting is None or [one["id"] for one in found] == waiting


async def test_one_is_corrected(api: App) -> None:
    event = '{"type": "track", "total": 12.50}'
    body = json.dumps({"ids": ["30"], "event": event}).encode()
    answer = await ask(api, f"{PATH}/replay", method="POST", body=body)
    assert answer.json == {"asked": 1}
    (one,) = (await ask(api, f"{PATH}?state=waiting")).json["rejected"]
    assert one["correction"] == event


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b'{"ids": []}',
        b'{"ids": ["1"], "all": true}',
        b'{"ids": ["1"], "source": "app"}',
        b'{"ids": ["one"]}',
        b'{"ids": ["-1"]}',
        b'{"ids": [1]}',
        b'{"ids": ["1", "2"], "event": "{}"}',
        b'{"all": true, "event": "{}"}',
        b'{"all": true, "fields": 1}',
        b'{"ids": ["1"], "event": {}}',
        b'{"ids": [%b]}' % b",".join([b'"1"'] * 1001),
    ],
)
async def test_a_body_that_names_nothing_is_refused_with_what_to_send(api: App, body: bytes) -> None:
    answer = await ask(api, f"{PATH}/replay", method="POST", body=body)
    assert is_problem(answer, 400, "invalid-body")
    assert (await ask(api, f"{PATH}?state=waiting")).json["rejected"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=x", "after=-1", "state=gone"])
async def test_a_query_that_cannot_be_answered_is_refused(api: App, query: str) -> None:
    assert is_problem(await ask(api, f"{PATH}?{query}"), 400, "invalid-parameter")


async def test_while_the_store_is_away(api: App, shop: Shop) -> None:
    shop.faulty_store.failure = Unreachable("no store")
    for target in (PATH, f"{PATH}/counts"):
        assert (await ask(api, target)).status == 503
    assert (await ask(api, f"{PATH}/replay", method="POST", body=b'{"all": true}')).status == 503
