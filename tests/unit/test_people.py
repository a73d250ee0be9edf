"""People: who is who is decided once, and written down."""

from __future__ import annotations

from typing import Any

import msgspec

from obverse.core import profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import define
from obverse.core.identity import Decision, Edge, IdentityRules, profile_id
from obverse.core.people import People
from obverse.core.profiles import Sighting
from people_steps import DEFINITIONS, NOW, SECOND, bought, event, fold, new, only, story, told, values

# What is decided.


def test_an_unknown_identifier_makes_a_profile() -> None:
    people = new()
    (decision,) = fold(people, event("m1", user_id="ada", anonymous_id="a-1"))
    assert decision == Decision(
        kind="create",
        profile=profile_id("main", "user_id:ada"),
        absorbed=(),
        identifiers=("user_id:ada", "anonymous_id:a-1"),
        edges=(Edge("anonymous_id:a-1", "user_id:ada", "m1", "seen_together", NOW),),
        event="m1",
        stamp=Stamp(NOW, "web", "m1"),
        received_at=NOW,
    )
    assert only(people).id == profile_id("main", "user_id:ada")


def test_a_new_identifier_on_a_known_profile_links() -> None:
    people = new()
    _, decision = fold(people, event("m1", anonymous_id="a-1"), event("m2", at=3, user_id="ada", anonymous_id="a-1"))
    assert decision is not None
    assert (decision.kind, decision.absorbed, decision.identifiers) == ("link", (), ("user_id:ada",))
    assert decision.profile == profile_id("main", "anonymous_id:a-1")
    assert decision.edges == (Edge("anonymous_id:a-1", "user_id:ada", "m2", "seen_together", NOW + 3 * SECOND),)


def test_two_known_profiles_merge() -> None:
    people = new()
    *_, decision = fold(
        people,
        event("m1", anonymous_id="a-1"),
        event("m2", at=1, user_id="ada"),
        event("m3", at=2, user_id="ada", anonymous_id="a-1"),
    )
    survivor, absorbed = profile_id("main", "anonymous_id:a-1"), profile_id("main", "user_id:ada")
    assert decision is not None
    assert (decision.kind, decision.profile, decision.absorbed) == ("merge", survivor, (absorbed,))
    assert decision.identifiers == ()
    assert people.absorbed == {absorbed: survivor}
    assert set(people.owners.values()) == {only(people).id} == {survivor}


def test_three_profiles_merge_at_once_with_a_new_identifier() -> None:
    people = new()
    *_, decision = fold(
        people,
        event("m1", anonymous_id="a-1"),
        event("m2", at=1, user_id="ada"),
        event("m3", at=2, anonymous_id="a-2"),
        event("m4", at=3, type_="alias", user_id="ada", anonymous_id="a-1", previous_id="a-2"),
    )
    assert decision is not None
    assert len(decision.absorbed) == 2
    assert {edge.event for edge in decision.edges} == {"m4"}
    assert {(edge.a, edge.b) for edge in decision.edges} == {
        ("anonymous_id:a-1", "user_id:ada"),
        ("anonymous_id:a-2", "user_id:ada"),
    }
    assert only(people).events == 4


def test_nothing_new_is_no_decision() -> None:
    people = new()
    pair: dict[str, Any] = {"user_id": "ada", "anonymous_id": "a-1"}
    assert [
        one is None
        for one in fold(
            people,
            event("m1", **pair),
            event("m2", **pair),
            event("m3", user_id="ada"),
            event("m4", anonymous_id="a-1"),
        )
    ] == [False, True, True, True]


def test_a_new_pair_of_known_identifiers_is_evidence() -> None:
    people = new()
    *_, decision = fold(
        people,
        event("m1", user_id="ada", anonymous_id="a-1"),
        event("m2", anonymous_id="a-1", context=b'{"traits":{"email":"ada@example.com"}}'),
        event("m3", at=9, user_id="ada", context=b'{"traits":{"email":"ada@example.com"}}'),
    )
    assert decision is not None
    assert (decision.kind, decision.identifiers) == ("link", ())
    assert [(edge.a, edge.b, edge.event) for edge in decision.edges] == [("email:ada@example.com", "user_id:ada", "m3")]


def test_the_profile_with_the_earlier_first_event_survives_whoever_arrived_first() -> None:
    for times, survivor in (((5, 3), "user_id:ada"), ((3, 5), "anonymous_id:a-1")):
        people = new()
        fold(
            people,
            event("m1", at=times[0], received=9, anonymous_id="a-1"),
            event("m2", at=times[1], received=10, user_id="ada"),
            event("m3", at=20, user_id="ada", anonymous_id="a-1"),
        )
        assert only(people).id == profile_id("main", survivor)


def test_an_earlier_event_that_arrives_late_makes_its_profile_the_survivor() -> None:
    people = new()
    fold(
        people,
        event("m1", at=5, anonymous_id="a-1"),
        event("m2", at=6, user_id="ada"),
        event("m3", at=1, received=7, user_id="ada"),
        event("m4", at=8, user_id="ada", anonymous_id="a-1"),
    )
    assert only(people).id == profile_id("main", "user_id:ada")


def test_of_equal_first_events_the_smaller_id_survives() -> None:
    ids = sorted(profile_id("main", one) for one in ("anonymous_id:a-1", "user_id:ada"))
    for order in (("m1", "m2"), ("m2", "m1")):
        people = new()
        one, other = event(order[0], anonymous_id="a-1"), event(order[1], user_id="ada")
        fold(people, one, other, event("m3", at=1, user_id="ada", anonymous_id="a-1"))
        assert only(people).id == ids[0]


def test_late_events_of_an_absorbed_profile_find_their_way() -> None:
    people = new()
    fold(
        people,
        bought("m1", user_id="ada"),
        bought("m2", at=1, anonymous_id="a-1"),
        event("m3", at=2, user_id="ada", anonymous_id="a-1"),
        bought("m4", at=1, received=9, anonymous_id="a-1"),
    )
    assert values(people)["orders"] == 3
    assert only(people).sightings["anonymous_id:a-1"] == Sighting(NOW + SECOND, "m2")
    assert only(people).identifiers["anonymous_id:a-1"] == NOW + 2 * SECOND


def test_an_event_that_identifies_nobody_belongs_to_nobody() -> None:
    people = People("main", define(identity=IdentityRules(blocked=frozenset({"demo"}))))
    folded = people.fold(event("m1", user_id="null", anonymous_id="demo"), (0, 0))
    assert (folded.profile, folded.decision, people.profiles) == (None, None, {})
    rejected = People.unidentified(event("m1", user_id="null"), 3, 17)
    assert (rejected.code, rejected.field, rejected.message_id) == ("no_usable_identifier", "$.userId", "m1")
    assert "partition 3, offset 17" in rejected.reason
    assert msgspec.json.decode(rejected.body)["userId"] == "null"


# What was decided is carried out, once or twice.


def test_carrying_a_decision_out_again_changes_nothing() -> None:
    once, twice = new(), new()
    for offset, one in enumerate(story()):
        once.fold(one, (0, offset))
        decision = twice.fold(one, (0, offset)).decision
        if decision is not None:
            before = [profiles.pack(profile, DEFINITIONS) for profile in twice.profiles.values()]
            assert twice.carry_out(decision) == []
            assert [profiles.pack(profile, DEFINITIONS) for profile in twice.profiles.values()] == before
    assert (twice.owners, twice.absorbed) == (once.owners, once.absorbed)
    assert told(twice) == told(once)


def test_decisions_are_recalled_and_none_is_taken_anew() -> None:
    once, again = new(), new()
    decisions = [decision for decision in fold(once, *story()) if decision is not None]
    for _ in range(2):
        for decision in decisions:
            again.carry_out(decision)
    assert (again.owners, again.absorbed) == (once.owners, once.absorbed)
    assert fold(again, *story()) == [None] * len(story())
    assert told(again) == told(once)
    assert again.profiles.keys() == once.profiles.keys()
    assert only(again).edges == only(once).edges


def test_a_decision_never_makes_its_own_profile_vanish() -> None:
    people = new()
    fold(people, event("m1", user_id="ada"))
    ada = only(people)
    decision = Decision(
        kind="merge",
        profile=ada.id,
        absorbed=(ada.id,),
        identifiers=(),
        edges=(),
        event="m2",
        stamp=Stamp(NOW, "web", "m2"),
        received_at=NOW,
    )
    assert people.carry_out(decision) == []
    assert only(people) is ada


def test_a_profile_may_leave_and_come_back() -> None:
    people = new()
    fold(people, *story()[:3])
    bob = people.profiles[people.owners["user_id:bob"]]
    people.release(bob)
    assert "user_id:bob" not in people.owners
    people.adopt(profiles.unpack(profiles.pack(bob, DEFINITIONS), DEFINITIONS))
    fold(people, *story()[3:])
    whole = new()
    fold(whole, *story())
    assert told(people) == told(whole)
