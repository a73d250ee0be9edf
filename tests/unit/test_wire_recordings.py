"""The requests of real SDK releases become events, field for field."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from obverse.core import wire
from obverse.core.events import Event
from wire_steps import LIMITS, NOW, read

RECORDINGS = Path(__file__).parents[1] / "data/sdk_recordings"
OBJECTS = {"properties", "traits", "context", "integrations"}
FIELDS = {"type", "messageId", "userId", "anonymousId", "groupId", "previousId", "timestamp", "originalTimestamp"}


def requests() -> list[Any]:
    return [
        pytest.param(request, id=f"{path.stem}-{place}")
        for path in sorted(RECORDINGS.glob("*.json"))
        for place, request in enumerate(json.loads(path.read_text(encoding="utf-8"))["requests"])
    ]


def body_of(request: dict[str, Any]) -> bytes:
    """Return the body that was sent, unpacked."""
    if "raw_b64" in request:
        return gzip.decompress(b64decode(request["raw_b64"]))
    return json.dumps(request["json"]).encode()


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
    assert (event.original_timestamp, event.sent_at, event.received_at) == (original, sent, NOW)
    assert original is not None
    assert event.timestamp == (original if sent is None else NOW - (sent - original))
    taken = FIELDS - ({"timestamp"} if "originalTimestamp" in item else set()) | {name, main, "sentAt"}
    rest = {key: value for key, value in item.items() if key not in {*taken, "context", "integrations"}}
    assert json.loads(event.extra) == {key: value for key, value in rest.items() if value is not None}


@pytest.mark.parametrize("request_", requests())
def test_a_recorded_batch_is_read_field_for_field(request_: dict[str, Any]) -> None:
    body = body_of(request_)
    sent = json.loads(body)
    assert sent == request_["json"]
    reading = read(body)
    assert reading.rejected == []
    assert len(reading.events) == len(sent["batch"])
    for event, item in zip(reading.events, sent["batch"], strict=True):
        check(event, item, sent)
    message = wire.open_body(body, batch=True, limits=LIMITS)
    assert message.write_key == sent.get("writeKey")


def test_there_are_recordings_of_each_sdk() -> None:
    names = {path.stem for path in RECORDINGS.glob("*.json")}
    assert len(names) == 14
    for sdk in ("@segment_analytics-node", "analytics-node_legacy", "segment-analytics-python", "rudder-sdk"):
        assert any(name.startswith(sdk) for name in names)
