"""Sharing: what too many share is set aside; what is unique is taken; and the policies that go by a name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from obverse.core import profiles
from obverse.core.definitions import Definitions, define
from obverse.core.identity import PRESETS, Limit, SetAside
from obverse.core.people import People
from obverse.core.profiles.merging import MOST_REFUSED
from people_steps import DEFINITIONS, NOW, event, fold, new
from resolution_steps import of, refused, rules, seen

DAY = 24 * 3600


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
