"""Whatever is sent is read, rejected or refused; nothing else can come of it, and nobody's neighbour suffers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from anything import BODIES, CALLS, ENVELOPES, ITEMS
from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import ANYTHING
from obverse.core import codec, json_values, profiles, wire
from obverse.core.events import Event, RejectedEvent, to_json
from obverse.core.people import People
from obverse.core.wire import Limits, Unreadable
from obverse.ports.profile_store import ProfileRow
from people_steps import new
from wire_steps import GOOD, batch, read


def sound(reading: wire.Reading) -> None:
    """Hold that what was read can go all the way into a profile's row."""
    people = new()
    for place, event in enumerate(reading.events):
        folded = people.fold(event, (0, place))
        if folded.profile is None:
            People.unidentified(event, 0, place)
            continue
        row = ProfileRow.of(folded.profile, people.definitions)
        back = profiles.unpack(profiles.pack(folded.profile, people.definitions), people.definitions)
        assert profiles.state_of(back, people.definitions) == profiles.state_of(folded.profile, people.definitions)
        for text in (row.computed_traits, *((row.known.identity_graph, row.known.attributes) if row.known else ())):
            json_values.decode(text)
    assert codec.Decoder(Event).decode(len(reading.events), codec.encode(reading.events)) == reading.events
    refused = codec.Decoder(RejectedEvent).decode(len(reading.rejected), codec.encode(reading.rejected))
    assert refused == reading.rejected
    assert len(list(wire.rejections(reading))) == len(reading.rejected)
    for event in reading.events:
        assert event.user_id or event.anonymous_id
        for text in (event.properties, event.context, event.integrations, event.extra, to_json(event)):
            assert isinstance(msgspec.json.decode(text, type=dict[str, msgspec.Raw]), dict)
    for rejected in reading.rejected:
        assert rejected.code
        assert rejected.field
        assert rejected.reason.startswith(rejected.field)


@LAWS
@given(BODIES, CALLS)
def test_any_bytes_are_read_rejected_or_refused(body: bytes, call: str | None) -> None:
    with suppress(Unreadable):
        sound(read(body, call=call))


@LAWS
@given(BODIES, st.integers(0, 59), st.binary(max_size=3), CALLS)
def test_a_body_damaged_on_its_way_is_too(body: bytes, place: int, damage: bytes, call: str | None) -> None:
    whole = batch(GOOD, {**GOOD, "properties": {"a": ["b", 1.5]}, "custom": None}) + body
    for damaged in (whole[:place] + damage + whole[place + len(damage) :], whole[: len(whole) - place]):
        with suppress(Unreadable):
            sound(read(damaged, call=call))


@LAWS
@given(st.lists(ANYTHING | ITEMS, max_size=3), ENVELOPES)
def test_the_neighbours_of_any_item_are_read_as_if_it_were_not_there(items: list[Any], envelope: Any) -> None:
    head = json_values.encode(envelope)[1:-1]
    texts = [json_values.encode(item) for item in items]
    good = msgspec.json.encode(GOOD)

    def body(*parts: bytes) -> bytes:
        return b'{"batch":[' + b",".join(parts) + b"]" + (b"," + head if head else b"") + b"}"

    alone = read(body(good))
    reading = read(body(good, *texts, good))
    sound(reading)
    assert reading.events[0] == reading.events[-1] == alone.events[0]
    assert len(reading.events) + len(reading.rejected) == len(items) + 2
    assert reading.places == sorted(set(reading.places))
    for place, rejected in zip(reading.places, reading.rejected, strict=True):
        assert rejected.reason.startswith(f"$.batch[{place}]")


@LAWS
@given(st.lists(ITEMS, min_size=1, max_size=4), ENVELOPES)
def test_a_body_reads_the_same_at_one_go_and_item_by_item(items: list[Any], envelope: Any) -> None:
    head = json_values.encode(envelope)[1:-1]
    body = b'{"batch":' + json_values.encode(items) + (b"," + head if head else b"") + b"}"
    at_one_go = read(body, limits=Limits(event_bytes=len(body)))
    one_by_one = read(body, limits=Limits(event_bytes=len(body) - 1))
    assert at_one_go.events == one_by_one.events
    assert at_one_go.places == one_by_one.places
    assert [one.code for one in at_one_go.rejected] == [one.code for one in one_by_one.rejected]
