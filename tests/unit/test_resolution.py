"""Resolution: within its limits a profile takes what is shown with it; beyond, the weakest identifier is left out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_event

from obverse.contracts.lattice import LAWS
from obverse.core import profiles
from obverse.core.events import Event
from obverse.core.identity import REFUSED, Edge, IdentityRules, Limit
from people_steps import DEFINITIONS, NOW, bought, event, fold, new, only, told
from resolution_steps import of, refused, rules, seen

DAY = 24 * 3600
LIMITED = replace(DEFINITIONS, identity=IdentityRules())
"""One user id, five addresses a year, five devices a week."""


def test_segments_worked_example() -> None:
    people = new(LIMITED)
    *_, decision = fold(
        people,
        event("m1", **seen("jane@example.com", user_id="abc123")),
        event("m2", at=1, **seen("jane@example.com", user_id="abc456")),
    )
    assert decision is not None
    assert decision.kind == "create"
    assert of(people, "user_id:abc123") == {"user_id:abc123", "email:jane@example.com"}
    assert of(people, "user_id:abc456") == {"user_id:abc456"}
    assert refused(people, "user_id:abc456") == {("email:jane@example.com", "user_id:abc456", "user_id")}
    # Both sides tell of it.
    assert refused(people, "user_id:abc123") == refused(people, "user_id:abc456")


def test_who_shares_a_device_stays_apart_and_the_first_keeps_it() -> None:
    people = new(LIMITED)
    decisions = fold(
        people,
        bought("m1", 1, user_id="ada", anonymous_id="tablet"),
        bought("m2", 10, at=1, user_id="bob", anonymous_id="tablet"),
        bought("m3", 100, at=2, user_id="bob", anonymous_id="tablet"),
        bought("m4", 1000, at=3, anonymous_id="tablet"),
    )
    assert [one is not None and one.kind for one in decisions] == ["create", "create", False, False]
    spent = {
        name: profiles.computed_traits(people.profiles[people.owners[name]], DEFINITIONS)["spent"]
        for name in ("user_id:ada", "user_id:bob")
    }
    assert spent == {"user_id:ada": 1001, "user_id:bob": 110}


def test_two_known_people_do_not_merge_because_of_one_event() -> None:
    people = new(LIMITED)
    *_, decision = fold(
        people,
        event("m1", user_id="ada", anonymous_id="a-1"),
        event("m2", at=1, user_id="bob", anonymous_id="a-2"),
        event("m3", at=2, type_="alias", user_id="ada", previous_id="a-2"),
    )
    assert decision is not None
    assert (decision.kind, decision.absorbed, decision.identifiers) == ("refuse", (), ())
    assert len(people.profiles) == 2
    assert refused(people, "user_id:ada") == {("anonymous_id:a-2", "user_id:ada", "user_id")}


def test_the_weakest_goes_first_and_what_is_left_is_tried_again() -> None:
    people = new(LIMITED)
    fold(
        people,
        event("m1", user_id="bob", anonymous_id="tablet"),
        event("m2", at=1, **seen("ada@example.com", user_id="ada", anonymous_id="tablet")),
    )
    assert of(people, "user_id:ada") == {"user_id:ada", "email:ada@example.com"}
    assert of(people, "anonymous_id:tablet") == {"user_id:bob", "anonymous_id:tablet"}


def test_an_identifier_that_is_not_over_the_limit_goes_too_if_it_is_weaker() -> None:
    """As Segment does: it drops by strength, not by guilt."""
    people = new(LIMITED)
    fold(
        people,
        event("m1", **seen("ours@example.com", user_id="bob")),
        event("m2", at=1, **seen("ours@example.com", user_id="ada", anonymous_id="a-1")),
    )
    assert of(people, "user_id:ada") == {"user_id:ada"}
    assert "anonymous_id:a-1" not in people.owners
    assert refused(people, "user_id:ada") == {("email:ours@example.com", "user_id:ada", "user_id")}
    # It broke nothing, so nothing is held against it when it comes again.
    fold(people, event("m3", at=2, **seen("ours@example.com", user_id="ada", anonymous_id="a-1")))
    assert of(people, "user_id:ada") == {"user_id:ada", "anonymous_id:a-1"}


def test_a_retry_decides_nothing_that_the_event_itself_did_not() -> None:
    people = new(LIMITED)
    shared = event("m2", at=1, **seen("ours@example.com", user_id="ada", anonymous_id="a-1"))
    fold(people, event("m1", **seen("ours@example.com", user_id="bob")), shared)
    (again,) = fold(people, replace_event(shared, received_at=shared.received_at + 60_000_000))
    assert again is None
    assert of(people, "user_id:ada") == {"user_id:ada"}
    assert "anonymous_id:a-1" not in people.owners


def test_a_retry_shows_nothing_that_the_event_itself_did_not() -> None:
    limits = {"anonymous_id": Limit(1, within=2 * DAY)}
    log = [
        event("m1", user_id="ada", anonymous_id="a-1"),
        event("m2", at=DAY, user_id="ada", anonymous_id="a-2"),
        event("m3", at=4 * DAY, user_id="ada", anonymous_id="a-2"),
    ]
    once, twice = new(rules(limits=limits)), new(rules(limits=limits))
    fold(once, *log)
    fold(twice, *log, log[1])
    assert only(once).sightings["anonymous_id:a-2"] == (NOW + 4 * DAY * 1_000_000, "m3")
    assert told(twice) == told(once)


def test_folded_again_after_a_crash_an_event_leaves_out_what_it_left_out() -> None:
    log = [
        event("m1", **seen("ours@example.com", user_id="bob")),
        event("m2", at=1, **seen("ours@example.com", user_id="ada", anonymous_id="a-1")),
    ]
    people = new(LIMITED)
    decisions = fold(people, *log)
    again = new(LIMITED)
    for decision in decisions:
        assert decision is not None
        again.recall(decision)
    assert fold(again, *log) == [None, None]
    assert told(again) == told(people)
    assert again.owners == people.owners


def test_a_limit_within_a_time_slides() -> None:
    people = new(rules(limits={"anonymous_id": Limit(2, 7 * DAY)}))
    fold(people, *(event(f"m{day}", at=day * DAY, user_id="ada", anonymous_id=f"a-{day}") for day in range(4)))
    assert of(people, "user_id:ada") == {"user_id:ada", "anonymous_id:a-0", "anonymous_id:a-1"}
    # The same pair is asked about again once the limit's time is over.
    for day, taken in ((9, False), (10, True)):
        fold(people, event(f"again {day}", at=day * DAY, user_id="ada", anonymous_id="a-3"))
        assert ("anonymous_id:a-3" in of(people, "user_id:ada")) is taken, day
    assert refused(people, "user_id:ada") == {("anonymous_id:a-2", "user_id:ada", "anonymous_id")}


def test_a_limit_that_holds_for_ever_is_asked_about_once() -> None:
    people = new(rules(limits={"anonymous_id": Limit(1)}))
    decisions = fold(
        people,
        *(event(f"m{day}", at=day * 400 * DAY, user_id="ada", anonymous_id=f"a-{min(day, 1)}") for day in range(4)),
    )
    assert [one is not None and one.kind for one in decisions] == ["create", "refuse", False, False]


def test_a_profile_merges_and_grows_so_often_and_no_more() -> None:
    people = new(rules(limits={}, merges=2))
    for number in range(4):
        fold(people, event(f"alone {number}", at=number, anonymous_id=f"a-{number}"))
    fold(people, *(event(f"m{number}", at=9, user_id="ada", anonymous_id=f"a-{number}") for number in range(4)))
    assert of(people, "user_id:ada") == {"user_id:ada", "anonymous_id:a-0", "anonymous_id:a-1", "anonymous_id:a-2"}
    assert people.profiles[people.owners["user_id:ada"]].merges == 2
    assert refused(people, "user_id:ada") == {("anonymous_id:a-3", "user_id:ada", "merges")}

    people = new(rules(limits={}, identifiers=3))
    fold(people, *(event(f"m{number}", user_id="ada", anonymous_id=f"a-{number}") for number in range(4)))
    assert len(only(people).identifiers) == 3
    assert {rule for *_, rule in refused(people, "user_id:ada")} == {"identifiers"}


def test_what_was_refused_is_kept_and_never_decided_anew() -> None:
    people = new(LIMITED)
    log = [event("m1", user_id="ada", anonymous_id="tablet"), event("m2", at=1, user_id="bob", anonymous_id="tablet")]
    decisions = [one for one in fold(people, *log) if one is not None]

    again = new(LIMITED)
    for decision in decisions:
        again.carry_out(decision)
    assert fold(again, *log) == [None, None]
    assert told(again) == told(people)
    for profile in people.profiles.values():
        back = profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS)
        assert back == profile


def test_evidence_that_ties_stays_where_the_same_pair_was_refused() -> None:
    tied, refused_ = (
        profiles.Profile(bytes(16)),
        profiles.Profile(bytes(16)),
    )
    good = Edge("a", "b", "m2", "seen_together", 9)
    bad = Edge("a", "b", "m1", REFUSED + "user_id", 1)
    for one, first, then in ((tied, good, bad), (refused_, bad, good)):
        profiles.tie(one, ("a", "b"), first)
        profiles.tie(one, ("a", "b"), then)
        assert one.edges == {("a", "b"): good}


IDS = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(["u1", "u2", "u3"]),
        "anonymous_id": st.sampled_from(["a1", "a2", "a3", "a4"]),
        "email": st.sampled_from(["e1@example.com", "e2@example.com"]),
    },
)


@LAWS
@given(st.lists(IDS, max_size=25), st.integers(1, 3), st.integers(1, 4))
def test_no_limit_is_exceeded_and_every_event_is_in_exactly_one_profile(
    shown: list[dict[str, str]], most_users: int, most_devices: int
) -> None:
    limits = {"user_id": Limit(most_users), "email": Limit(1), "anonymous_id": Limit(most_devices)}
    people = new(rules(limits=limits, merges=2, identifiers=5))
    log: list[Event] = [
        event(f"m{place}", at=place, **seen(ids.get("email"), **{k: v for k, v in ids.items() if k != "email"}))
        for place, ids in enumerate(shown)
        if ids
    ]
    decisions = fold(people, *log)

    owned: dict[str, bytes] = {}
    for profile in people.profiles.values():
        for kind, limit in limits.items():
            assert sum(one.startswith(kind + ":") for one in profile.identifiers) <= limit.values
        assert len(profile.identifiers) <= 5
        assert profile.merges <= 2
        owned |= dict.fromkeys(profile.identifiers, profile.id)
        # Who is tied is one piece: each identifier hangs by evidence on the others.
        ties = [set(ends) for ends, edge in profile.edges.items() if not edge.refused]
        assert all(ends <= profile.identifiers.keys() for ends in ties)
    assert owned == people.owners
    assert sum(profile.events for profile in people.profiles.values()) == len(log)

    # The same log gives the same, and what was decided says all of it.
    again = new(rules(limits=limits, merges=2, identifiers=5))
    assert fold(again, *log) == decisions
    recalled = new(rules(limits=limits, merges=2, identifiers=5))
    for decision in decisions:
        if decision is not None:
            recalled.carry_out(decision)
    assert recalled.owners == people.owners


def test_a_late_event_is_held_against_what_was_shown_after_it_too() -> None:
    people = new(rules(limits={"anonymous_id": Limit(1, DAY)}))
    fold(people, event("m1", at=2 * DAY, user_id="ada", anonymous_id="a-1"))
    (decision,) = fold(people, event("m2", at=0, received=2 * DAY, user_id="ada", anonymous_id="a-2"))
    assert decision is not None
    assert decision.stamp.time == NOW
    assert decision.kind == "refuse"
