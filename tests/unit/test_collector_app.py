"""The collector's door: keys, packings, limits and answers as SDKs and browsers meet them."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from door_steps import KEY, Door, basic, hash_key, shut_door
from obverse.adapters.memory.crm import MemoryAccount
from obverse.apps.collector import SENDING
from obverse.core.definitions import Source, define
from obverse.flows.collect import Collect
from wire_steps import GOOD, batch

MOST = 600 * 1024
BODY = batch(GOOD)
SUCCESS = b'{"success":true}'


DEFINITIONS = define(
    sources=[
        Source("web", key_hashes=frozenset({hash_key(KEY)})),
        Source("old", enabled=False, key_hashes=frozenset({hash_key("wk_old")})),
    ],
)


@pytest.fixture
async def shut() -> AsyncIterator[tuple[Collect, Door]]:
    """A collector that has not opened its log yet."""
    async with shut_door(DEFINITIONS, MemoryAccount()) as both:
        yield both


@pytest.fixture
async def door(shut: tuple[Collect, Door]) -> Door:
    """A collector that takes events."""
    collect, door = shut
    await collect.open()
    return door


# Keys.


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {"authorization": basic(f"{KEY}:")}),
        (BODY, {"authorization": basic(KEY)}),
        (BODY, {"authorization": basic(f"{KEY}:ignored")}),
        (BODY, {"authorization": basic(KEY).replace("Basic", "basic")}),
        (batch(GOOD, writeKey=KEY), {}),
        (batch({**GOOD, "writeKey": KEY}), {}),
        (batch(GOOD, writeKey=KEY), {"authorization": "Bearer a.b.c"}),
        (batch(GOOD, writeKey="another"), {"authorization": basic(f"{KEY}:")}),
    ],
    ids=["Basic", "no colon", "password", "lower case", "body", "item", "Bearer and body", "Basic wins"],
)
async def test_a_key_in_each_form_opens(door: Door, body: bytes, headers: dict[str, str]) -> None:
    for _ in range(2):  # the second time from what is remembered of the header
        reply = await door.post(body, **headers)
        assert (reply.status, reply.body) == (200, SUCCESS)
    assert [event.source for event in (await door.kept())[0]] == ["web", "web"]


async def test_a_key_in_the_query_opens_if_the_headers_have_none(door: Door) -> None:
    assert (await door.post(BODY, f"/v1/batch?a=b&writeKey={KEY}")).status == 200
    assert (await door.post(BODY, f"/v1/batch?writeKey={KEY}", authorization=basic("wk_unknown:"))).status == 401
    assert (await door.post(BODY, "/v1/batch?writeKey=wk_unknown")).status == 401
    assert (await door.post(BODY, "/v1/batch?writeKey=")).status == 401
    assert (await door.post(BODY, "/v1/batch?writeKey=%ff%00")).status == 401
    assert len((await door.kept())[0]) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, {"authorization": basic("wk_unknown:")}),
        (BODY, {"authorization": basic("")}),
        (BODY, {"authorization": "Basic ?????"}),
        (BODY, {"authorization": "Basic " + b64encode(b"\xff\xff").decode()}),
        (BODY, {"authorization": "Basic"}),
        (BODY, {"authorization": ""}),
        (BODY, {"authorization": "Bearer a.b.c"}),
        (BODY, {"authorization": f"Bearer {KEY}"}),
        (batch(GOOD, writeKey="wk_unknown"), {}),
        (batch(GOOD, writeKey=KEY), {"authorization": basic("wk_unknown:")}),
    ],
)
async def test_other_keys_do_not(door: Door, body: bytes, headers: dict[str, str]) -> None:
    reply = await door.post(body, **headers)
    assert reply.status == 401
    assert reply.json.keys() == {"success", "code", "message"}
    assert (reply.json["success"], reply.json["code"]) == (False, "invalid_write_key")
    assert await door.kept() == ([], [])


async def test_a_disabled_source_is_told_so(door: Door) -> None:
    reply = await door.post(BODY, authorization=basic("wk_old:"))
    assert (reply.status, reply.json["code"]) == (404, "source_disabled")


# Packings.


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("GZIP", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("gzip", zlib.compress(BODY)),
        ("identity", BODY),
        ("", BODY),
    ],
)
async def test_a_packed_body_is_unpacked(door: Door, encoding: str, packed: bytes) -> None:
    reply = await door.post(packed, authorization=basic(f"{KEY}:"), content_encoding=encoding)
    assert (reply.status, reply.body) == (200, SUCCESS)
    assert [event.name for event in (await door.kept())[0]] == ["Bought"]


@pytest.mark.parametrize(
    "packed",
    [
        BODY,
        b"",
        b"\x1f\x8b",
        gzip.compress(BODY, mtime=0)[:-1],
        gzip.compress(BODY, mtime=0)[:30],
        gzip.compress(BODY, mtime=0)[:-5] + b"wrong",
    ],
    ids=["plain", "empty", "header", "a byte short", "cut", "damaged"],
)
async def test_what_is_not_packed_as_it_says_is_refused_and_kept(door: Door, packed: bytes) -> None:
    reply = await door.post(packed, authorization=basic(f"{KEY}:"), content_encoding="gzip")
    assert (reply.status, reply.json["code"]) == (400, "invalid_json")
    assert "not packed as Content-Encoding says" in reply.json["message"]
    assert "pack it with gzip, or send it plain" in reply.json["message"]
    events, (rejected,) = await door.kept()
    assert (events, rejected.code, rejected.body) == ([], "invalid_json", packed[:1024])


async def test_of_an_unknown_sender_it_is_not_kept(door: Door) -> None:
    assert (await door.post(b"x", authorization=basic("who:"), content_encoding="gzip")).status == 401
    assert (await door.post(b"x", authorization=basic("wk_old:"), content_encoding="gzip")).status == 404
    assert (await door.post(b"x", content_encoding="gzip")).status == 400
    assert await door.kept() == ([], [])


async def test_an_unknown_packing_is_no_json(door: Door) -> None:
    reply = await door.post(b"\x8b\x01\x80", authorization=basic(f"{KEY}:"), content_encoding="br")
    assert (reply.status, reply.json["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate], ids=["gzip", "zlib", "raw"])
async def test_a_bomb_is_unpacked_no_further_than_the_cap(door: Door, pack: Any) -> None:
    bomb = pack(b'{"batch":["' + b" " * 60_000_000 + b'"]}')
    assert len(bomb) < 100_000
    tracemalloc.start()
    reply = await door.post(bomb, authorization=basic(f"{KEY}:"), content_encoding="gzip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (reply.status, reply.json["code"]) == (400, "batch_too_large")
    assert peak < 8 * MOST
    assert [len(rejected.body) for rejected in (await door.kept())[1]] == [1024]


async def test_a_body_beyond_the_cap_is_not_read_to_its_end(door: Door) -> None:
    parts = [{"type": "http.request", "body": b" " * 200_000, "more_body": True}] * 4  # a fifth would be too many
    reply = await door.exchange("POST", "/v1/batch", parts, authorization=basic(f"{KEY}:"))
    assert reply is not None
    assert (reply.status, reply.json["code"]) == (400, "batch_too_large")


async def test_a_body_may_come_in_parts(door: Door) -> None:
    packed = gzip.compress(BODY, mtime=0)
    parts = [packed[:5], b"", packed[5:20], packed[20:]]
    reply = await door.ask(
        "POST", "/v1/batch", parts, authorization=basic(f"{KEY}:"), content_encoding="gzip", content_type="text/plain"
    )
    assert reply is not None
    assert reply.status == 200
    assert len((await door.kept())[0]) == 1


async def test_a_sender_that_goes_away_leaves_nothing_behind(door: Door) -> None:
    parts: list[Mapping[str, Any]] = [
        {"type": "http.request", "body": BODY, "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert await door.exchange("POST", "/v1/batch", parts, authorization=basic(f"{KEY}:")) is None
    assert await door.kept() == ([], [])


# Answers.


@pytest.mark.parametrize("call", ["track", "identify", "page", "screen", "group", "alias"])
async def test_each_path_names_its_call(door: Door, call: str) -> None:
    body = {"userId": "u", "event": "E", "groupId": "g", "previousId": "p", "type": "track"}
    reply = await door.post(msgspec.json.encode(body), f"/v1/{call}", authorization=basic(f"{KEY}:"))
    assert (reply.status, reply.body) == (200, SUCCESS)
    assert [event.type for event in (await door.kept())[0]] == [call]


async def test_an_error_names_what_was_wrong_where_and_what_to_do(door: Door) -> None:
    reply = await door.post(b'{"batch":[1,]}', authorization=basic(f"{KEY}:"))
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "success": False,
        "code": "invalid_json",
        "message": ("the body is not JSON: JSON is malformed: trailing comma in array (byte 12); send one JSON object"),
    }


@pytest.mark.parametrize("report", ["rejected", "", "no"])
async def test_a_sender_who_asks_is_told_what_was_rejected(door: Door, report: str) -> None:
    headers = {"authorization": basic(f"{KEY}:"), **({"x_obverse_report": report} if report else {})}
    reply = await door.post(batch(GOOD, {**GOOD, "event": ""}), **headers)
    assert reply.status == 200
    if report != "rejected":
        assert reply.body == SUCCESS
        return
    (row,) = reply.json["rejected"]
    assert reply.json["success"] is True
    assert (row["index"], row["messageId"], row["code"], row["field"]) == (
        1,
        "m1",
        "missing_event",
        "$.batch[1].event",
    )
    assert (await door.post(BODY, **headers)).json == {"success": True, "rejected": []}


async def test_while_the_log_is_away_senders_are_told_when_to_come_again(shut: tuple[Collect, Door]) -> None:
    _, door = shut
    reply = await door.post(BODY, authorization=basic(f"{KEY}:"))
    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "log_unavailable", "1")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", sorted(SENDING))
async def test_another_method_is_refused_with_those_that_are_not(door: Door, method: str, path: str) -> None:
    reply = await door.get(path, method)
    assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST, OPTIONS"
    assert f"{method} {path}: use POST" in reply.json["message"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/trakc", "/v1/batch/", "/v2/track"])
async def test_another_path_is_told_where_to_send(door: Door, path: str) -> None:
    for reply in (await door.get(path), await door.post(BODY, path)):
        assert (reply.status, reply.json["code"]) == (404, "not_found")
        assert f"{path}: send events to one of /v1/batch, /v1/track" in reply.json["message"]


@pytest.mark.parametrize("path", sorted(SENDING))
async def test_a_browser_may_ask_first(door: Door, path: str) -> None:
    reply = await door.get(path, "OPTIONS")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert set(reply.headers["access-control-allow-headers"].split(",")) >= {
        "authorization",
        "content-type",
        "x-retry-count",
    }
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert (await door.post(BODY, path)).headers["access-control-allow-origin"] == "*"


# Health.


async def test_health_readiness_and_metrics(shut: tuple[Collect, Door]) -> None:
    collect, door = shut
    for path in ("/health", "/livez", "/healthz"):
        assert (await door.get(path)).json == {"status": "ok"}
    for path in ("/ready", "/readyz"):
        reply = await door.get(path)
        assert (reply.status, reply.json) == (503, {"log": "unavailable", "partitions": []})
    await collect.open()
    for path in ("/ready", "/readyz"):
        reply = await door.get(path)
        assert (reply.status, reply.json) == (200, {"log": "ok", "partitions": [0]})

    await door.post(batch(GOOD, {"bad": 1}, GOOD), authorization=basic(f"{KEY}:"))
    await door.post(b"no json", authorization=basic(f"{KEY}:"))
    await door.post(BODY)
    reply = await door.get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    lines = reply.body.decode().splitlines()
    for line in (
        'obverse_events_received_total{outcome="accepted",source="web"} 2.0',
        'obverse_events_received_total{outcome="rejected",source="web"} 2.0',
        'obverse_collector_requests_total{status="200"} 1.0',
        'obverse_collector_requests_total{status="400"} 1.0',
        'obverse_collector_requests_total{status="401"} 1.0',
        "obverse_collector_answer_seconds_count 3.0",
        "obverse_log_queue_bytes 0.0",
    ):
        assert line in lines
    assert lines[-1] == "# EOF"


# A crowd.


async def test_beyond_the_room_senders_wait_before_their_bodies_are_read() -> None:
    async with shut_door(DEFINITIONS, queue_bytes=1 << 20) as (collect, door):
        await collect.open()
        collect.intake.waiting_bytes = (1 << 20) - len(BODY) + 1
        reply = await door.exchange("POST", "/v1/batch", [], authorization=basic(KEY), content_length=str(len(BODY)))
        assert reply is not None  # the messages are none, so that reading them would fail
        assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (429, "overloaded", "1")
        chunked = await door.ask("POST", "/v1/batch", [BODY], authorization=basic(KEY))
        assert chunked is not None
        assert chunked.status == 429
        collect.intake.waiting_bytes = 0
        assert (await door.post(BODY, authorization=basic(KEY))).status == 200
        assert collect.intake.room == 1 << 20


async def test_a_crowd_gets_a_picture_that_says_so() -> None:
    async with shut_door(DEFINITIONS) as (collect, door):
        await collect.open()
        collect.intake.whole(1 << 30)
        picture = await door.get(f"/v1/pixel/track?writeKey={KEY}&event=Opened&userId=ada")
        assert (picture.status, picture.headers["content-type"]) == (429, "image/gif")
        assert picture.headers["retry-after"] == "1"
        assert await door.kept() == ([], [])
        assert 'obverse_collector_requests_total{status="429"} 1.0' in (await door.get("/metrics")).body.decode()
