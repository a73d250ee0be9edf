"""What every `ProfileStore` must prove of the past that it keeps."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from obverse.contracts.profile_store_steps import (
    NOON,
    StoreQuestions,
    a_profile,
    an_event,
    an_id,
    done_by,
    soon,
    up_to,
    whole,
    write,
    writing,
)
from obverse.core import times
from obverse.core.crdt.clock import Stamp
from obverse.core.history import PastEvent
from obverse.core.identity import Decision, Edge, Part
from obverse.ports.profile_history import KeptDecision, Remains
from obverse.ports.profile_store import Checkpoint, ProfileStore


def decided(offset: int, name: str, *absorbed: str, kind: str = "") -> KeptDecision:
    """Return a decision on the profile of this name, at this place of the log."""
    decision = Decision(
        kind=kind or ("merge" if absorbed else "create"),
        profile=an_id(name),
        absorbed=tuple(map(an_id, absorbed)),
        identifiers=(f"user_id:{name}", "anonymous_id:\ufffd İ 👩"),
        edges=(Edge("anonymous_id:a", f"user_id:{name}", f"m{offset}", "seen_together", NOON),),
        event=f"m{offset}",
        stamp=Stamp(NOON + offset, "shop", f"m{offset}"),
        received_at=NOON + offset,
    )
    return KeptDecision(offset, decision)


async def offsets(store: ProfileStore, name: str) -> list[int]:
    """Return the places of the decisions that concern a profile, in the order given."""
    return [one.offset for one in await soon(store.decisions_of(an_id(name)))]


async def told(store: ProfileStore, name: str, until: int = NOON + 100) -> list[str]:
    """Return the message ids of what was folded into a profile and had arrived by then."""
    events = await soon(store.past_events([an_id(name)], until=until, limit=100))
    return [one.event.message_id for one in events]


class HistoryPromises(StoreQuestions):
    """Decisions of identity, and events in the order in which they were folded."""

    async def test_of_nobody_nothing_was_decided(self, store: ProfileStore) -> None:
        assert await soon(store.decided()) == 0
        assert list(await soon(store.decisions_of(an_id("ada")))) == []
        assert await told(store, "ada") == []
        assert await soon(store.remains([an_id("ada")])) == Remains([], 0, None)
        assert await soon(store.remains([])) == Remains([], 0, None)

    async def test_decisions_come_back_as_they_were_in_the_order_of_the_log(self, store: ProfileStore) -> None:
        first, second, third = decided(0, "ada"), decided(1, "ada", kind="link"), decided(2, "ada", kind="refuse")
        await write(store, decisions=[first, second])
        await write(store, decisions=[decided(3, "bea"), third])

        assert list(await soon(store.decisions_of(an_id("ada")))) == [first, second, third]
        assert await soon(store.decided()) == 4

    async def test_a_decision_is_told_of_whom_it_moved_beside(self, store: ProfileStore) -> None:
        taken = replace(decided(2, "bea", "cleo").decision, beside=(an_id("ada"), an_id("dora")))
        await write(store, decisions=[decided(0, "ada"), decided(1, "bea"), KeptDecision(2, taken), decided(3, "cleo")])

        assert await offsets(store, "ada") == [0, 2]
        assert await offsets(store, "dora") == [2]
        assert await offsets(store, "bea") == [1, 2, 3]

    async def test_merges_lead_to_the_keeper_and_to_all_that_it_absorbed(self, store: ProfileStore) -> None:
        names = ["ada", "bea", "cleo", "dora", "eve", "fay"]
        made = [decided(place, name) for place, name in enumerate(names)]
        await write(store, decisions=made)
        # dora became part of cleo, cleo and bea of ada; eve and fay have nothing to do with them.
        merged = [decided(6, "cleo", "dora"), decided(7, "ada", "bea", "cleo"), decided(8, "eve", "fay")]
        await write(store, decisions=merged)
        await write(store, decisions=[decided(9, "dora", kind="link")])

        for name in ("ada", "bea", "cleo", "dora"):
            assert await offsets(store, name) == [0, 1, 2, 3, 6, 7, 9]
        for name in ("eve", "fay"):
            assert await offsets(store, name) == [4, 5, 8]

    async def test_who_was_parted_leads_to_each_other(self, store: ProfileStore) -> None:
        gone = Part(an_id("fresh"), ("user_id:fresh",))
        parted = replace(decided(2, "ada", kind="unmerge").decision, parts=(gone, Part(None, ("email:e",))))
        made = [decided(0, "ada"), KeptDecision(2, parted), decided(3, "fresh", kind="link")]
        await write(store, decisions=made)

        for name in ("ada", "fresh"):
            assert list(await soon(store.decisions_of(an_id(name)))) == made

    async def test_many_decisions_of_many_profiles(self, store: ProfileStore) -> None:
        made = [decided(place, f"p{place}") for place in range(1500)]
        merged = [decided(1500 + place, f"p{place}", f"p{place + 1}") for place in range(400)]
        await write(store, decisions=[*made, *merged])

        assert await offsets(store, "p400") == [*range(401), *range(1500, 1900)]
        assert await offsets(store, "p401") == [401]
        assert await soon(store.decided()) == 1900

    async def test_decisions_are_written_with_their_checkpoint_or_not_at_all(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            await soon(writer.commit(Checkpoint(marks=up_to(1), decisions=[decided(0, "ada")])))
            circle = {an_id("ada"): an_id("bea"), an_id("bea"): an_id("ada")}
            with pytest.raises(ValueError, match="absorbed by itself"):
                await soon(writer.commit(Checkpoint(marks=up_to(2), decisions=[decided(1, "ada")], absorbed=circle)))

        assert await offsets(store, "ada") == [0]

    async def test_decisions_outlive_the_process(self, store: ProfileStore) -> None:
        await write(store, decisions=[decided(0, "ada")])

        assert await offsets(await self.reopen(store), "ada") == [0]

    async def test_nobody_sees_the_decisions_of_another_workspace(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await write(store, decisions=[decided(0, "ada"), decided(1, "ada", "bea")])
        await write(other, decisions=[decided(0, "bea")])

        assert await offsets(other, "ada") == []
        assert await offsets(other, "bea") == [0]
        assert await offsets(store, "bea") == [0, 1]
        assert await soon(other.decided()) == 1

    async def test_past_events_come_in_the_order_of_the_fold_with_their_places(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[a_profile("ada"), a_profile("bea"), a_profile("cleo")],
            events=[
                *done_by("ada", an_event("a1"), an_event("a2"), first=7),
                *done_by("cleo", an_event("c1")),
                *done_by("bea", an_event("b1"), first=9),
            ],
        )
        await write(store, absorbed={an_id("bea"): an_id("ada")}, events=done_by("bea", an_event("b2"), first=10))

        found = await soon(store.past_events([an_id("ada"), an_id("bea")], until=NOON + 5, limit=9))
        assert [(one.profile, one.partition, one.offset, one.event.message_id) for one in found] == [
            (an_id("ada"), 0, 7, "a1"),
            (an_id("ada"), 0, 8, "a2"),
            (an_id("bea"), 0, 9, "b1"),
            (an_id("bea"), 0, 10, "b2"),
        ]
        assert [one.id for one in found] == sorted({one.id for one in found})
        # Just of those who are named, whoever holds them now.
        assert await told(store, "bea") == ["b1", "b2"]

    async def test_past_events_come_page_by_page(self, store: ProfileStore) -> None:
        events = [an_event(f"m{number}") for number in range(7)]
        turns = zip(done_by("ada", *events), done_by("bea", *events), strict=True)
        await write(store, events=[one for each in turns for one in each])

        found: list[PastEvent] = []
        while page := await soon(
            store.past_events([an_id("ada"), an_id("bea")], until=NOON + 5, limit=4, after=found[-1].id if found else 0)
        ):
            assert len(page) <= 4
            found += page
        assert [one.event.message_id for one in found] == [f"m{number}" for number in range(7) for _ in range(2)]
        assert {one.profile for one in found[::2]} == {an_id("ada")}

    async def test_what_arrived_later_is_left_out_wherever_it_stands(self, store: ProfileStore) -> None:
        arrivals = [5, 2, 9, 4]
        events = [an_event(f"m{at}", received_at=NOON + at) for at in arrivals]
        await write(store, events=done_by("ada", *events))

        assert await told(store, "ada", until=NOON + 4) == ["m2", "m4"]
        assert await told(store, "ada", until=NOON + 5) == ["m5", "m2", "m4"]
        assert await told(store, "ada", until=times.LATEST) == ["m5", "m2", "m9", "m4"]
        assert await told(store, "ada", until=times.EARLIEST) == []

    async def test_every_field_of_a_past_event_comes_back(self, store: ProfileStore) -> None:
        text = rb'{"nul": "a\u0000b", "huge": 1e400000}'
        odd = an_event("m", name="\u00fc \U0001d4b3", properties=text, group_id="g", previous_id="p", sent_at=NOON)
        await write(store, events=done_by("ada", odd))

        (one,) = await soon(store.past_events([an_id("ada")], until=NOON + 5, limit=9))
        assert one.event == odd

    async def test_what_remains_is_counted_and_dated(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[a_profile("ada"), a_profile("bea"), a_profile("cleo")],
            events=[
                *done_by("bea", an_event("b1", received_at=NOON + 30)),
                *done_by("ada", an_event("a1", received_at=NOON + 20), an_event("a2", received_at=NOON + 10)),
            ],
        )
        await write(store, absorbed={an_id("bea"): an_id("ada")})

        one = await soon(store.remains([an_id("ada")]))
        assert one == Remains([whole("ada")], 2, NOON + 20)
        both = await soon(store.remains([an_id("ada"), an_id("bea"), an_id("nobody")]))
        assert both == Remains([whole("ada")], 3, NOON + 30)
        assert await soon(store.remains([an_id("cleo")])) == Remains([whole("cleo")], 0, None)
        two = await soon(store.remains([an_id("ada"), an_id("cleo")]))
        assert sorted(two.people) == sorted([whole("ada"), whole("cleo")])

    async def test_nobody_sees_the_past_of_another_workspace(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", an_event("a1")))

        assert await told(other, "ada") == []
        assert await soon(other.remains([an_id("ada")])) == Remains([], 0, None)
