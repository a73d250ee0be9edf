"""The requests of real SDK releases, sent as they were recorded, are answered and become events field for field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from door_steps import KEY, hash_key, open_door
from obverse.core import wire
from obverse.core.definitions import Source, define
from recording_steps import RECORDINGS, body_of, check, recorded, send_recorded
from wire_steps import LIMITS


def requests() -> list[Any]:
    return [pytest.param(request, id=name) for name, request in recorded()]


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
    async with open_door(web) as door:
        reply = await send_recorded(door, request_)
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
