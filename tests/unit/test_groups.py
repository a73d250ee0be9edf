"""Groups: what a group call tells of an account, and who is a member of it since when."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from obverse.core import groups, profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event
from obverse.core.groups import Group
from obverse.core.history import PastEvent, PastPeople
from obverse.core.identity import Decision, IdentityRules
from obverse.core.people import People
from obverse.core.profiles import Profile, Sighting
from obverse.core.profiles.merging import MOST_GROUPS
from obverse.core.traits.numbers import Count
from obverse.core.unmerging import rerun, tell_anew, undo
from people_steps import DEFINITIONS, NOW, SECOND, event, fold, new, only, trait


def call(message_id: str, group: str | None = "acme", **fields: Any) -> Event:
    """Return a group call; its traits are `properties`."""
    return event(message_id, type_="group", group_id=group, **fields)


def values(group: Group) -> dict[str, bytes]:
    return {name: written[0].value for name, written in group.attributes.items()}


def test_a_group_call_tells_of_the_group_and_makes_its_person_a_member() -> None:
    people = new()
    fold(people, call("m1", user_id="ada", at=3, properties={"name": "Acme", "plan": "free"}))
    fold(people, call("m2", user_id="ada", at=5, properties={"plan": "pro"}))

    assert only(people).groups == {"acme": Sighting(NOW + 3 * SECOND, "m1")}
    assert only(people).attributes == {}, "traits of a group call are of the account"
    acme = people.groups["acme"]
    assert values(acme) == {"name": b'"Acme"', "plan": b'"pro"'}
    assert [(one.stamp.message_id, one.value) for one in acme.attributes["plan"]] == [
        ("m2", b'"pro"'),
        ("m1", b'"free"'),
    ]
    assert acme.first == Stamp(NOW + 3 * SECOND, "web", "m1")
    assert acme.changed_at == NOW + 5 * SECOND


def test_what_became_of_an_event_names_the_group_that_it_moved() -> None:
    people = new()
    told = [
        people.fold(one, (0, offset)).group
        for offset, one in enumerate(
            [
                call("m1", user_id="ada"),
                call("m1", user_id="ada"),
                event("m2", user_id="ada", group_id="acme"),
                event("m3", type_="identify", user_id="ada"),
                call("m4", " acme ", user_id="bob"),
            ]
        )
    ]

    assert told == ["acme", None, None, None, "acme"]
    assert people.groups.keys() == {"acme"}


@pytest.mark.parametrize("sent", ["", "  ", "null", " Anonymous ", "0000-0000", "a\0b", "x" * 401, "shared", None])
def test_what_names_no_group_is_none(sent: str | None) -> None:
    people = new(replace(DEFINITIONS, identity=IdentityRules(blocked=frozenset({"shared"}))))
    folded = people.fold(call("m1", sent, user_id="ada", properties={"plan": "pro"}), (0, 0))

    assert folded.group is None
    assert (folded.repeated, only(people).events) == (False, 1), "the event counts all the same"
    assert (people.groups, only(people).groups) == ({}, {})


def test_traits_of_group_calls_move_beside() -> None:
    calls = replace(trait("calls", Count()), type="group", event=None)
    people = new(define(traits=[calls]))
    fold(people, call("m1", user_id="ada"))

    assert profiles.computed_traits(only(people), people.definitions) == {"calls": 1}
    assert only(people).groups.keys() == {"acme"}


@pytest.mark.parametrize("definitions", [Definitions(), define(), DEFINITIONS])
def test_an_identify_tells_the_person_under_any_definitions(definitions: Definitions) -> None:
    people = new(definitions)
    fold(people, event("m1", type_="identify", user_id="ada", properties={"plan": "pro"}))

    assert only(people).attributes["plan"][0].value == b'"pro"'


def test_any_order_gives_the_same_members_and_groups() -> None:
    story = [
        call("m1", user_id="ada", properties={"plan": "free"}),
        call("m2", at=1, anonymous_id="a-1", properties={"plan": "pro"}),
        event("m3", at=2, type_="identify", user_id="ada", anonymous_id="a-1"),
        call("m4", "initech", at=3, anonymous_id="a-1", properties={"seats": 2}),
    ]
    outcomes = []
    for order in permutations(story):
        people = new()
        fold(people, *order)
        outcomes.append((profiles.state_of(only(people), DEFINITIONS), people.groups))

    assert outcomes[0][0]["groups"] == {
        "acme": Sighting(NOW, "m1"),
        "initech": Sighting(NOW + 3 * SECOND, "m4"),
    }
    assert all(one == outcomes[0] for one in outcomes)


def test_of_too_many_groups_the_earliest_stay_in_whatever_order() -> None:
    since = [(f"g{number}", Sighting(number, "m")) for number in range(MOST_GROUPS + 3)]
    one, other = Profile(b"1" * 16), Profile(b"2" * 16)
    for group, sighting in since[::2]:
        profiles.join(one, group, sighting)
    for group, sighting in reversed(since):
        profiles.join(other, group, sighting)

    assert other.groups == profiles.merge(one, other, DEFINITIONS).groups == dict(since[:MOST_GROUPS])


def test_membership_is_packed_with_what_is_known_and_rests_with_it() -> None:
    people = new()
    fold(people, call("m1", user_id="ada"))
    ada = only(people)
    assert ada.known_moved
    ada.kept(ada.packed_known())
    fold(people, call("m2", user_id="ada", at=5))
    assert not ada.known_moved, "a later call says nothing new of the person"
    ada.rest(DEFINITIONS)

    assert profiles.unpack(profiles.pack(ada, DEFINITIONS), DEFINITIONS).groups == {"acme": Sighting(NOW, "m1")}
    assert ada.groups == {"acme": Sighting(NOW, "m1")}


def test_what_was_packed_before_there_were_groups_is_read() -> None:
    from msgspec import msgpack  # noqa: PLC0415 - of this test alone

    people = new()
    fold(people, event("m1", type_="identify", user_id="ada", properties={"plan": "pro"}))
    before = msgpack.encode(msgpack.decode(only(people).packed_known())[:-1])
    read = Profile.of(before, only(people).packed_state(DEFINITIONS), DEFINITIONS)

    assert read.groups == {}
    assert read == only(people)


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x95\x02\xa4acme\x80\xc0\x00", groups.pack(Group("acme"))[:-1]])
def test_what_is_no_packed_group_is_said_to_be_none(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes are no packed group|group format 2 is not known"):
        groups.unpack(damaged)


def _past(people: People, story: list[Event]) -> tuple[list[Decision], list[PastEvent]]:
    """Fold a story; return what was decided, and the events with whom they were folded into."""
    decided, past = [], []
    for offset, one in enumerate(story):
        folded = people.fold(one, (0, offset))
        assert folded.profile is not None
        decided += [folded.decision] if folded.decision else []
        past.append(PastEvent(offset + 1, folded.profile.id, 0, offset, one))
    return decided, past


MISTAKE = [
    call("m1", user_id="ada", anonymous_id="phone"),
    call("m2", "initech", at=1, user_id="bob"),
    event("m3", at=2, user_id="ada", anonymous_id="tablet"),
    event("m4", at=3, user_id="bob", anonymous_id="tablet"),
    call("m5", "hooli", at=4, anonymous_id="tablet"),
    call("m6", "acme", at=5, user_id="bob"),
]
"""Ada's tablet is taken for Bob's."""


def test_whoever_is_unmerged_is_a_member_of_what_their_own_events_say() -> None:
    people = new()
    decided, past = _past(people, MISTAKE)
    assert only(people).groups.keys() == {"acme", "initech", "hooli"}
    ends = ("user_id:bob", "anonymous_id:tablet")
    without = rerun(people, ends, past)
    decision = undo(people, ends, Stamp(NOW + 9 * SECOND, "eve", "r1"), decided, without)
    people.carry_out(decision)
    tell_anew(people, decision, without)

    of = {name: people.profiles[people.owners[f"user_id:{name}"]].groups for name in ("ada", "bob")}
    assert of == {
        "ada": {"acme": Sighting(NOW, "m1"), "hooli": Sighting(NOW + 4 * SECOND, "m5")},
        "bob": {"initech": Sighting(NOW + SECOND, "m2"), "acme": Sighting(NOW + 5 * SECOND, "m6")},
    }


def test_the_past_tells_the_groups_of_then() -> None:
    people = new()
    decided, past = _past(people, MISTAKE)
    was = PastPeople(NOW + 3 * SECOND, decided, DEFINITIONS)
    for one in past:
        was.tell(one)
    ada = was.find("user_id:ada")

    assert ada is not None
    assert ada.groups == {"acme": Sighting(NOW, "m1"), "initech": Sighting(NOW + SECOND, "m2")}
