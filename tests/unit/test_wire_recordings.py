"""The requests of real SDK releases, sent as they were recorded, are answered and become events field for field."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from door_steps import KEY, hash_key, open_door
from obverse.core import wire
from obverse.core.definitions import Source, define
from obverse.core.events import Event
from wire_steps import LIMITS

RECORDINGS = Path(__file__).parents[1] / "data/sdk_recordings"
OBJECTS = {"properties", "traits", "context", "integrations"}
FIELDS = {"type", "messageId", "userId", "anonymousId", "groupId", "previousId", "timestamp", "originalTimestamp"}


def requests() -> list[Any]:
    return [
        pytest.param(request, id=f"{path.stem}-{place}")
        for path in sorted(RECORDINGS.glob("*.json"))
        for place, request in enumerate(json.loads(path.read_text(encoding="utf-8"))["requests"])
    ]


def packed_body_of(request: dict[str, Any]) -> bytes:
    """Return the body as it was sent."""
    if "raw_b64" in request:
        return b64decode(request["raw_b64"])
    return json.dumps(request["json"]).encode() if "json" in request else b""


def body_of(request: dict[str, Any]) -> bytes:
    """Return the body that was sent, unpacked."""
    packed = packed_body_of(request)
    return gzip.decompress(packed) if "raw_b64" in request else packed


def microseconds(text: str | None) -> int | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def text(value: Any) -> str | None:
    return None if value is None else str(value)


def check(event: Event, item: dict[str, Any], envelope: dict[str, Any]) -> None:
    """Hold an event against what was sent, by the contract and without our own code."""
    kind = item["type"]
    main = "traits" if kind in {"identify", "group"} else "properties"
    name = "event" if kind == "track" else "name"
    assert (event.type, event.message_id, event.source) == (kind, item["messageId"], "web")
    assert (event.user_id, event.anonymous_id) == (text(item.get("userId")), text(item.get("anonymousId")))
    assert (event.group_id, event.previous_id) == (text(item.get("groupId")), text(item.get("previousId")))
    assert event.name == item.get(name)
    assert json.loads(event.properties) == (item.get(main) or {})
    assert json.loads(event.context) == {**envelope.get("context", {}), **(item.get("context") or {})}
    assert json.loads(event.integrations) == {**envelope.get("integrations", {}), **(item.get("integrations") or {})}
    original = microseconds(item.get("originalTimestamp") or item.get("timestamp"))
    sent = microseconds(item.get("sentAt") or envelope.get("sentAt"))
    assert (event.original_timestamp, event.sent_at) == (original, sent)
    assert original is not None
    assert event.timestamp == (original if sent is None else event.received_at - (sent - original))
    taken = FIELDS - ({"timestamp"} if "originalTimestamp" in item else set()) | {name, main, "sentAt", "writeKey"}
    rest = {key: value for key, value in item.items() if key not in {*taken, "context", "integrations"}}
    assert json.loads(event.extra) == {key: value for key, value in rest.items() if value is not None}


@pytest.mark.parametrize("request_", [one for one in requests() if one.values[0]["path"] == "/v1/batch"])
def test_a_recorded_batch_is_read_as_it_was_sent(request_: dict[str, Any]) -> None:
    body = body_of(request_)
    sent = json.loads(body)
    assert sent == request_["json"]
    message = wire.open_body(body, batch=True, limits=LIMITS)
    assert message.write_key == sent.get("writeKey")


@pytest.mark.parametrize("request_", requests())
async def test_a_recorded_request_gets_the_answer_that_its_sdk_expects(request_: dict[str, Any]) -> None:
    web = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])
    body = packed_body_of(request_)
    async with open_door(web) as door:
        headers = {name.lower().replace("-", "_"): value for name, value in request_["headers"]}
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        reply = await door.exchange(request_["method"], request_["path"], messages, **headers)
        assert reply is not None
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert reply.headers["access-control-allow-origin"] == "*"
        events, rejected = await door.kept()
        assert rejected == []
        if request_["method"] == "GET":
            assert reply.json["integrations"]["Segment.io"]["apiKey"] == KEY
            assert events == []
            return
        assert reply.json == {"success": True}
        envelope = request_["json"]
        items = envelope.get("batch", [envelope])
        for event, item in zip(events, items, strict=True):
            check(event, item, envelope if "batch" in envelope else {})


def test_all_recordings_of_each_sdk_are_there() -> None:
    assert len(requests()) == 43
    names = {path.stem for path in RECORDINGS.glob("*.json")}
    sdks = ("@segment_analytics-next", "@segment_analytics-node", "analytics-node_legacy")
    for sdk in (*sdks, "segment-analytics-python", "rudder-sdk-node", "rudder-sdk-python"):
        assert any(name.startswith(sdk) for name in names)
