"""Bodies are read by the table of the ingest contract: events, rejected events, or a refusal of the whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obverse.core import wire
from obverse.core.events import to_json
from obverse.core.wire import SAMPLE, Limits, Unreadable
from wire_steps import GOOD, LIMITS, NOW, batch, event_of, read, refused

SECOND = 1_000_000

# What is refused as a whole.


@pytest.mark.parametrize("call", [None, "track"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"type":"track",}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"{'a':1}",
        b'{"a":1} x',
        b'{"a":01}',
        b'{"a":"\\x"}',
        b'{"a":"line\nfeed"}',
        b"\xef\xbb\xbf{}",
        b"undefined",
        b'{"userId":"ada"',
    ],
)
def test_what_is_no_json_is_refused_with_the_place_and_what_to_do(body: bytes, call: str | None) -> None:
    with pytest.raises(Unreadable, match=r"the body is not JSON: .*; send one JSON object") as caught:
        read(body, call=call)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("call", [None, "track"])
def test_what_is_no_utf_8_is_refused_with_the_byte(call: str | None) -> None:
    with pytest.raises(Unreadable, match="byte 6 of the body is not UTF-8; encode it as UTF-8") as caught:
        read(b'{"a":"\xff"}', call=call)
    assert caught.value.code == "invalid_json"


def sized(size: int, **fields: Any) -> bytes:
    """Return a good event of exactly so many bytes."""
    short = msgspec.json.encode({**GOOD, **fields, "properties": {"x": ""}})
    return short[:-3] + b"x" * (size - len(short)) + b'"}}'


def test_a_single_event_may_have_32_kilobytes() -> None:
    assert len(read(sized(32 * 1024), call="track").events) == 1
    with pytest.raises(Unreadable, match=r"32768 bytes.*; send less at a time") as caught:
        read(sized(32 * 1024 + 1), call="track")
    assert caught.value.code == "event_too_large"


def test_a_batch_may_have_500_kilobytes() -> None:
    most = 500 * 1024
    rest = most - len(batch(*[sized(32 * 1024)] * 15)) - 1
    body = batch(*[sized(32 * 1024)] * 15, sized(rest))
    assert len(body) == most
    assert len(read(body).events) == 16
    with pytest.raises(Unreadable, match=r"512000 bytes.*; send less at a time") as caught:
        read(body + b" ")
    assert caught.value.code == "batch_too_large"


def test_limits_can_be_set() -> None:
    limits = Limits(event_bytes=2048, batch_bytes=4096, batch_items=2)
    assert len(read(sized(2048), call="track", limits=limits).events) == 1
    with pytest.raises(Unreadable):
        read(sized(2049), call="track", limits=limits)
    with pytest.raises(Unreadable):
        read(batch(sized(2000), sized(2000), sized(2000)), limits=limits)
    assert [len(part) for part in _counts(read(batch(GOOD, GOOD, GOOD), limits=limits))] == [2, 1]


def _counts(reading: wire.Reading) -> tuple[list[Any], list[Any]]:
    return reading.events, reading.rejected


def test_a_body_that_is_refused_is_kept_by_its_beginning() -> None:
    unreadable = Unreadable("invalid_json", "why")
    rejected = wire.rejected_whole(b"x" * 5000, unreadable, source="web", received_at=NOW)
    assert (rejected.code, rejected.reason, rejected.field, rejected.body) == (
        "invalid_json",
        "why",
        "$",
        b"x" * SAMPLE,
    )


# What is JSON, but no event.


@pytest.mark.parametrize("text", [b"5", b"null", b'"track"', b"[]", b"[1]", b"true", b"1e400"])
def test_a_value_that_is_no_object_is_rejected(text: bytes) -> None:
    for call, place in (("track", "$"), (None, "$.batch[0]")):
        rejected = refused(text, call)
        assert (rejected.code, rejected.field, rejected.body) == ("not_an_object", place, text)
        assert rejected.reason.startswith(f"{place}: expected an object, such as ")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"userId": None}, "missing_id", "$.userId"),
        ({"userId": ""}, "missing_id", "$.userId"),
        ({"userId": None, "anonymousId": ""}, "missing_id", "$.userId"),
        ({"event": None}, "missing_event", "$.event"),
        ({"event": ""}, "missing_event", "$.event"),
        ({"event": 5}, "invalid_type", "$.event"),
        ({"type": "group"}, "missing_id", "$.groupId"),
        ({"type": "group", "groupId": ""}, "missing_id", "$.groupId"),
        ({"type": "alias"}, "missing_id", "$.previousId"),
        ({"type": "alias", "userId": None, "anonymousId": "a", "previousId": "b"}, "missing_id", "$.userId"),
        ({"type": "trakc"}, "unknown_type", "$.type"),
        ({"type": "Track"}, "unknown_type", "$.type"),
        ({"type": None}, "unknown_type", "$.type"),
        ({"type": 5}, "invalid_type", "$.type"),
        ({"userId": True}, "invalid_type", "$.userId"),
        ({"userId": ["ada"]}, "invalid_type", "$.userId"),
        ({"anonymousId": {}}, "invalid_type", "$.anonymousId"),
        ({"messageId": [1]}, "invalid_type", "$.messageId"),
        ({"userId": "a\0b"}, "invalid_id", "$.userId"),
        ({"messageId": "\0"}, "invalid_id", "$.messageId"),
        ({"event": "\0"}, "invalid_id", "$.event"),
        ({"properties": 5}, "invalid_type", "$.properties"),
        ({"properties": []}, "invalid_type", "$.properties"),
        ({"type": "identify", "traits": "free"}, "invalid_type", "$.traits"),
        ({"context": "web"}, "invalid_type", "$.context"),
        ({"integrations": [1]}, "invalid_type", "$.integrations"),
    ],
)
def test_an_event_that_lacks_something_is_rejected_with_the_field_and_what_to_do(
    fields: dict[str, Any], code: str, field: str
) -> None:
    item = {**GOOD, **fields}
    rejected = refused(item)
    place = field.replace("$", "$.batch[0]")
    assert (rejected.code, rejected.field) == (code, place)
    assert rejected.reason.startswith(f"{place}: ")
    assert (rejected.source, rejected.received_at) == ("web", NOW)
    if isinstance(item["messageId"], str):
        assert rejected.message_id == item["messageId"]
    said = {name: value for name, value in item.items() if value is not None}
    kept = msgspec.json.decode(rejected.body)
    assert {name: value for name, value in kept.items() if value is not None} == said


def test_a_path_names_the_type_of_a_single_call() -> None:
    for call in ("identify", "page", "screen"):
        reading = read(b'{"userId":"ada"}', call=call)
        assert [event.type for event in reading.events] == [call]
    assert refused(b'{"userId":"ada"}', "track").field == "$.event"
    assert refused(b'{"userId":"ada"}', "group").field == "$.groupId"
    assert refused(b"{}", "alias").field == "$.userId"
    assert event_of("page", type="track").type == "page"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"5", "not_an_object", "$"),
        (b"[]", "not_an_object", "$"),
        (b"null", "not_an_object", "$"),
        (b'{"batches":[]}', "missing_batch", "$.batch"),
        (b'{"batch":{}}', "missing_batch", "$.batch"),
        (b'{"batch":null}', "missing_batch", "$.batch"),
        (b'{"batch":"[]"}', "missing_batch", "$.batch"),
        (msgspec.json.encode(GOOD), "missing_batch", "$.batch"),
    ],
)
def test_a_batch_without_a_list_is_rejected_as_one(body: bytes, code: str, field: str) -> None:
    reading = read(body)
    (rejected,) = reading.rejected
    assert (rejected.code, rejected.field, rejected.body) == (code, field, body)
    assert reading.events == []


def test_an_empty_batch_is_nothing() -> None:
    assert _counts(read(batch())) == ([], [])


# One bad item, and its neighbours.


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (b"5", "not_an_object"),
        ({"type": "track", "userId": "ada"}, "missing_event"),
        ({"type": "track", "event": "E"}, "missing_id"),
        (sized(32 * 1024 + 1), "event_too_large"),
        (b'{"type":"track","x":' + b"[" * 400 + b"]" * 400 + b"}", "too_deep"),
        (b'{"type":"track","x":' + b"[" * 900 + b"]" * 900 + b"}", "too_deep"),
        (b'{"type":"track","x":' + b"[" * 5000 + b'"]{"' + b"]" * 5000 + b"}", "too_deep"),
        (b'{"type":"track","x":' + b'{"a":' * 5000 + b'"\\\\"' + b"}" * 5000 + b"}", "too_deep"),
    ],
    ids=["no object", "no name", "no id", "too large", "400 deep", "900 deep", "5000 deep", "5000 objects deep"],
)
def test_the_neighbours_of_a_bad_item_are_accepted(item: Any, code: str) -> None:
    reading = read(batch(GOOD, item, GOOD, b'{"bad":1}'))
    assert [event.user_id for event in reading.events] == ["ada", "ada"]
    assert [rejected.code for rejected in reading.rejected] == [code, "unknown_type"]
    assert reading.places == [1, 3]
    assert reading.rejected[0].reason.startswith("$.batch[1]")
    assert all(len(rejected.body) <= LIMITS.event_bytes for rejected in reading.rejected)


@pytest.mark.parametrize("levels", [*range(380, 420), *range(900, 1010, 5)])
def test_whatever_the_depth_neighbours_are_read(levels: int) -> None:
    deep = b'{"type":"page","userId":"u","properties":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
    reading = read(batch(GOOD, deep, GOOD))
    assert (len(reading.events), len(reading.rejected)) == ((3, 0) if levels < LIMITS.depth else (2, 1))
    alone = read(deep, call="page")
    assert (len(alone.events), len(alone.rejected)) == ((1, 0) if levels < LIMITS.depth else (0, 1))


def test_a_body_that_nests_without_end_is_refused_at_once() -> None:
    for body in (b"[" * 500_000, b'{"a":' * 100_000, batch(b"[" * 60_000 + b"]" * 60_000)):
        with pytest.raises(Unreadable) as caught:
            read(body)
        assert caught.value.code == "invalid_json"


def test_of_more_than_2500_items_the_first_are_accepted() -> None:
    small = {"type": "page", "userId": "u"}
    reading = read(batch(*[small] * 2501))
    assert len(reading.events) == 2500
    (rejected,) = reading.rejected
    assert (rejected.code, rejected.field, reading.places) == ("too_many_items", "$.batch[2500]", [2500])
    assert "only the first 2500 of a batch are accepted; send the rest apart" in rejected.reason
    assert msgspec.json.decode(rejected.body) == small


def test_a_sender_who_asks_is_told_what_was_rejected() -> None:
    reading = read(batch(GOOD, {**GOOD, "event": ""}, GOOD))
    assert list(wire.rejections(reading)) == [
        {
            "index": 1,
            "messageId": "m1",
            "code": "missing_event",
            "field": "$.batch[1].event",
            "reason": "$.batch[1].event: a track needs the name of its event",
        }
    ]


# The envelope.


def test_the_envelopes_context_and_integrations_are_in_every_item_and_the_item_wins() -> None:
    reading = read(
        batch(
            GOOD,
            {**GOOD, "context": {"ip": "2.2.2.2", "locale": "de"}, "integrations": {"All": True}},
            {**GOOD, "context": None, "integrations": {}},
            context={"ip": "1.1.1.1", "app": {"name": "shop"}},
            integrations={"All": False, "X": {"a": 1}},
        )
    )
    contexts = [msgspec.json.decode(event.context) for event in reading.events]
    assert contexts[0] == contexts[2] == {"ip": "1.1.1.1", "app": {"name": "shop"}}
    assert contexts[1] == {"ip": "2.2.2.2", "app": {"name": "shop"}, "locale": "de"}
    integrations = [msgspec.json.decode(event.integrations) for event in reading.events]
    assert integrations == [{"All": False, "X": {"a": 1}}, {"All": True, "X": {"a": 1}}, {"All": False, "X": {"a": 1}}]


@pytest.mark.parametrize("odd", [{}, {"odd": 1}], ids=["at one go", "item by item"])
@pytest.mark.parametrize("shared", [None, 5, "x", [1]])
def test_an_envelopes_context_that_is_no_object_joins_none_and_is_kept(shared: Any, odd: dict[str, Any]) -> None:
    reading = read(batch({**GOOD, "context": {"a": 1}, **odd}, context=shared, integrations=shared))
    assert (reading.events[0].context, reading.events[0].integrations) == (b'{"a":1}', b"{}")
    left = {"envelope": {"context": shared, "integrations": shared}} if shared is not None else {}
    assert msgspec.json.decode(reading.events[0].extra) == {**odd, **left}


@pytest.mark.parametrize("odd", [{}, {"odd": 1}], ids=["at one go", "item by item"])
@pytest.mark.parametrize(
    ("envelope", "left"),
    [
        ({"sentAt": "now"}, {"sentAt": "now"}),
        ({"sentAt": 5}, {"sentAt": 5}),
        ({"sentAt": ["2026-01-01T00:00:00Z"]}, {"sentAt": ["2026-01-01T00:00:00Z"]}),
        ({"requestId": "r1", "channel": {"a": [None]}}, {"requestId": "r1", "channel": {"a": [None]}}),
        ({"timestamp": "2026-01-01T00:00:00Z"}, {"timestamp": "2026-01-01T00:00:00Z"}),
        (
            {"timestamp": "2026-01-01T00:00:00Z", "sentAt": "now"},
            {"timestamp": "2026-01-01T00:00:00Z", "sentAt": "now"},
        ),
        ({"timestamp": 5, "sentAt": "2026-01-01T00:00:00Z"}, {"timestamp": 5}),
        # It says the same as `sentAt`: some SDKs for Node send both.
        ({"timestamp": "2026-01-01T00:00:00Z", "sentAt": "2026-01-01T00:00:00Z"}, None),
        ({"sentAt": None, "context": {}, "integrations": None, "other": None, "writeKey": "wk_x"}, None),
    ],
)
def test_what_an_envelope_says_and_nobody_understands_is_kept_with_each_event(
    envelope: dict[str, Any], left: dict[str, Any] | None, odd: dict[str, Any]
) -> None:
    reading = read(batch({**GOOD, **odd}, {**GOOD, "messageId": "m2"}, {"type": "track"}, **envelope))
    wanted = {} if left is None else {"envelope": left}
    assert [msgspec.json.decode(one.extra) for one in reading.events] == [{**odd, **wanted}, wanted]
    (rejected,) = reading.rejected
    kept = msgspec.json.decode(rejected.body)
    assert kept.get("envelope") == left
    assert b"wk_x" not in rejected.body + reading.events[0].extra
    # Sent again by itself, it says so still.
    again = read(msgspec.json.encode({**kept, **GOOD}), call="track").events
    assert msgspec.json.decode(again[0].extra).get("envelope") == left


@pytest.mark.parametrize("value", ["x" * 2000, [[[]] * 60] * 2], ids=["long", "deep"])
def test_of_much_that_nobody_understands_the_beginning_is_kept_as_text(value: Any) -> None:
    events = read(batch(GOOD, {**GOOD, "messageId": "m2"}, odd=value)).events
    for event in events:
        text = msgspec.json.decode(event.extra)["envelope"]
        assert msgspec.json.encode({"odd": value}).decode()[:1024] == text


def test_an_event_that_has_such_a_field_itself_keeps_its_own() -> None:
    (event,) = read(batch({**GOOD, "envelope": "blue"}, odd=1)).events
    assert msgspec.json.decode(event.extra) == {"envelope": "blue"}


def test_the_write_key_is_found_in_the_envelope_or_in_an_item() -> None:
    def key(body: bytes, *, single: bool = False) -> str | None:
        return wire.open_body(body, batch=not single, limits=LIMITS).write_key

    odd = {**GOOD, "odd": 1, "writeKey": "item"}
    assert key(batch(GOOD, writeKey="outer")) == "outer"
    assert key(batch({**GOOD, "writeKey": "item"}, writeKey="outer")) == "outer"
    assert key(batch(GOOD, {**GOOD, "writeKey": "item"})) == key(batch(GOOD, odd)) == "item"
    assert key(batch(GOOD)) is key(batch(GOOD, writeKey=5)) is None
    for item in (odd, {**GOOD, "writeKey": "item"}):
        assert key(msgspec.json.encode(item), single=True) == "item"
    assert key(b"5", single=True) is None
    assert b"writeKey" not in to_json(event_of(writeKey="item", odd=1))


# What an envelope does to each of its items.


def test_an_envelope_that_makes_every_event_too_large_is_told_at_each() -> None:
    reading = read(batch(GOOD, GOOD, context={"x": "x" * 33_000}))
    assert [rejected.code for rejected in reading.rejected] == ["event_too_large"] * 2
    assert reading.rejected[1].reason.startswith(
        "$.batch[1]: with the context and integrations of the batch it has 33012 bytes or more; an event may have 32768"
    )


@pytest.mark.parametrize("name", ["context", "integrations"])
def test_an_envelope_that_nests_too_deep_is_told_at_each_item(name: str) -> None:
    for levels in (401, 900, 3000):
        deep = b'{"email":' * levels + b"1" + b"}" * levels
        reading = read(b'{"batch":[' + msgspec.json.encode(GOOD) + b'],"' + name.encode() + b'":' + deep + b"}")
        assert [rejected.code for rejected in reading.rejected] == ["too_deep"]
        assert "nested deeper than 400 levels; send flatter objects" in reading.rejected[0].reason


def test_a_small_request_never_becomes_a_large_one() -> None:
    small = {"type": "page", "userId": "u"}
    body = batch(*[small] * 2500, context={"x": "x" * 30_000})
    assert len(body) < 110_000
    reading = read(body)
    assert sum(len(event.context) for event in reading.events) <= 8 << 20
    assert len(reading.events) == (8 << 20) // (30_008 + len(b"null"))
    assert {rejected.code for rejected in reading.rejected} == {"too_many_items"}
    assert len(read(batch(*[small] * 2500, context={"x": "x" * 3_000})).events) == 2500
