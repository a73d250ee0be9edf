"""The recorded requests of real SDK releases: what was sent, and an event held against it."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from door_steps import Door, Reply
from obverse.core.events import Event

RECORDINGS = Path(__file__).parent / "data/sdk_recordings"
OBJECTS = {"properties", "traits", "context", "integrations"}
FIELDS = {"type", "messageId", "userId", "anonymousId", "groupId", "previousId", "timestamp", "originalTimestamp"}


def recorded() -> list[tuple[str, dict[str, Any]]]:
    """Every recorded request with its name."""
    return [
        (f"{path.stem}-{place}", request)
        for path in sorted(RECORDINGS.glob("*.json"))
        for place, request in enumerate(json.loads(path.read_text(encoding="utf-8"))["requests"])
    ]


async def send_recorded(door: Door, request: dict[str, Any]) -> Reply:
    """Send a request as it was recorded."""
    headers = {name.lower().replace("-", "_"): value for name, value in request["headers"]}
    messages = [{"type": "http.request", "body": packed_body_of(request), "more_body": False}]
    reply = await door.exchange(request["method"], request["path"], messages, **headers)
    assert reply is not None
    return reply


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


def check(event: Event, item: dict[str, Any], envelope: dict[str, Any], *, source: str = "web") -> None:
    """Hold an event against what was sent, by the contract and without our own code."""
    kind = item["type"]
    main = "traits" if kind in {"identify", "group"} else "properties"
    name = "event" if kind == "track" else "name"
    assert (event.type, event.message_id, event.source) == (kind, item["messageId"], source)
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
