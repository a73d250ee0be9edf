"""Whom a router remembers, and whom it lets go."""

from __future__ import annotations

from engine_parts import memory_parts
from obverse.adapters._buckets.routed_people import RoutedPeople
from obverse.core.definitions import Definitions
from obverse.core.identity import profile_id
from obverse.core.people import People
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow
from people_steps import DEFINITIONS, event
from unmerging_steps import Lived


async def test_who_was_absorbed_is_let_go_too_once_the_store_knows() -> None:
    parts = await memory_parts(1)
    people = RoutedPeople("main", Definitions(), parts.store)
    met = (
        event("1", anonymous_id="device"),
        event("2", user_id="ada"),
        event("3", user_id="ada", anonymous_id="device"),
    )
    for place, one in enumerate(met):
        _, folded = people.resolve(one, one.stamp, people.shown(one))
        assert folded.decision is not None
        people.concern(folded.decision, place)
    assert (len(people.profiles), len(people.absorbed), people.many) == (1, 1, 2)
    people.let_go(5, kept=2)
    assert people.many == 2  # what joined them is not in the store yet
    people.let_go(5, kept=3)
    assert (len(people.profiles), len(people.absorbed), people.owners) == (0, 0, {})


async def test_who_was_brought_and_never_routed_is_let_go_too() -> None:
    parts = await memory_parts(1)
    met, known = event("1", anonymous_id="device"), People("main", Definitions())
    profile, _ = known.resolve(met, met.stamp, known.shown(met))
    writer = await parts.store.open_writer(WRITER)
    row = ProfileRow.of(profile, Definitions())
    await writer.commit(Checkpoint(marks={Stream.ROUTED: {0: 1}}, profiles=[row]))
    people = RoutedPeople("main", Definitions(), parts.store)
    await people.bring(["anonymous_id:device"])
    assert people.many == 1
    people.let_go(5, kept=1)
    assert people.many == 0


async def test_who_had_become_part_of_whoever_is_parted_and_stays_is_found_with_whom_they_stay() -> None:
    parts = await memory_parts(1)
    people = RoutedPeople("main", DEFINITIONS, parts.store)
    met = (
        event("m1", user_id="cleo"),
        event("m2", at=1, user_id="bea", anonymous_id="phone"),
        event("m3", at=2, user_id="ada"),
        event("m4", at=3, user_id="ada", anonymous_id="phone"),
        event("m5", at=4, type_="alias", user_id="cleo", previous_id="phone"),
    )
    for one in met:
        people.resolve(one, one.stamp, people.shown(one))
    lived = Lived(met)
    decision, _, _ = lived.undo("user_id:bea", "anonymous_id:phone")
    people.part([decision], ())

    ada, bea, cleo = (profile_id("main", f"user_id:{name}") for name in ("ada", "bea", "cleo"))
    assert (people.keeper(ada), people.keeper(bea)) == (cleo, bea)
