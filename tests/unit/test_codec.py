"""Records of the log: encodings join, and what is no record says so."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.core import codec
from obverse.core.changes import Change
from obverse.core.events import Event

CHANGES = st.lists(st.builds(Change, st.binary(max_size=4), st.text("ab"), st.text("ab"), st.text("ab")), max_size=20)

decoder = codec.Decoder(Change)


@LAWS
@given(CHANGES, CHANGES)
def test_two_encodings_joined_are_the_encoding_of_both(one: list[Change], other: list[Change]) -> None:
    body = codec.encode(one) + codec.encode(other)
    assert body == codec.encode([*one, *other])
    assert decoder.decode(len(one) + len(other), body) == [*one, *other]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65_535, 65_536])
def test_any_number_of_records_comes_back(count: int) -> None:
    records = [Change(b"p", "trait", "n", "e")] * count
    assert decoder.decode(count, codec.encode(records)) == records


@LAWS
@given(st.integers(0, 5), st.binary(max_size=60))
def test_bytes_that_are_no_records_are_refused(count: int, body: bytes) -> None:
    with contextlib.suppress(codec.UnreadableRecord):
        assert len(decoder.decode(count, body)) == count


def test_a_record_less_or_more_is_refused() -> None:
    body = codec.encode([Change(b"p", "trait", "n", "e")] * 2)
    for count in (1, 3):
        with pytest.raises(codec.UnreadableRecord, match=f"{count} records"):
            decoder.decode(count, body)


def test_an_event_of_an_older_release_has_the_defaults_of_new_fields() -> None:
    five = ["track", "m", "web", 5, 4]
    (event,) = codec.Decoder(Event).decode(1, codec.encode([five]))
    assert event == Event(type="track", message_id="m", source="web", received_at=5, timestamp=4)
    assert event.properties == event.context == event.extra == b"{}"
