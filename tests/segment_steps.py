"""The examples of Segment's documentation: what they are, and an event held against one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from door_steps import KEY, Door, basic
from obverse.core.events import TYPES, Event
from recording_steps import microseconds

EXAMPLES = json.loads((Path(__file__).parent / "data/segment_spec/segment_spec_examples.json").read_bytes())
NO_ID = 10
"""Examples that give their id in another spelling than the wire's, such as `user_id`, or none."""
TIMES = ("originalTimestamp", "timestamp", "sentAt")
NO_TIME = "2015-2-02T"
"""What begins with it is not ISO 8601, and stays as it was sent."""


def call_of(example: dict[str, Any]) -> str:
    """The call that an example is of: its own word for it, else its section's."""
    sent = example["json"]
    if "batch" in sent:
        return "batch"
    said = [sent.get("type"), sent.get("action"), example["section"].lower(), "identify" if "traits" in sent else None]
    return str(next(one for one in said if one in TYPES))


def stored(event: Event) -> dict[str, Any]:
    """An event as what was sent, without what nobody sent."""
    main = "traits" if event.type in {"identify", "group"} else "properties"
    fields = {
        "type": event.type,
        "userId": event.user_id,
        "anonymousId": event.anonymous_id,
        "groupId": event.group_id,
        "previousId": event.previous_id,
        "messageId": event.message_id,
        "event" if event.type == "track" else "name": event.name,
        main: json.loads(event.properties),
        "context": json.loads(event.context),
        "integrations": json.loads(event.integrations),
    }
    return {**fields, **json.loads(event.extra)}


def assert_field_for_field(event: Event, sent: dict[str, Any]) -> None:
    """Hold an event against what was sent, by the contract and without our own code."""
    kept = stored(event)
    times = {name: sent[name] for name in TIMES if name in sent and not sent[name].startswith(NO_TIME)}
    original = microseconds(times.get("originalTimestamp") or times.get("timestamp"))
    sent_at = microseconds(times.get("sentAt"))
    assert (event.original_timestamp, event.sent_at) == (original, sent_at)
    if original is None:
        assert event.timestamp == event.received_at
    else:
        assert event.timestamp == (original if sent_at is None else event.received_at - (sent_at - original))
    for name, value in sent.items():
        if name in times and not (name == "timestamp" and "originalTimestamp" in times):
            assert name not in kept  # kept as an instant, compared above
            continue
        if name == "writeKey":
            continue  # kept nowhere
        assert kept[name] == (str(value) if name.endswith("Id") and value is not None else value), name


async def send_example(door: Door, example: dict[str, Any]) -> int:
    """Send an example as it was published; returns the status."""
    call, sent = ("track", example["raw"].encode()) if "json" not in example else (call_of(example), example["json"])
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return (await door.post(body, f"/v1/{call}", authorization=basic(f"{KEY}:"))).status
