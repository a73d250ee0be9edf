"""The collector's other addresses: pictures, webhooks, beacons, what SDKs ask when they start."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from door_steps import KEY, Door, basic, hash_key, open_door
from obverse.core.definitions import Source, define
from obverse.core.events import Event, RejectedEvent
from wire_steps import GOOD, batch

AUTHORIZATION = basic(f"{KEY}:")
DEFINITIONS = define(
    sources=[
        Source("web", key_hashes=frozenset({hash_key(KEY)})),
        Source("old", enabled=False, key_hashes=frozenset({hash_key("wk_old")})),
    ]
)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door(DEFINITIONS) as door:
        yield door


async def only_event(door: Door) -> Event:
    events, rejected = await door.kept()
    assert rejected == []
    (event,) = events
    return event


async def only_rejected(door: Door) -> RejectedEvent:
    events, rejected = await door.kept()
    assert events == []
    (one,) = rejected
    return one


# Calls.


@pytest.mark.parametrize(
    ("path", "type_"),
    [("/v1/t", "track"), ("/v1/i", "identify"), ("/v1/p", "page"), ("/v1/s", "screen"), ("/v1/g", "group")],
)
async def test_a_letter_names_a_call(door: Door, path: str, type_: str) -> None:
    call = {"userId": "ada", "event": "Bought", "groupId": "g", "messageId": "m1"}
    reply = await door.post(json.dumps(call).encode(), path, authorization=AUTHORIZATION, content_type="text/plain")
    assert reply.status == 200
    assert (await only_event(door)).type == type_


async def test_the_letter_of_an_alias(door: Door) -> None:
    body = json.dumps({"userId": "ada", "previousId": "device", "messageId": "m1"}).encode()
    assert (await door.post(body, "/v1/a", authorization=AUTHORIZATION)).status == 200
    event = await only_event(door)
    assert (event.type, event.previous_id) == ("alias", "device")


@pytest.mark.parametrize("path", ["/v1/b", "/b", "/batch", "/v1/batch/b", "/batch/b", "/v1/import"])
async def test_a_batch_at_each_address(door: Door, path: str) -> None:
    assert (await door.post(batch(GOOD), path, authorization=AUTHORIZATION)).status == 200
    assert (await only_event(door)).message_id == "m1"


async def test_a_beacon_has_its_key_in_the_query_or_the_body(door: Door) -> None:
    assert (await door.post(batch(GOOD), f"/beacon/v1/batch?writeKey={KEY}")).status == 200
    assert (await door.post(batch(GOOD, writeKey=KEY), "/beacon/v1/batch")).status == 200
    assert (await door.post(batch(GOOD), "/beacon/v1/batch")).status == 401


# RudderStack's merge.


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        ({"userId": "ada", "anonymousId": "device"}, ("ada", "device", None)),
        ({"email": "ada@example.com", "userId": "ada"}, ("ada", None, "ada@example.com")),
        ({"anonymousId": "device", "email": "ada@example.com"}, (None, "device", "ada@example.com")),
        ({"userId": 42, "anonymousId": "device"}, ("42", "device", None)),
    ],
)
async def test_a_merge_is_an_alias_that_shows_both(
    door: Door, pair: dict[str, Any], shown: tuple[str | None, ...]
) -> None:
    told = [{"type": kind, "value": value} for kind, value in pair.items()]
    body = json.dumps({"mergeProperties": told, "messageId": "m1"}).encode()
    assert (await door.post(body, "/v1/merge", authorization=AUTHORIZATION)).status == 200
    event = await only_event(door)
    assert event.type == "alias"
    assert (event.user_id, event.anonymous_id, json.loads(event.properties).get("email")) == shown
    assert json.loads(event.extra)["mergeProperties"] == told


async def test_a_merge_in_a_batch(door: Door) -> None:
    pair = [{"type": "userId", "value": "ada"}, {"type": "anonymousId", "value": "device"}]
    body = batch({"type": "merge", "mergeProperties": pair, "messageId": "m1"})
    assert (await door.post(body, authorization=AUTHORIZATION)).status == 200
    assert (await only_event(door)).anonymous_id == "device"


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"mergeProperties": None},
        {"mergeProperties": "ada"},
        {"mergeProperties": [{"type": "userId", "value": "ada"}]},
        {"mergeProperties": [{"type": "userId"}, {"type": "email", "value": "a"}]},
        {"mergeProperties": [{"type": "userId", "value": "ada"}, {"type": "userId", "value": "bob"}]},
        {"mergeProperties": [{"type": "userId", "value": "ada"}, {"type": "phone", "value": "1"}]},
        {"mergeProperties": [{"type": ["userId"], "value": "ada"}, {"type": "email", "value": "1"}]},
        *(
            {"mergeProperties": [{"type": "userId", "value": value}, {"type": "email", "value": "a"}]}
            for value in (None, True, {"id": "ada"}, ["ada"], "")
        ),
    ],
)
async def test_a_merge_of_what_cannot_be_merged_is_kept_with_the_reason(door: Door, told: dict[str, Any]) -> None:
    body = json.dumps({**told, "messageId": "m1"}).encode()
    assert (await door.post(body, "/v1/merge", authorization=AUTHORIZATION)).status == 200
    rejected = await only_rejected(door)
    assert (rejected.code, rejected.field) == ("invalid_merge", "$.mergeProperties")


# Pictures.


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode], ids=["plain", "url-safe"])
@pytest.mark.parametrize("padding", [True, False])
async def test_segments_picture(door: Door, encode: Any, padding: bool) -> None:  # noqa: FBT001 - a case
    call = {"writeKey": KEY, "userId": "ada?>", "event": "Mail Opened", "properties": {"subject": "Grüße"}}
    data = encode(json.dumps(call, ensure_ascii=False).encode()).decode()
    data = quote(data if padding else data.rstrip("="))
    reply = await door.get(f"/v1/pixel/track?data={data}")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.body.startswith(b"GIF89a")
    event = await only_event(door)
    assert (event.type, event.user_id, event.name) == ("track", "ada?>", "Mail Opened")
    assert json.loads(event.properties) == {"subject": "Grüße"}


async def test_rudderstacks_picture(door: Door) -> None:
    query = f"writeKey={KEY}&anonymousId=device&event=Mail%20Opened&properties.mail.subject=Hello&properties.mail=x"
    assert (await door.get(f"/pixel/v1/track?{query}")).status == 200
    event = await only_event(door)
    assert (event.anonymous_id, event.name) == ("device", "Mail Opened")
    assert json.loads(event.properties) == {"mail": "x"}


async def test_a_picture_of_a_page(door: Door) -> None:
    query = f"writeKey={KEY}&userId=ada&name=Home&properties.path=/&properties.path.deep=1"
    assert (await door.get(f"/pixel/v1/page?{query}")).status == 200
    event = await only_event(door)
    assert (event.type, event.name) == ("page", "Home")
    assert json.loads(event.properties) == {"path": "/"}
    assert json.loads(event.extra) == {"properties.path.deep": "1"}


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 401), ("event=Opened", 401), ("data=", 400), ("data=%%%", 400), ("data=bm90IEpTT04", 400)],
)
async def test_a_picture_without_a_key_is_refused_as_a_picture(door: Door, query: str, status: int) -> None:
    reply = await door.get(f"/v1/pixel/track?{query}")
    assert (reply.status, reply.headers["content-type"]) == (status, "image/gif")
    assert await door.kept() == ([], [])


async def test_a_picture_whose_query_says_nothing_is_kept_with_the_reason(door: Door) -> None:
    assert (await door.get(f"/pixel/v1/track?writeKey={KEY}&event=Opened")).status == 200
    assert (await only_rejected(door)).code == "missing_id"


async def test_a_picture_whose_data_is_no_json_is_kept_with_the_reason(door: Door) -> None:
    assert (await door.get(f"/v1/pixel/track?writeKey={KEY}&data=hello")).status == 400
    assert (await only_rejected(door)).code == "invalid_json"


# Webhooks.


async def test_a_webhook_of_json(door: Door) -> None:
    body = json.dumps({"id": 7, "userId": "ada", "nested": {"a": 1.50}}).encode()
    assert (await door.post(body, f"/v1/webhook?writeKey={KEY}")).status == 200
    event = await only_event(door)
    assert (event.type, event.name, event.user_id) == ("track", "webhook_source_event", "ada")
    assert json.loads(event.properties) == {"id": 7, "userId": "ada", "nested": {"a": 1.50}}


async def test_a_webhook_of_a_form_and_of_a_query(door: Door) -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    body = b"status=paid&customer.name=Ada%20L"
    reply = await door.post(body, f"/v1/webhook?writeKey={KEY}&userId=ada", content_type=form)
    assert reply.status == 200
    assert (await door.get(f"/v1/webhook?writeKey={KEY}&userId=bob&status=sent")).status == 200
    events, _ = await door.kept()
    assert [(event.user_id, json.loads(event.properties)) for event in events] == [
        ("ada", {"status": "paid", "customer": {"name": "Ada L"}}),
        ("bob", {"userId": "bob", "status": "sent"}),
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"status":"paid"}', 200, "missing_id"),
        (b"[1]", 200, "not_an_object"),
        (b"hello", 400, "invalid_json"),
        (b"\xff{", 400, "invalid_json"),
        (b"[" * 30_000, 400, "invalid_json"),
    ],
)
async def test_a_webhook_that_says_nothing_is_kept_with_the_reason(
    door: Door, body: bytes, status: int, code: str
) -> None:
    assert (await door.post(body, f"/v1/webhook?writeKey={KEY}")).status == status
    assert (await only_rejected(door)).code == code


# What SDKs ask when they start.


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/{}/settings",
        "/projects/{}/settings",
        "/v1/projects/projects/{}/settings",
        "/cdn/v1/projects/{}/settings",
    ],
)
async def test_the_settings_that_start_analytics_js(door: Door, path: str) -> None:
    reply = await door.exchange("GET", path.format(KEY), [], host="events.example:8030")
    assert reply is not None
    assert reply.status == 200
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert reply.headers["access-control-allow-origin"] == "*"
    settings = reply.json
    ours = settings["integrations"]["Segment.io"]
    assert (ours["apiKey"], ours["apiHost"], ours["protocol"]) == (KEY, "events.example:8030/v1", "http")
    assert settings["analyticsNextEnabled"] is True
    assert settings["plan"]["track"] == {"__default": {"enabled": True}}
    assert settings["metrics"] == {"sampleRate": 0}
    head = await door.exchange("HEAD", path.format(KEY), [], host="events.example")
    assert head is not None
    assert (head.status, head.body) == (200, b"")


async def test_the_settings_name_the_address_that_others_know() -> None:
    async with open_door(DEFINITIONS, public_url="https://events.example") as door:
        ours = (await door.get(f"/v1/projects/{KEY}/settings")).json["integrations"]["Segment.io"]
        assert (ours["apiHost"], ours["protocol"]) == ("events.example/v1", "https")


async def test_what_starts_rudderstacks_sdk(door: Door) -> None:
    for path in ("/sourceConfig", "/sourceConfig/"):
        by_header = await door.ask("GET", path, authorization=AUTHORIZATION)
        by_query = await door.get(f"{path}?p=web&writeKey={KEY}")
        assert by_header is not None
        for reply in (by_header, by_query):
            source = reply.json["source"]
            assert (reply.status, source["name"], source["enabled"]) == (200, "web", True)
            assert (source["destinations"], source["writeKey"]) == ([], KEY)


@pytest.mark.parametrize("path", ["/v1/projects/{}/settings", "/sourceConfig?writeKey={}"])
@pytest.mark.parametrize(("key", "status"), [("wk_unknown", 401), ("wk_old", 404)])
async def test_who_cannot_send_is_told_when_it_starts(door: Door, path: str, key: str, status: int) -> None:
    reply = await door.get(path.format(key))
    assert reply.status == status
    assert reply.json["success"] is False


async def test_without_a_key_nothing_starts(door: Door) -> None:
    assert (await door.get("/sourceConfig/")).status == 401


@pytest.mark.parametrize("path", ["/v1/projects/wk_test/settings", "/sourceConfig/", "/pixel/v1/track", "/v1/webhook"])
async def test_another_method_is_refused_there_too(door: Door, path: str) -> None:
    reply = await door.get(path, "DELETE")
    assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
    assert "OPTIONS" in reply.headers["allow"]
    assert (await door.get(path, "OPTIONS")).status == 200


# A source's own rules.


async def test_only_the_origins_of_a_source_may_send() -> None:
    web = Source("web", key_hashes=frozenset({hash_key(KEY)}), origins=frozenset({"https://shop.example"}))
    async with open_door(define(sources=[web])) as door:
        good = await door.post(batch(GOOD), authorization=AUTHORIZATION, origin="https://shop.example")
        server = await door.post(batch(GOOD), authorization=AUTHORIZATION)
        bad = await door.post(batch({**GOOD, "messageId": "m2"}), authorization=AUTHORIZATION, origin="https://evil")
        assert (good.status, server.status) == (200, 200)
        assert (bad.status, bad.json["code"]) == (403, "origin_not_allowed")
        assert "'https://evil' is none of the origins that source 'web' allows" in bad.json["message"]
        events, (rejected,) = await door.kept()
        assert len(events) == 2
        assert (rejected.code, rejected.message_id) == ("origin_not_allowed", "m2")
        assert json.loads(rejected.body)["event"] == "Bought"


async def test_a_source_drops_crawlers_and_keeps_what_they_sent_with_the_reason() -> None:
    bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    web = Source("web", key_hashes=frozenset({hash_key(KEY)}), drops_bots=True)
    told = [
        {**GOOD, "messageId": f"m{place}", "context": {"userAgent": agent}} for place, agent in enumerate([CHROME, bot])
    ]
    async with open_door(define(sources=[web])) as door:
        reply = await door.post(batch(*told), authorization=AUTHORIZATION, x_obverse_report="rejected")
        assert reply.status == 200
        assert [one["index"] for one in reply.json["rejected"]] == [1]
        # A server's library is no crawler, a page's browser may be one.
        await door.post(batch({**GOOD, "messageId": "m3"}), authorization=AUTHORIZATION, user_agent="python-requests/2")
        await door.post(
            batch({**GOOD, "messageId": "m4"}), authorization=AUTHORIZATION, user_agent=bot, origin="https://shop"
        )
        events, rejected = await door.kept()
        assert [event.message_id for event in events] == ["m0", "m3"]
        assert [(one.message_id, one.code, one.field) for one in rejected] == [
            ("m1", "bot", "$.context.userAgent"),
            ("m4", "bot", "$.context.userAgent"),
        ]


async def test_a_source_has_limits_of_its_own() -> None:
    small = Source("web", key_hashes=frozenset({hash_key(KEY)}), limits={"event_bytes": 1024, "batch_items": 1})
    large = Source("import", key_hashes=frozenset({hash_key("wk_import")}), limits={"batch_bytes": 4 << 20})
    long = {**GOOD, "properties": {"text": "x" * 2000}}
    async with open_door(define(sources=[small, large])) as door:
        for body in (batch(long, GOOD), batch(long, GOOD, writeKey=KEY)):
            headers = {} if b"writeKey" in body else {"authorization": AUTHORIZATION}
            assert (await door.post(body, **headers)).status == 200
        events, rejected = await door.kept()
        assert events == []
        assert [one.code for one in rejected] == ["event_too_large", "too_many_items"] * 2
        heavy = batch(*[{**GOOD, "properties": {"text": "x" * 20_000}}] * 40)
        assert (await door.post(heavy, authorization=AUTHORIZATION)).json["code"] == "batch_too_large"
        assert (await door.post(heavy, authorization=basic("wk_import:"))).status == 200
        assert len((await door.kept())[0]) == 40


async def test_a_source_that_asks_too_often_is_told_when_to_come_again() -> None:
    web = Source("web", key_hashes=frozenset({hash_key(KEY)}), requests_per_second=2)
    async with open_door(define(sources=[web])) as door:
        replies = [await door.post(batch(GOOD), authorization=AUTHORIZATION) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        last = replies[-1]
        assert last.json["code"] == "rate_limited"
        assert (last.headers["retry-after"], last.headers["x-ratelimit-reset"]) == ("1", "1")
        assert last.headers["access-control-expose-headers"] == "retry-after,x-ratelimit-reset"
        assert len((await door.kept())[0]) == 2


# Where a call came from.


async def test_a_browsers_address_is_kept_unless_the_event_names_one(door: Door) -> None:
    items = [{**GOOD, "messageId": "m1"}, {**GOOD, "messageId": "m2", "context": {"ip": "203.0.113.9", "locale": "de"}}]
    await door.post(batch(*items), authorization=AUTHORIZATION, origin="https://shop.example")
    events, _ = await door.kept()
    assert [json.loads(event.context) for event in events] == [
        {"ip": "192.0.2.7"},
        {"ip": "203.0.113.9", "locale": "de"},
    ]


async def test_a_servers_address_is_not_kept_unless_the_event_asks_for_it(door: Door) -> None:
    contexts: list[dict[str, Any]] = [{}, {"direct": True}, {"direct": False}, {"page": {"direct": True}}]
    items = [{**GOOD, "messageId": f"m{place}", "context": one} for place, one in enumerate(contexts)]
    await door.post(batch(*items), authorization=AUTHORIZATION)
    events, _ = await door.kept()
    assert ["ip" in json.loads(event.context) for event in events] == [False, True, False, False]


async def test_behind_a_proxy_its_word_counts() -> None:
    for behind, address in ((True, "198.51.100.2"), (False, "192.0.2.7")):
        async with open_door(DEFINITIONS, behind_proxy=behind) as door:
            await door.post(
                batch(GOOD),
                authorization=AUTHORIZATION,
                origin="https://shop.example",
                x_forwarded_for="10.6.6.6, 198.51.100.2",
            )
            assert json.loads((await only_event(door)).context) == {"ip": address}
