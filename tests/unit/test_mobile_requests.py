"""What devices send is stored whole: packed as text, with their context, and what the SDK says of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from door_steps import KEY, hash_key, open_door
from mobile_steps import ANDROID, IOS, mobile, send_mobile
from obverse.core.definitions import Source, define
from recording_steps import check


@pytest.mark.parametrize("context", [IOS, ANDROID], ids=["ios", "android"])
async def test_what_a_device_sends_is_stored_field_for_field(context: dict[str, Any]) -> None:
    body = mobile(context)
    async with open_door(define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])) as door:
        reply = await send_mobile(door, body)
        assert (reply.status, reply.json) == (200, {"success": True})
        events, rejected = await door.kept()
    assert rejected == []
    assert [one.type for one in events] == ["track", "screen", "identify", "group", "alias", "track"]
    for event, item in zip(events, body["batch"], strict=True):
        check(event, item, body)
        assert json.loads(event.context) == context
        assert json.loads(event.extra)["_metadata"] == item["_metadata"]
    assert json.loads(events[1].extra)["category"] == "Checkout"
