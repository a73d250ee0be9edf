"""Events as rows of COPY, and back: what is packed early can still be looked at text by text if the server asks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from obverse.adapters.postgres.profile_rows import EventRows, unpack_events
from obverse.contracts.lattice import LAWS
from obverse.core.events import Event
from obverse.ports.profile_store import StoredEvent

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)
TIMES = st.integers(0, 4_000_000_000_000_000)
OBJECTS = st.sampled_from(
    [b"{}", b'{"a": 1}', '{"ü": "☕"}'.encode(), rb'{"nul": "\u0000"}', b'{"huge": 1e400000}', b"{"]
)
STORED = st.builds(
    StoredEvent,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 1000),
    st.integers(0, 2**62),
    st.builds(
        Event,
        type=st.sampled_from(["track", "identify", "page"]),
        message_id=TEXT,
        source=TEXT,
        received_at=TIMES,
        timestamp=TIMES,
        user_id=st.none() | TEXT,
        anonymous_id=st.none() | TEXT,
        name=st.none() | TEXT,
        properties=OBJECTS,
        context=OBJECTS,
        integrations=OBJECTS,
        extra=OBJECTS,
        original_timestamp=st.none() | TIMES,
        sent_at=st.none() | TIMES,
        group_id=st.none() | TEXT,
        previous_id=st.none() | TEXT,
    ),
)


@LAWS
@given(st.lists(STORED, max_size=5))
def test_what_was_packed_comes_back(events: list[StoredEvent]) -> None:
    for careful in (False, True):
        assert unpack_events(EventRows("main", careful=careful).pack(events)) == events
