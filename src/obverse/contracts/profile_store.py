"""What every `ProfileStore` must prove."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from obverse.contracts.profile_store_backfills import BackfillPromises
from obverse.contracts.profile_store_due import DuePromises
from obverse.contracts.profile_store_groups import GroupPromises
from obverse.contracts.profile_store_history import HistoryPromises
from obverse.contracts.profile_store_merges import MergePromises
from obverse.contracts.profile_store_names import NamePromises
from obverse.contracts.profile_store_pages import OwnerPromises, PagePromises
from obverse.contracts.profile_store_replays import ReplayPromises
from obverse.contracts.profile_store_requests import RequestPromises
from obverse.contracts.profile_store_selections import SelectionPromises
from obverse.contracts.profile_store_spans import SpanPromises
from obverse.contracts.profile_store_steps import (
    NOON,
    a_profile,
    a_rejected,
    an_event,
    an_id,
    done_by,
    found,
    latest,
    soon,
    up_to,
    whole,
    write,
    writing,
)
from obverse.contracts.profile_store_trait_values import TraitValuePromises
from obverse.contracts.profile_store_waiting import WaitingPromises
from obverse.contracts.profile_store_writers import WriterPromises
from obverse.core import times
from obverse.core.events import Event
from obverse.ports.profile_store import Checkpoint, Known, Overview, ProfileStore

STRANGE: Final = (
    "İstanbul ß \u017f",
    "e\u0301 is not \u00e9",
    "\u00e9 is not e\u0301",
    "👩‍👩‍👧 \U0010ffff",
    "עברית \u202e tfel ot thgir",
    "\ufeff\u200b\u00a0",
    "\ufffe\uffff",
    "quote ' double \" back \\ slash / percent % dollar $1 brace {} comma ,",
    "\x01\x1f\x7f\t\r\n",
    "null",
    "NULL",
    "\\N",
    " leading and trailing ",
    "\U0001d4b3" * 400,
)
"""Text that has broken stores before."""

UNKEEPABLE: Final = (
    rb'{"nul": "a\u0000b", "\u0000": 1}',
    rb'{"deep": [{"x": ["\u0000"]}], "kept": "\\u0000", "dollar": "$"}',
    b'{"huge": 1e400000, "tiny": -1.5E-400000, "fine": 1.25}',
    b'{"a": 1e131072, "b": [1e-16384], "c": 123456789012345678901234567890.5}',
    b'{"long": ' + b"9" * 200_000 + b"}",
    b'{"long": 0.' + b"1" * 20_000 + b"}",
)
"""JSON that is valid, and that a database may not be able to hold."""


class ProfileStoreContract(
    RequestPromises,
    WriterPromises,
    MergePromises,
    NamePromises,
    PagePromises,
    OwnerPromises,
    ReplayPromises,
    HistoryPromises,
    GroupPromises,
    SelectionPromises,
    TraitValuePromises,
    BackfillPromises,
    SpanPromises,
    DuePromises,
    WaitingPromises,
):
    """
    Subclass, answer the questions of `StoreQuestions`, and every promise is tested.

    Whoever answers with a store closes it after the test.
    """

    # What is read of an empty store.

    async def test_an_empty_store_holds_nothing(self, store: ProfileStore) -> None:
        assert await found(store, "user_id:ada", ids=[an_id("ada")]) == []
        assert await soon(store.load([])) == []
        assert await latest(store, "ada") == []
        assert await store.rejected(limit=10) == []
        assert await store.overview() == Overview(profiles=0, merges=0, events=0, rejected=0, audiences={}, marks={})

    # Profiles and their identifiers.

    async def test_what_was_committed_is_found_by_identifier_and_by_id(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", "user_id:1", "email:ada@example.com"), a_profile("bea")])

        assert await found(store, "user_id:1") == [b"state of ada"]
        assert await found(store, "email:ada@example.com", "user_id:1") == [b"state of ada"]
        assert await found(store, ids=[an_id("bea")]) == [b"state of bea"]
        assert await found(store, "user_id:1", "user_id:unknown", ids=[an_id("ada"), an_id("nobody")]) == [
            b"state of ada"
        ]

    async def test_a_profile_is_kept_as_it_is_given(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", state=bytes(range(256)) * 40, vip=2, new=1)])

        kept = await self.kept(store, an_id("ada"))
        assert kept is not None
        assert kept.merged_into is None
        assert kept.state == bytes(range(256)) * 40
        assert kept.known == b"known of ada"
        assert kept.computed_traits == {"orders": 3}
        assert kept.attributes == {"name": "ada"}
        assert kept.audiences == {"vip": (2, NOON + 2), "new": (1, NOON + 1)}

    async def test_the_last_state_stands(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", state=b"first"), a_profile("ada", state=b"second")])
        assert await found(store, "user_id:ada") == [b"second"]
        await write(store, profiles=[a_profile("ada", state=b"third")])
        assert await found(store, "user_id:ada") == [b"third"]
        assert (await store.overview()).profiles == 1

    async def test_what_a_row_does_not_tell_stays_as_it_is_kept(self, store: ProfileStore) -> None:
        moved = replace(a_profile("ada", state=b"moved"), known=None, audiences=None, computed_traits=b'{"orders": 4}')
        await write(store, profiles=[a_profile("ada", vip=2)])
        await write(store, profiles=[moved])
        await write(store, profiles=[a_profile("bea", vip=3), replace(moved, id=an_id("bea"), identifiers=())])

        for name, number in (("ada", 2), ("bea", 3)):
            kept = await self.kept(store, an_id(name))
            assert kept is not None
            assert (kept.state, kept.known, kept.attributes) == (b"moved", f"known of {name}".encode(), {"name": name})
            assert kept.computed_traits == {"orders": 4}
            assert kept.audiences == {"vip": (number, NOON + number)}
            assert await soon(store.load([f"user_id:{name}"])) == [whole(name, b"moved")]

    async def test_an_identifier_belongs_to_the_profile_that_claimed_it_last(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", "user_id:1", "email:x@example.com"), a_profile("bea")])
        await write(store, profiles=[a_profile("bea", "user_id:2", "email:x@example.com")])

        assert await found(store, "email:x@example.com") == [b"state of bea"]
        assert await found(store, "user_id:1") == [b"state of ada"]
        assert await found(store, "user_id:2", "user_id:bea") == [b"state of bea"]

        await write(store, profiles=[a_profile("bea", "user_id:7"), a_profile("ada", "user_id:7")])
        assert await found(store, "user_id:7") == [b"state of ada"]

    async def test_a_thousand_unknown_identifiers_are_asked_for_at_once(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile(f"p{number}") for number in range(0, 1000, 100)])

        states = await found(store, *(f"user_id:p{number}" for number in range(1000)))
        assert states == sorted(f"state of p{number}".encode() for number in range(0, 1000, 100))

    async def test_text_of_any_kind_comes_back_as_it_went_in(self, store: ProfileStore) -> None:
        rows = [a_profile(text, f"user_id:{text}", f"email:{text}") for text in STRANGE]
        events = [
            stored
            for text in STRANGE
            for stored in done_by(
                text,
                an_event(
                    f"id {text}", name=text, user_id=text, properties=msgspec.json.encode({text: [text, {"x": text}]})
                ),
            )
        ]
        await write(store, profiles=rows, events=events)

        for text in STRANGE:
            assert await found(store, f"user_id:{text}") == [f"state of {text}".encode()]
            ((_, event),) = await store.events_of(an_id(text), limit=2)
            assert (event.message_id, event.name, event.user_id) == (f"id {text}", text, text)
            assert msgspec.json.decode(event.properties) == {text: [text, {"x": text}]}

    # Audiences.

    async def test_audiences_follow_their_members(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", vip=1, new=1), a_profile("bea", vip=1), a_profile("cleo")])
        assert dict((await store.overview()).audiences) == {"vip": 2, "new": 1}

        await write(store, profiles=[a_profile("ada", vip=2), a_profile("cleo", vip=1)])
        audiences = (await store.overview()).audiences
        assert {name: size for name, size in audiences.items() if size} == {"vip": 3}
        kept = await self.kept(store, an_id("ada"))
        assert kept is not None
        assert kept.audiences == {"vip": (2, NOON + 2)}

        await write(store, profiles=[replace(a_profile("ada"), audiences=None, identifiers=())])
        assert await self.kept(store, an_id("ada")) == kept
        assert len(await store.load(["user_id:ada"])) == 1

        await write(store, profiles=[a_profile("ada"), a_profile("bea"), a_profile("cleo")])
        assert not any((await store.overview()).audiences.values())

    # Events.

    async def test_every_field_of_an_event_comes_back(self, store: ProfileStore) -> None:
        full = Event(
            type="alias",
            message_id="m1",
            source="shop",
            received_at=NOON + 7,
            timestamp=NOON + 1,
            user_id="ada",
            anonymous_id="a-1",
            name="Home",
            properties=b'{"price":12.50,"list":[1,null,true]}',
            context=b'{"ip":"192.0.2.1"}',
            integrations=b'{"All":true}',
            original_timestamp=NOON - 3,
            sent_at=NOON - 1,
            group_id="g",
            previous_id="p",
            extra=b'{"channel":"web"}',
        )
        bare = Event(type="page", message_id="m2", source="shop", received_at=0, timestamp=-1)
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", full, bare))

        (_, second), (_, first) = await store.events_of(an_id("ada"), limit=10)
        assert readable(first) == readable(full)
        assert readable(second) == readable(bare)

    async def test_times_reach_from_the_first_year_to_the_last(self, store: ProfileStore) -> None:
        edges = [times.EARLIEST, times.LATEST]
        events = [an_event(f"m{at}", timestamp=at, received_at=at, original_timestamp=at, sent_at=at) for at in edges]
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", *events))

        kept = [event for _, event in await store.events_of(an_id("ada"), limit=2)]
        assert [event.timestamp for event in kept] == edges[::-1]
        assert [event.sent_at for event in kept] == edges[::-1]

    async def test_events_come_latest_first_and_page_by_page(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")])
        for turn in range(3):
            mine = done_by("ada", *(an_event(f"m{turn}{number}") for number in range(3)))
            await write(store, events=[*mine, *done_by("bea", an_event(f"other {turn}"))])

        assert await latest(store, "ada") == ["m22", "m21", "m20", "m12", "m11", "m10", "m02", "m01", "m00"]
        page = await store.events_of(an_id("ada"), limit=4)
        assert [event.message_id for _, event in page] == ["m22", "m21", "m20", "m12"]
        assert await latest(store, "ada", limit=4, before=page[-1][0]) == ["m11", "m10", "m02", "m01"]
        numbers = [number for number, _ in await store.events_of(an_id("ada"), limit=9)]
        assert numbers == sorted(numbers, reverse=True)
        assert len(set(numbers)) == 9

    @pytest.mark.parametrize("sent", UNKEEPABLE, ids=range(len(UNKEEPABLE)))
    async def test_no_valid_json_stops_a_checkpoint(self, store: ProfileStore, sent: bytes) -> None:
        odd = an_event("odd", properties=sent, context=sent, integrations=sent, extra=sent)
        known = Known(packed=b"known of ada", identity_graph=sent, attributes=sent)
        row = replace(a_profile("ada"), known=known, computed_traits=sent)
        events = [an_event("before"), odd, an_event("after")]
        await write(store, profiles=[row], events=done_by("ada", *events))

        kept = {event.message_id: event for _, event in await store.events_of(an_id("ada"), limit=5)}
        assert kept.keys() == {"before", "odd", "after"}
        assert (kept["odd"].properties, kept["odd"].context) == (sent, sent)
        assert (kept["odd"].integrations, kept["odd"].extra) == (sent, sent)

    async def test_what_is_no_json_stops_no_checkpoint_either(self, store: ProfileStore) -> None:
        broken = [b"{", b'{"a": "\xff"}', b"", b"\x00", rb'{"a": "\ud800"}']
        events = [an_event(f"m{number}", properties=text) for number, text in enumerate(broken)]
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", an_event("sound"), *events))

        kept = {event.message_id: event.properties for _, event in await store.events_of(an_id("ada"), limit=9)}
        assert kept == {"sound": b"{}", **{f"m{number}": text for number, text in enumerate(broken)}}

    async def test_a_long_event_name_is_kept_whole(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", an_event("m1", name="ü" * 5000)))
        ((_, event),) = await store.events_of(an_id("ada"), limit=1)
        assert event.name == "ü" * 5000

    # Rejected events.

    async def test_rejected_events_come_back_latest_first(self, store: ProfileStore) -> None:
        await write(store, rejected=[a_rejected(number) for number in range(5)])
        await write(store, rejected=[a_rejected(5)])

        latest = await store.rejected(limit=3)
        assert [one.event for one in latest] == [a_rejected(5), a_rejected(4), a_rejected(3)]
        assert [one.event for one in await store.rejected(limit=1, before=latest[-1].id)] == [a_rejected(2)]
        assert len(await store.rejected(limit=100)) == 6
        assert (await store.overview()).rejected == 6

    # Workspaces.

    async def test_a_workspace_sees_nothing_of_another(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        async with writing(store) as writer, writing(other) as next_door:
            await writer.commit(
                Checkpoint(
                    marks=up_to(1),
                    profiles=[a_profile("ada", vip=1)],
                    events=[writer.pack(done_by("ada", an_event("m1")))],
                    rejected=[a_rejected(1)],
                )
            )
            assert not next_door.marks
            assert await found(other, "user_id:ada", ids=[an_id("ada")]) == []
            assert await latest(other, "ada") == []
            assert await other.rejected(limit=1) == []
            empty = Overview(profiles=0, merges=0, events=0, rejected=0, audiences={}, marks={})
            assert await other.overview() == empty

            await next_door.commit(Checkpoint(marks=up_to(2), profiles=[a_profile("theirs", "user_id:ada")]))
        assert await found(store, "user_id:ada") == [b"state of ada"]
        assert await found(other, "user_id:ada") == [b"state of theirs"]
        assert (await store.overview()).marks == {"unify": up_to(1)}


def readable(event: Event) -> dict[str, object]:
    """Return an event with its objects decoded: a store may write them otherwise, if they say the same."""
    objects = ("properties", "context", "integrations", "extra")
    fields = msgspec.structs.asdict(event)
    return {name: msgspec.json.decode(value) if name in objects else value for name, value in fields.items()}
