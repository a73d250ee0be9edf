"""Resolution: within its limits a profile takes what is shown with it; beyond, the weakest identifier is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_event

from obverse.contracts.lattice import LAWS
from obverse.core import profiles
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event
from obverse.core.identity import PRESETS, REFUSED, Edge, IdentityRules, Limit, SetAside
from obverse.core.people import People
from obverse.core.profiles.merging import MOST_REFUSED
from people_steps import DEFINITIONS, NOW, bought, event, fold, new, only, told

DAY = 24 * 3600
LIMITED = replace(DEFINITIONS, identity=IdentityRules())
"""One user id, five addresses a year, five devices a week."""


def rules(**said: Any) -> Definitions:
    return define(identity=IdentityRules(**said))


def of(people: People, identifier: str) -> set[str]:
    """Return all identifiers of whoever has this one."""
    return set(people.profiles[people.owners[identifier]].identifiers)


def seen(email: str | None = None, **ids: Any) -> dict[str, Any]:
    return {**ids, **({"context": b'{"traits":{"email":"%b"}}' % email.encode()} if email else {})}


def refused(people: People, identifier: str) -> set[tuple[str, str, str]]:
    graph = profiles.identity_graph(people.profiles[people.owners[identifier]])
    return {(edge["a"], edge["b"], edge["rule"]) for edge in graph["refused"]}


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


def kiosk(people: People, number: int) -> Any:
    (decision,) = fold(people, event(f"m{number}", at=number, user_id=f"u-{number}", anonymous_id="kiosk"))
    return decision


def test_what_too_many_share_is_set_aside_and_ties_nothing_more() -> None:
    people = new(rules(shared=4))
    decisions = [kiosk(people, number) for number in range(8)]

    assert [one.set_aside for one in decisions] == [
        *[()] * 4,
        (SetAside("anonymous_id:kiosk", 5, "m4", NOW + 4_000_000),),
        *[()] * 3,
    ]
    assert "anonymous_id:kiosk" not in people.owners
    assert all(of(people, f"user_id:u-{number}") == {f"user_id:u-{number}"} for number in range(8))
    # Who had it first tells why it is gone; what comes after is as if it had not been shown.
    assert ("anonymous_id:kiosk", "user_id:u-0", "shared") in refused(people, "user_id:u-0")
    assert refused(people, "user_id:u-7") == set()
    fold(people, event("m9", at=9, user_id="u-7", anonymous_id="kiosk"))
    assert people.profiles[people.owners["user_id:u-7"]].events == 2
    assert people.shown(event("m10", anonymous_id="kiosk")) == ()

    recalled = new(rules(shared=4))
    for decision in decisions:
        recalled.carry_out(decision)
    assert (recalled.owners, recalled.set_aside) == (people.owners, people.set_aside)


def test_an_address_that_is_the_strongest_of_many_events_is_set_aside() -> None:
    people = new(rules(shared=3, limits={"anonymous_id": Limit(2, 7 * DAY)}))
    for number in range(6):
        fold(people, event(f"m{number}", at=number, **seen("test@example.com", anonymous_id=f"a-{number}")))
    assert list(people.set_aside) == ["email:test@example.com"]
    # From then on each device is somebody of its own.
    assert of(people, "anonymous_id:a-5") == {"anonymous_id:a-5"}
    assert of(people, "anonymous_id:a-0") == {"anonymous_id:a-0", "anonymous_id:a-1"}


def test_what_was_refused_long_ago_does_not_count_where_the_limit_slides() -> None:
    people = new(rules(shared=3, limits={"anonymous_id": Limit(1, 7 * DAY)}))
    for week in range(12):
        at = week * 8 * DAY
        fold(people, event(f"kept {week}", at=at, **seen("ada@example.com", anonymous_id=f"a-{week}")))
        fold(people, event(f"over {week}", at=at + 1, **seen("ada@example.com", anonymous_id=f"b-{week}")))
    assert not people.set_aside
    assert len(of(people, "email:ada@example.com")) == 13


def test_a_user_id_is_never_set_aside_and_remembers_the_latest_refusals() -> None:
    people = new(rules(shared=2, limits={"anonymous_id": Limit(1)}))
    for number in range(3 * MOST_REFUSED):
        fold(people, event(f"m{number}", at=number, user_id="robot", anonymous_id=f"a-{number}"))
    assert not people.set_aside
    assert len(refused(people, "user_id:robot")) == MOST_REFUSED
    assert ("anonymous_id:a-299", "user_id:robot", "anonymous_id") in refused(people, "user_id:robot")


def test_nothing_is_set_aside_where_the_workspace_says_so() -> None:
    people = new(rules(shared=None))
    assert not any(kiosk(people, number).set_aside for number in range(50))
    assert of(people, "anonymous_id:kiosk") == {"user_id:u-0", "anonymous_id:kiosk"}


def preset(name: str, **said: Any) -> Definitions:
    return define(identity=replace(PRESETS[name], **said))


def test_a_unique_identifier_takes_what_it_is_shown_with() -> None:
    """Snowplow's: a new id takes the event's identifiers, the shared device too; the older one stays."""
    people = new(preset("unique_user_id"))
    decisions = fold(
        people,
        event("m1", anonymous_id="tablet"),
        event("m2", at=1, user_id="ada", anonymous_id="tablet"),
        event("m3", at=2, **seen("bob@example.com", user_id="bob", anonymous_id="tablet")),
        event("m4", at=3, anonymous_id="tablet"),
    )
    assert [one is not None and one.kind for one in decisions] == ["create", "link", "create", False]
    assert of(people, "user_id:ada") == {"user_id:ada"}
    assert of(people, "user_id:bob") == {"user_id:bob", "email:bob@example.com", "anonymous_id:tablet"}
    assert people.profiles[people.owners["user_id:bob"]].events == 2
    assert ("anonymous_id:tablet", "user_id:ada", "taken") in refused(people, "user_id:ada")

    # It goes back with whoever is seen last; an event from before the taking does not.
    fold(people, event("late", at=1, received=5, user_id="ada", anonymous_id="tablet"))
    assert of(people, "user_id:ada") == {"user_id:ada"}
    fold(people, event("m5", at=6, user_id="ada", anonymous_id="tablet"))
    assert of(people, "user_id:ada") == {"user_id:ada", "anonymous_id:tablet"}
    assert of(people, "user_id:bob") == {"user_id:bob", "email:bob@example.com"}
    for profile in people.profiles.values():
        assert profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS) == profile


def test_profiles_without_another_unique_identifier_merge_as_ever() -> None:
    people = new(preset("unique_user_id"))
    fold(
        people,
        event("m1", user_id="ada", anonymous_id="a-1"),
        event("m2", at=1, anonymous_id="a-2"),
        event("m3", at=2, type_="alias", user_id="ada", previous_id="a-2"),
    )
    assert len(people.profiles) == 1


def test_what_many_take_from_each_other_is_set_aside_too() -> None:
    people = new(preset("unique_user_id", shared=4))
    for number in range(8):
        kiosk(people, number)
    assert list(people.set_aside) == ["anonymous_id:kiosk"]
    assert of(people, "user_id:u-3") == {"user_id:u-3"}
    assert of(people, "user_id:u-7") == {"user_id:u-7"}


def test_two_who_take_turns_keep_doing_so() -> None:
    people = new(preset("unique_user_id", shared=4))
    for turn in range(20):
        fold(people, event(f"m{turn}", at=turn, user_id="ada" if turn % 2 else "bob", anonymous_id="tablet"))
    assert not people.set_aside
    assert of(people, "anonymous_id:tablet") == {"user_id:ada", "anonymous_id:tablet"}


def test_a_profile_that_is_converted_gains_identifiers_and_merges_with_none() -> None:
    people = new(preset("profile_conversion"))
    fold(people, event("m1", anonymous_id="a-1"), event("m2", at=1, user_id="ada", anonymous_id="a-1"))
    assert of(people, "anonymous_id:a-1") == {"user_id:ada", "anonymous_id:a-1"}
    # A known id on another device: its events are hers, and the device's own past stays where it was.
    fold(people, event("m3", at=2, anonymous_id="a-2"), event("m4", at=3, user_id="ada", anonymous_id="a-2"))
    assert of(people, "anonymous_id:a-2") == {"anonymous_id:a-2"}
    assert refused(people, "user_id:ada") == {("anonymous_id:a-2", "user_id:ada", "merges")}
    assert people.profiles[people.owners["user_id:ada"]].events == 3


def test_isolated_profiles_are_of_a_device_or_of_a_person() -> None:
    people = new(preset("profile_isolation"))
    fold(
        people,
        event("m1", anonymous_id="a-1"),
        event("m2", at=1, **seen("ada@example.com", user_id="ada", anonymous_id="a-1")),
    )
    assert of(people, "user_id:ada") == {"user_id:ada", "email:ada@example.com"}
    assert of(people, "anonymous_id:a-1") == {"anonymous_id:a-1"}
    assert refused(people, "user_id:ada") == {("anonymous_id:a-1", "user_id:ada", "isolation")}


def test_every_preset_keeps_one_owner_for_each_identifier() -> None:
    """Whatever the rules: each identifier in one profile, which has it; each event in one; nothing decided anew."""
    log = [
        event(f"m{n}", at=n, **seen(f"e{n % 5}@example.com" if n % 3 else None, user_id=f"u{n % 4}" if n % 2 else None,
                                    anonymous_id=f"a{n % 7}"))
        for n in range(200)
    ]  # fmt: skip
    for name in PRESETS:
        people = new(preset(name, shared=3))
        decisions = fold(people, *log)
        owned = [(one, profile.id) for profile in people.profiles.values() for one in profile.identifiers]
        assert dict(owned) == people.owners, name
        assert len(owned) == len(people.owners), name
        assert not people.owners.keys() & people.set_aside.keys(), name
        recalled = new(preset(name, shared=3))
        for decision in decisions:
            if decision is not None:
                recalled.carry_out(decision)
        assert (recalled.owners, recalled.set_aside) == (people.owners, people.set_aside), name
