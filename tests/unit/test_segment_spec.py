"""The examples of Segment's documentation, sent as they were published."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from door_steps import KEY, Door, basic, hash_key, open_door
from obverse.core.definitions import Source, define
from obverse.core.events import TYPES, Event

EXAMPLES = json.loads((Path(__file__).parents[1] / "data/segment_spec/segment_spec_examples.json").read_bytes())
DEFINITIONS = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])
NO_ID = 10
"""Examples that give their id in another spelling than the wire's, such as `user_id`, or none."""


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door(DEFINITIONS) as door:
        yield door


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
    kept = stored(event)
    for name, value in sent.items():
        if name in {"timestamp", "sentAt", "originalTimestamp"} and name not in kept:
            continue  # kept as instants; `test_wire_recordings.py` compares them
        if name == "writeKey":
            continue  # kept nowhere
        assert kept[name] == (str(value) if name.endswith("Id") and value is not None else value), name


async def send(door: Door, example: dict[str, Any]) -> int:
    call, sent = ("track", example["raw"].encode()) if "json" not in example else (call_of(example), example["json"])
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return (await door.post(body, f"/v1/{call}", authorization=basic(f"{KEY}:"))).status


@pytest.mark.parametrize("example", [one for one in EXAMPLES if "json" not in one], ids=lambda one: one["page"])
async def test_an_example_that_is_no_json_is_refused_and_its_beginning_kept(
    door: Door, example: dict[str, Any]
) -> None:
    assert await send(door, example) == 400
    _, (rejected,) = await door.kept()
    assert rejected.code == "invalid_json"
    assert rejected.body == example["raw"].encode()[:1024]


async def test_every_other_example_is_stored_field_for_field_or_kept_with_the_reason(door: Door) -> None:
    whole = [one for one in EXAMPLES if "json" in one]
    assert (len(EXAMPLES), len(whole)) == (89, 83)
    refused = 0
    for example in whole:
        events_before, rejected_before = await door.kept()
        assert await send(door, example) == 200
        events, rejected = await door.kept()
        events, rejected = events[len(events_before) :], rejected[len(rejected_before) :]
        if rejected:
            assert events == []
            assert {one.code for one in rejected} == {"missing_id"}
            assert all("userId or an anonymousId" in one.reason for one in rejected)
            refused += 1
            continue
        items = example["json"].get("batch", [example["json"]])
        for event, sent in zip(events, items, strict=True):
            assert_field_for_field(event, sent)
    assert refused == NO_ID
