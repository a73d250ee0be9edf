"""What time alone does to profiles: it depends on neither who looks when, nor on the order of events."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import DICE
from obverse.core import changes, profiles, spans, times
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.history import PastEvent, PastPeople
from obverse.core.identity import edge_key
from obverse.core.people import People
from obverse.core.profiles import NEVER, Profile, packing
from obverse.core.unmerging import rerun, tell_anew, undo
from people_steps import bought, event, members, new, only, told, values
from window_steps import DAYS, at, day, day_logs, instants, settle, settled

MINUTE = spans.MINUTE


def run(log: list[Event], *, looks: Random | None = None, kept: float = 0.0) -> People:
    """Fold a log; with dice, time goes on for somebody between two events, and profiles are kept and come back."""
    people = new(DAYS)
    for offset, one in enumerate(log):
        if looks is not None and looks.random() < 0.5:
            settle(people, one.received_at - looks.randrange(spans.DAY))
        folded = people.fold(one, (0, offset))
        if looks is not None and folded.profile is not None and looks.random() < kept:
            people.adopt(profiles.unpack(profiles.pack(folded.profile, DAYS), DAYS))
    return people


# What is told.


def test_what_leaves_a_window_is_told_at_its_instant_once() -> None:
    people = new(DAYS)
    people.fold(at(bought("m1", 20, sku="A", user_id="ada"), 0.5), (0, 0))
    ada = only(people)
    assert members(ada) == {"active", "big"}
    # Midnight ends the day; two days and a minute after noon the price leaves, …
    assert ada.due == day(1)
    assert settle(people, day(1) - 1) == []
    midnight = f"clock:{times.to_text(day(1))}"
    assert settle(people, day(1)) == [Change(ada.id, changes.TRAIT, "skus_today", midnight)]
    assert settle(people, day(1)) == []
    assert ada.due == day(2.5) + MINUTE
    name = f"clock:{times.to_text(ada.due)}"
    assert settle(people, ada.due) == [
        Change(ada.id, changes.TRAIT, "spent_2d", name),
        Change(ada.id, changes.LEFT, "big", name, 1),
    ]
    assert ada.audiences["big"].since == day(2.5) + MINUTE
    # … the week ends on Sunday evening in UTC, …
    assert ada.due == day(3) + 23 * spans.HOUR
    # … and after seven days nothing is left that time could change.
    left = settle(people, day(30))
    assert [change.name for change in left] == ["dear_this_week", "orders_7d", "active", "lapsed"]
    assert {change.event for change in left[1:]} == {f"clock:{times.to_text(day(7.5) + MINUTE)}"}
    assert (ada.due, ada.turned_at) == (NEVER, day(7.5) + MINUTE)
    assert values(people) == {
        "orders": 1,
        "orders_7d": 0,
        "spent_2d": 0,
        "skus_today": [],
        "dear_this_week": 0,
        "dear": 1,
    }


def test_an_event_meets_the_profile_as_it_is_by_then() -> None:
    """Who has left an audience by the time that an event arrives has left it, and enters it anew."""
    people = new(DAYS)
    people.fold(at(bought("m1", user_id="ada"), 0), (0, 0))
    folded = people.fold(at(bought("m2", user_id="ada"), 20), (0, 1))

    moved = [(one.kind, one.name, one.number) for one in folded.changes if one.name in {"active", "lapsed"}]
    assert moved == [("left", "active", 1), ("entered", "lapsed", 1), ("entered", "active", 2), ("left", "lapsed", 1)]
    assert values(people)["orders_7d"] == 1


def test_what_comes_late_counts_while_it_is_in_the_window_and_is_passed_over_later() -> None:
    people = new(DAYS)
    people.fold(at(event("m0", user_id="ada"), 10), (0, 0))
    people.fold(at(bought("m1", 3, user_id="ada"), 2, 11), (0, 1))
    assert values(people) == {"orders": 1, "orders_7d": 0, "spent_2d": 0, "skus_today": []}
    people.fold(at(bought("m2", 3, user_id="ada"), 5, 11), (0, 2))
    assert (values(people)["orders_7d"], only(people).due) == (1, day(12) + MINUTE)


def test_time_goes_on_for_a_profile_that_is_told_nothing() -> None:
    assert profiles.advance(Profile(b"1" * 16), day(5), DAYS) == []


# What does not matter.


@LAWS
@given(day_logs(), DICE, st.data())
def test_who_looks_when_and_the_order_of_events_do_not_matter(log: list[Event], dice: Random, data: DataObject) -> None:
    now = data.draw(instants(log))
    expected = told(settled(run(log), now))
    assert told(settled(run(log, looks=dice, kept=0.3), now)) == expected
    assert told(settled(run(dice.sample(log, len(log)), looks=dice), now)) == expected
    again = dice.sample([*log, *log], 2 * len(log))
    assert told(settled(run(again), now)) == expected


@LAWS
@given(day_logs(), DICE, st.data())
def test_what_is_told_is_told_once_and_says_the_same_whoever_looked(
    log: list[Event], dice: Random, data: DataObject
) -> None:
    now = data.draw(instants(log))

    def changes_of(looks: Random | None) -> list[tuple[str, str, str, int]]:
        people, found = new(DAYS), list[Change]()
        for offset, one in enumerate(log):
            if looks is not None:
                # Nobody looks ahead of the log.
                found += settle(people, one.received_at - looks.randrange(3 * spans.DAY))
            found += people.fold(one, (0, offset)).changes
        found += settle(people, now)
        moved = [one for one in found if one.kind != changes.MERGED]
        return sorted((one.kind, one.name, one.event, one.number) for one in moved)

    expected = changes_of(None)
    assert changes_of(dice) == expected
    assert changes_of(dice) == expected


@LAWS
@given(day_logs(), st.data())
def test_the_past_is_as_it_was_when_time_had_come_to_it(log: list[Event], data: DataObject) -> None:
    people, decisions, kept = new(DAYS), [], []
    for offset, one in enumerate(log):
        folded = people.fold(one, (0, offset))
        decisions += [folded.decision] if folded.decision is not None else []
        assert folded.profile is not None
        kept.append(PastEvent(offset + 1, folded.profile.id, 0, offset, one))
    then = data.draw(st.integers(0, 80).map(lambda eighths: day(eighths / 4)))

    past = PastPeople(then, decisions, DAYS)
    for event_of_then in kept:
        past.tell(event_of_then)
    past.settle()

    assert told(past) == told(settled(run([one for one in log if one.received_at <= then]), then))


def test_an_unmerged_profile_is_as_if_it_had_been_alone_all_the_time() -> None:
    log = [
        at(bought("m1", 20, user_id="ada", anonymous_id="phone"), 0),
        at(bought("m2", 3, user_id="bob"), 5),
        at(event("m3", user_id="ada", anonymous_id="tablet"), 6),
        at(event("m4", user_id="bob", anonymous_id="tablet"), 7),
    ]
    people, decisions, kept = new(DAYS), [], []
    for offset, one in enumerate(log):
        folded = people.fold(one, (0, offset))
        decisions += [folded.decision] if folded.decision is not None else []
        assert folded.profile is not None
        kept.append(PastEvent(offset + 1, folded.profile.id, 0, offset, one))
    assert len(people.profiles) == 1
    ends, now = edge_key("user_id:bob", "anonymous_id:tablet"), day(9)
    settle(people, now)

    without = rerun(people, ends, kept)
    decision = undo(people, ends, Stamp(now, "console", "r1"), decisions, without)
    people.carry_out(decision)
    moved, _ = tell_anew(people, decision, without)

    alone = [log[:1] + log[2:3], log[1:2]]
    for names, theirs in ((["user_id:ada"], alone[0]), (["user_id:bob"], alone[1])):
        apart = people.profiles[people.owners[names[0]]]
        expected = only(settled(run(theirs), now))
        assert profiles.computed_traits(apart, DAYS) == profiles.computed_traits(expected, DAYS)
        assert (members(apart), apart.due) == (members(expected), expected.due)
    assert all(change.event == "r1" for change in moved)


# What is kept.


def test_when_it_is_due_is_told_while_it_rests_and_comes_back() -> None:
    people = new(DAYS)
    people.fold(at(bought("m1", 20, user_id="ada"), 0.5), (0, 0))
    settle(people, day(1))
    ada = only(people)
    due, turned_at = ada.due, ada.turned_at
    back = profiles.unpack(profiles.pack(ada, DAYS), DAYS)
    assert (back, back.due, back.turned_at) == (ada, due, turned_at)

    ada.kept(ada.packed_known())
    ada.rest(DAYS)
    assert ada.due == due
    assert ada.rests, "to ask when it is due wakes nobody"
    assert settle(people, day(40)) == profiles.advance(back, day(40), DAYS)


def test_a_state_from_before_time_could_change_it_is_read() -> None:
    people = new()
    people.fold(bought("m1", user_id="ada"), (0, 0))
    known, state = profiles.parts(profiles.pack(only(people), people.definitions))
    former = msgspec.msgpack.decode(state)[: packing.State.__struct_fields__.index("turned_at")]

    back = profiles.unpack(profiles.whole(known, msgspec.msgpack.encode(former)), people.definitions)

    assert (back, back.due, back.turned_at) == (only(people), NEVER, 0)


def test_a_window_whose_definition_is_gone_is_due_once_and_changes_nothing() -> None:
    people = new(DAYS)
    people.fold(at(bought("m1", user_id="ada"), 0), (0, 0))
    back = profiles.unpack(profiles.pack(only(people), DAYS), new().definitions)

    assert back.due < NEVER
    assert profiles.advance(back, day(50), new().definitions) == []
    assert back.due == NEVER
