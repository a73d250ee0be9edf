"""Whom a router remembers, and whom it lets go."""

from __future__ import annotations

from engine_parts import memory_parts
from obverse.adapters._buckets.routed_people import RoutedPeople
from obverse.core.definitions import Definitions
from obverse.core.people import People
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow
from people_steps import event


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
