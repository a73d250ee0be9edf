"""What one event of a body becomes: its times, ids, objects, and what is kept aside."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obverse.core import codec, times, wire
from obverse.core.events import to_json
from wire_steps import GOOD, NOW, batch, event_of, read, refused

SECOND = 1_000_000

# Times.


def at(seconds: float) -> str:
    return times.to_text(NOW + round(seconds * SECOND))


@pytest.mark.parametrize(
    ("fields", "envelope", "seconds"),
    [
        ({}, {}, 0),
        ({}, {"sentAt": at(-5)}, 0),
        ({"timestamp": at(-9)}, {}, -9),  # history: no sentAt, no correction
        ({"timestamp": at(-9)}, {"sentAt": at(-5)}, -4),
        ({"timestamp": at(-9), "sentAt": at(-8)}, {}, -1),
        ({"timestamp": at(-9), "sentAt": at(-8)}, {"sentAt": at(-5)}, -1),  # the item's own
        ({"timestamp": at(3600), "sentAt": at(3602)}, {}, -2),  # a clock that is an hour ahead
        ({"timestamp": at(-86400 * 900), "sentAt": at(-86400 * 900 + 30)}, {}, -30),  # or years behind
        ({"timestamp": at(9)}, {"sentAt": at(5)}, 4),  # happens after it was sent: kept, and ordered by arrival
        ({"originalTimestamp": at(-9), "timestamp": at(-1)}, {"sentAt": at(-5)}, -4),
        ({"originalTimestamp": "soon", "timestamp": at(-9)}, {}, -9),
        ({"timestamp": "yesterday"}, {"sentAt": at(-5)}, 0),
        ({"timestamp": at(-9)}, {"sentAt": "now"}, -9),
        ({"timestamp": at(-9), "sentAt": "now"}, {"sentAt": at(-5)}, -9),
        ({"timestamp": 1_700_000_000}, {}, 0),
    ],
)
def test_the_senders_clock_is_corrected(fields: dict[str, Any], envelope: dict[str, Any], seconds: float) -> None:
    (event,) = read(batch({**GOOD, **fields}, **envelope)).events
    assert (event.timestamp - NOW) / SECOND == seconds
    assert event.received_at == NOW
    assert event.stamp.time == min(event.timestamp, NOW)


def test_what_was_sent_as_times_is_kept() -> None:
    event = event_of(timestamp=at(-9), sentAt=at(-8))
    assert (event.original_timestamp, event.sent_at) == (NOW - 9 * SECOND, NOW - 8 * SECOND)
    odd = event_of(timestamp="yesterday", originalTimestamp="soon", sentAt=5)
    assert (odd.original_timestamp, odd.sent_at) == (None, None)
    assert msgspec.json.decode(odd.extra) == {"timestamp": "yesterday", "originalTimestamp": "soon", "sentAt": 5}


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_no_clock_leads_out_of_the_calendar(sent: str) -> None:
    for original in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        event = event_of(timestamp=original, sentAt=sent)
        assert times.EARLIEST <= event.timestamp <= times.LATEST
        times.to_text(event.timestamp)


# Ids, names and all else.


def test_ids_may_come_as_numbers() -> None:
    fields: dict[str, Any] = {"userId": 42, "anonymousId": -7, "groupId": 10**30, "previousId": 0, "messageId": 5}
    event = event_of(**fields)
    assert (event.user_id, event.anonymous_id, event.group_id) == ("42", "-7", str(10**30))
    assert (event.previous_id, event.message_id) == ("0", "5")
    assert read(b'{"type":"page","userId":1.50}', call="page").events[0].user_id == "1.50"
    assert read(b'{"type":"page","userId":' + b"1" * 5000 + b"}", call="page").events[0].user_id == "1" * 5000


def test_message_ids_that_are_missing_are_given() -> None:
    bare = {name: value for name, value in GOOD.items() if name != "messageId"}
    reading = read(batch(bare, GOOD, {**bare, "messageId": ""}, {**bare, "messageId": None}))
    assert [event.message_id for event in reading.events] == ["made-0", "m1", "made-1", "made-2"]


def test_fields_that_no_event_has_are_kept_aside() -> None:
    fields: dict[str, Any] = {
        "traits": {"plan": "pro"},
        "name": "n",
        "category": "c",
        "channel": "server",
        "version": 2,
        "_metadata": {"bundled": []},
        "receivedAt": "x",
        "custom": [1.50, {"a": None}],
    }
    for more in (dict[str, Any](), {"odd": 1}):
        event = event_of(**fields, **more)
        assert msgspec.json.decode(event.extra) == {**fields, **more}
        assert event.name == "Bought"
        again = msgspec.json.decode(to_json(event))
        assert {name: again[name] for name in fields} == {**fields, "receivedAt": at(0)}
    page = event_of("page", name="Home", event="e", traits={"a": 1})
    assert (page.name, msgspec.json.decode(page.extra)) == ("Home", {"traits": {"a": 1}, "event": "e"})


def test_objects_are_kept_as_they_were_sent() -> None:
    properties = b'{ "price" : 12.50, "n": 1E+2,"t":"\\u0041\xc3\xa9", "x": [ ] }'
    for extra in (b"", b',"odd":1'):
        body = b'{"type":"track","event":"E","userId":"u","properties":' + properties + extra + b"}"
        assert read(body, call="track").events[0].properties == properties
        assert read(batch(body)).events[0].properties == properties


def test_traits_are_the_properties_of_identify_and_group() -> None:
    sent: dict[str, Any] = {"traits": {"plan": "pro"}, "properties": {"a": 1}, "groupId": "g", "event": None}
    for type_ in ("identify", "group"):
        event = event_of(type=type_, **sent)
        assert (event.properties, event.event_type) == (b'{"plan":"pro"}', type_)
        assert msgspec.json.decode(event.extra) == {"properties": {"a": 1}}
    assert event_of(**{**sent, "event": "Bought"}).properties == b'{"a":1}'


def test_an_event_written_as_json_is_read_back_the_same() -> None:
    event = event_of(timestamp=at(-9), anonymousId="a", context={"ip": "1.1.1.1"}, custom=5, properties={"x": 1.5})
    (again,) = read(batch(to_json(event))).events
    expected = msgspec.structs.replace(event, extra=again.extra)
    assert again == expected
    assert msgspec.json.decode(again.extra) == {
        "custom": 5,
        "receivedAt": "2026-01-01T00:00:00Z",
        "timestamp": "2025-12-31T23:59:51Z",
    }


@pytest.mark.parametrize("call", [None, "track"])
@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        (rb"half \ud83d", "half \ufffd"),
        (rb"\ude00 half", "\ufffd half"),
        (rb"\uD83D\uDE00 whole", "\U0001f600 whole"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud83d is text", "\\ud83d is text"),
        (rb"\\\ud83d", "\\\ufffd"),
    ],
)
def test_half_a_character_is_read_as_an_unknown_one(sent: bytes, read_as: str, call: str | None) -> None:
    item = b'{"type":"track","event":"E","userId":"u","properties":{"t":"' + sent + b'"}}'
    reading = read(item if call else batch(GOOD, item), call=call)
    assert reading.rejected == []
    assert msgspec.json.decode(reading.events[-1].properties) == {"t": read_as}


@pytest.mark.parametrize("length", [10, 990, 2000])
def test_a_write_key_is_kept_nowhere(length: int) -> None:
    """Neither in an event nor in what was refused, wherever the sample is cut."""
    item = {"type": "track", "filling": "x" * length, "writeKey": "wk_secret", "event": "Bought"}
    assert b"wk_secret" not in refused(item).body
    whole = wire.rejected_whole(
        msgspec.json.encode(item) + b",", wire.Unreadable("invalid_json", "no"), source="web", received_at=NOW
    )
    assert b"wk_s" not in whole.body
    assert b"wk_secret" not in codec.encode([event_of(writeKey="wk_secret")])
