"""The limits of one event beside its size: for all sources, and for one."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from door_steps import KEY, basic, hash_key, open_door
from obverse.core.definitions import Source, define
from wire_steps import GOOD, batch

PLAIN = Source("web", key_hashes=frozenset({hash_key(KEY)}))
OWN = Source(
    "web",
    key_hashes=frozenset({hash_key(KEY)}),
    limits={"message_id_characters": 200, "group_id_characters": 600, "properties": 3},
)
GROUP = {**GOOD, "type": "group", "traits": {}}


def wide(count: int) -> dict[str, Any]:
    return {**GOOD, "properties": {f"p{place}": place for place in range(count)}}


@pytest.mark.parametrize(
    ("source", "item", "code"),
    [
        (PLAIN, {**GOOD, "messageId": "m" * 99}, None),
        (PLAIN, {**GOOD, "messageId": "m" * 100}, "message_id_too_long"),
        (OWN, {**GOOD, "messageId": "m" * 200}, None),
        (OWN, {**GOOD, "messageId": "m" * 201}, "message_id_too_long"),
        (PLAIN, {**GROUP, "groupId": "g" * 500}, None),
        (PLAIN, {**GROUP, "groupId": "g" * 501}, "group_id_too_long"),
        (OWN, {**GROUP, "groupId": "g" * 501}, None),
        (OWN, {**GROUP, "groupId": "g" * 601}, "group_id_too_long"),
        (PLAIN, wide(300), None),
        (OWN, wide(3), None),
        (OWN, wide(4), "too_many_properties"),
        (OWN, {**GOOD, "type": "identify", "traits": wide(4)["properties"]}, "too_many_properties"),
    ],
)
async def test_one_that_is_beyond_a_limit_is_rejected_and_its_neighbours_are_not(
    source: Source, item: dict[str, Any], code: str | None
) -> None:
    async with open_door(define(sources=[source])) as door:
        body = batch({**GOOD, "messageId": "before"}, item, {**GOOD, "messageId": "after"})
        reply = await door.post(body, authorization=basic(KEY), x_obverse_report="rejected")
        assert reply.status == 200
        events, rejected = await door.kept()
    assert [event.message_id for event in events if event.message_id in {"before", "after"}] == ["before", "after"]
    assert len(events) == (3 if code is None else 2)
    assert [one.code for one in rejected] == ([] if code is None else [code])
    if code is not None:
        (one,) = rejected
        assert one.field is not None
        assert one.field.startswith("$.batch[1].")
        assert "may have" in one.reason
        assert reply.json["rejected"][0]["code"] == code


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("parts", [1, 50])
async def test_what_is_too_large_is_kept_also_if_its_key_stands_at_its_end(parts: int, *, packed: bool) -> None:
    async with open_door(define(sources=[PLAIN])) as door:
        whole = json.dumps({"batch": [wide(300)] * 250, "sentAt": "2026-01-01T00:00:00Z", "writeKey": KEY}).encode()
        assert len(whole) > 500 * 1024
        sent = gzip.compress(whole) if packed else whole
        cut = [sent[len(sent) * at // parts : len(sent) * (at + 1) // parts] for at in range(parts)]
        reply = await door.ask("POST", "/v1/batch", cut, **({"content_encoding": "gzip"} if packed else {}))
        assert reply is not None
        assert (reply.status, reply.json["code"]) == (400, "batch_too_large")
        ((one,),) = (await door.kept())[1:]
    assert (one.source, one.code) == ("web", "batch_too_large")
    assert KEY.encode() not in one.body


async def test_of_what_never_ends_the_end_is_not_waited_for() -> None:
    async with open_door(define(sources=[PLAIN])) as door:
        reply = await door.ask("POST", "/v1/batch", [b" " * 100_000] * 1000)
        assert reply is not None
        assert (reply.status, reply.json["code"]) == (400, "batch_too_large")
        bomb = gzip.compress(b" " * 50_000_000)
        assert (await door.post(bomb, content_encoding="gzip")).json["code"] == "batch_too_large"


async def test_a_key_is_found_behind_what_looks_like_keys() -> None:
    async with open_door(define(sources=[PLAIN])) as door:
        odd = {**GOOD, "properties": {"writeKey": "none of ours"}}
        body = json.dumps({"batch": [odd] * 7, "context": {"writeKey": "nor this"}, "writeKey": KEY}).encode()
        assert (await door.post(body)).status == 200
        body = json.dumps({"writeKey": "nobody's", "batch": [odd] * 7}).encode()
        assert (await door.post(body)).status == 401
        assert len((await door.kept())[0]) == 7
