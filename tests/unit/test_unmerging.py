"""Unmerging: afterwards everything is as in a run in which the edge never was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.core import changes, profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import IdentityRules, Limit, edge_key
from obverse.core.people import People
from obverse.core.unmerging import NothingToTie, NothingToUndo, accept
from people_logs import logs
from people_steps import DEFINITIONS, bought, event, members
from unmerging_steps import LATER, Lived, apart, told

FAMILY = (
    bought("m1", 7, user_id="ada", anonymous_id="a-1"),
    event("m2", at=1, type_="identify", properties={"plan": "pro", "name": "Bob"}, user_id="bob"),
    bought("m3", 20, at=2, sku="B", user_id="bob"),
    # The mistake: Bob's id with Ada's device.
    event("m4", at=3, type_="alias", user_id="bob", previous_id="a-1"),
    bought("m5", 1, at=4, user_id="ada"),
    bought("m6", 2, at=5, user_id="bob", anonymous_id="a-1"),
    bought("m7", 3, at=6, anonymous_id="a-1"),
)
WRONG = ("user_id:bob", "anonymous_id:a-1")


def test_both_are_as_if_the_edge_had_never_been() -> None:
    lived = Lived(FAMILY)
    assert len(lived.people.profiles) == 1
    decision, moved, of = lived.undo(*WRONG)

    assert told(lived.people) == told(apart(FAMILY, WRONG))
    ada, bob = (lived.people.profiles[lived.people.owners[one]] for one in ("user_id:ada", "user_id:bob"))
    assert [profiles.value_of(one, "trait", "spent", DEFINITIONS) for one in (ada, bob)] == [11, 22]
    assert [profiles.value_of(one, "attribute", "plan", DEFINITIONS) for one in (ada, bob)] == [None, "pro"]
    # Whoever was merged away is who they were; only what was folded after the merge has to be told whose it is.
    assert (ada.id, bob.id) == (lived.decisions[0].profile, lived.decisions[1].profile)
    assert {past.event.message_id for past in lived.events if past.id in of} == {"m4", "m6"}
    assert {(one.profile, one.name) for one in moved if one.kind == changes.UNMERGED} == {
        (ada.id, bob.id.hex()),
        (bob.id, ada.id.hex()),
    }
    assert decision.kind == "unmerge"
    assert [one.rule for one in (ada.edges[edge_key(*WRONG)], bob.edges[edge_key(*WRONG)])] == ["refused:undone"] * 2


def test_it_stays_undone_whatever_comes_and_is_packed() -> None:
    lived = Lived(FAMILY)
    lived.undo(*WRONG)
    more = [
        bought("m8", 4, at=7, user_id="bob", anonymous_id="a-1"),
        bought("m9", 5, at=8, anonymous_id="a-1"),
        *(event(f"n{n}", at=9 + n, user_id="bob", anonymous_id=f"b-{n}") for n in range(3)),
    ]
    decided = len(lived.decisions)
    lived.fold(*more)
    assert [one.kind for one in lived.decisions[decided:]] == ["link"] * 3
    assert told(lived.people) == told(apart((*FAMILY, *more), WRONG))
    for profile in lived.people.profiles.values():
        assert profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS) == profile


def test_carried_out_anew_from_the_log_it_comes_to_the_same() -> None:
    lived = Lived(FAMILY)
    lived.undo(*WRONG)
    again = People("main", DEFINITIONS)
    for decision in lived.decisions:
        again.carry_out(decision)
    assert again.owners == lived.people.owners
    for past in lived.events:
        again.fold(past.event, (past.partition, past.offset))
    assert told(again) == told(lived.people)


def test_an_edge_that_is_not_alone_is_taken_back_and_they_stay_one() -> None:
    log = (*FAMILY, event("m8", at=7, type_="alias", user_id="ada", previous_id="b-1"),
           event("m9", at=8, user_id="bob", anonymous_id="b-1"))  # fmt: skip
    lived = Lived(log)
    decision, moved, of = lived.undo(*WRONG)
    assert (decision.parts, moved, of) == ((), [], {})
    assert len(lived.people.profiles) == 1
    # And with the other one, they part.
    lived.undo("user_id:bob", "anonymous_id:b-1")
    assert told(lived.people) == told(apart(log, WRONG, ("user_id:bob", "anonymous_id:b-1")))


def test_what_was_only_ever_shown_with_the_other_is_nobodys() -> None:
    log = [event("m1", user_id="ada", anonymous_id="a-1"), event("m2", at=1, user_id="ada", anonymous_id="a-2")]
    lived = Lived(log)
    decision, _, of = lived.undo("user_id:ada", "anonymous_id:a-2")
    assert decision.parts[0].profile is None
    assert "anonymous_id:a-2" not in lived.people.owners
    assert not of
    assert told(lived.people) == told(apart(log, ("user_id:ada", "anonymous_id:a-2")))
    # Alone, it is somebody; with Ada, it is not hers.
    more = [event("m3", at=2, anonymous_id="a-2"), event("m4", at=3, user_id="ada", anonymous_id="a-2")]
    lived.fold(*more)
    assert told(lived.people) == told(apart([*log, *more], ("user_id:ada", "anonymous_id:a-2")))


def test_who_was_in_an_audience_and_is_does_not_enter_it_again() -> None:
    lived = Lived(FAMILY)
    before = lived.people.profiles[lived.people.owners["user_id:ada"]].audiences["big"]
    _, moved, _ = lived.undo(*WRONG)
    ada, bob = (lived.people.profiles[lived.people.owners[one]] for one in ("user_id:ada", "user_id:bob"))
    assert ada.audiences["big"] == bob.audiences["big"] == before
    assert not [one for one in moved if one.name == "big"]
    # Ada has told no plan: she enters an audience in which she was not, with a number of its own.
    entered = [(one.profile, one.name, one.number) for one in moved if one.kind == changes.ENTERED]
    assert entered == [(ada.id, name, ada.audiences[name].number) for name in ("strangers", "not_pro")]
    assert members(ada) == {"buyers", "big", "priced", "strangers", "not_pro"}


def test_without_all_of_its_history_a_profile_stays_as_it_is_and_the_other_is_what_is_kept() -> None:
    lived = Lived(FAMILY)
    spent = profiles.computed_traits(lived.people.profiles[lived.people.owners["user_id:ada"]], DEFINITIONS)["spent"]
    lived.events = lived.events[3:]
    lived.undo(*WRONG)
    ada, bob = (lived.people.profiles[lived.people.owners[one]] for one in ("user_id:ada", "user_id:bob"))
    assert profiles.value_of(ada, "trait", "spent", DEFINITIONS) == spent
    assert profiles.value_of(bob, "trait", "spent", DEFINITIONS) == 2
    assert set(bob.identifiers) == {"user_id:bob"}
    assert profiles.unpack(profiles.pack(bob, DEFINITIONS), DEFINITIONS) == bob


@pytest.mark.parametrize(
    "ends",
    [
        ("user_id:ada", "user_id:bob"),
        ("user_id:ada", "user_id:nobody"),
        ("user_id:nobody", "user_id:ada"),
        ("user_id:ada", "user_id:ada"),
    ],
)
def test_what_ties_nothing_cannot_be_undone(ends: tuple[str, str]) -> None:
    lived = Lived(FAMILY)
    with pytest.raises(NothingToUndo, match=f"no edge ties {min(ends)}"):
        lived.without(*ends)
    lived.undo(*WRONG)
    with pytest.raises(NothingToUndo):
        lived.undo(*WRONG)


def test_two_are_one_because_somebody_says_so_and_may_be_parted_again() -> None:
    rules = replace(DEFINITIONS, identity=IdentityRules())
    log = [bought("m1", 1, user_id="ada"), bought("m2", 2, at=1, user_id="ada-lovelace", anonymous_id="a-1")]
    lived = Lived(log, rules)
    decision = accept(lived.people, ("user_id:ada", "user_id:ada-lovelace"), LATER, "accepted")
    assert (decision.kind, len(decision.absorbed)) == ("merge", 1)
    lived.people.carry_out(decision)
    lived.decisions.append(decision)
    (ada,) = lived.people.profiles.values()
    assert profiles.value_of(ada, "trait", "spent", DEFINITIONS) == 3
    lived.undo("user_id:ada", "user_id:ada-lovelace")
    assert told(lived.people) == told(Lived(log, rules).people)
    with pytest.raises(NothingToTie, match="nobody has user_id:nobody"):
        accept(lived.people, ("user_id:ada", "user_id:nobody"), LATER, "accepted")


def a_tie(people: People, which: int) -> tuple[str, str] | None:
    ties: Sequence[tuple[str, str]] = sorted(
        ends for profile in people.profiles.values() for ends, edge in profile.edges.items() if not edge.refused
    )
    return ties[which % len(ties)] if ties else None


@LAWS
@given(logs(), st.integers(0, 1000), st.integers(0, 10))
def test_after_any_unmerge_people_are_those_of_a_run_without_the_edge(log: list[Event], which: int, cut: int) -> None:
    lived = Lived(log[:cut])
    tie = a_tie(lived.people, which)
    if tie is not None:
        lived.undo(*tie)
    lived.fold(*log[cut:])
    assert told(lived.people) == told(apart(log, *([] if tie is None else [tie])))
    owned = {one: profile.id for profile in lived.people.profiles.values() for one in profile.identifiers}
    assert owned == lived.people.owners
    for past in lived.events:
        assert lived.people.keeper(past.profile) in lived.people.profiles


def values(people: People, identifier: str) -> tuple[int, Any]:
    profile = people.profiles[people.owners[identifier]]
    return profile.events, profiles.value_of(profile, "trait", "spent", people.definitions)


def kiosk(shared: int, definitions: Definitions = DEFINITIONS) -> tuple[list[Event], Definitions]:
    """A till that everybody shows; Ada was the first, and what it shows alone is hers until it is set aside."""
    log = [
        bought("m0", 1, user_id="ada", anonymous_id="till"),
        bought("m1", 10, at=1, anonymous_id="till"),
        *(event(f"k{n}", at=2 + n, user_id=f"u{n}", anonymous_id="till") for n in range(shared + 1)),
        bought("m2", 100, at=50, user_id="ada", anonymous_id="phone"),
        bought("m3", 1000, at=51, anonymous_id="phone"),
    ]
    return log, replace(definitions, identity=IdentityRules(shared=shared))


def test_what_counted_before_it_was_set_aside_counts_after_an_unmerge() -> None:
    log, definitions = kiosk(3)
    lived = Lived(log, definitions)
    assert "anonymous_id:till" in lived.people.set_aside
    assert values(lived.people, "user_id:ada") == (4, 1111)
    lived.undo("user_id:ada", "anonymous_id:phone")
    assert values(lived.people, "user_id:ada") == (3, 111)
    assert values(lived.people, "anonymous_id:phone") == (1, 1000)


def test_what_is_blocked_by_now_counted_then() -> None:
    lived = Lived(FAMILY)
    blocked = IdentityRules(limits={}, blocked=frozenset({"a-1"}))
    lived.people.definitions = replace(DEFINITIONS, identity=blocked)
    lived.undo(*WRONG)
    assert told(lived.people) == told(apart(FAMILY, WRONG))


def test_people_whom_a_shared_device_made_one_can_be_parted_once_it_is_set_aside() -> None:
    rules = replace(DEFINITIONS, identity=IdentityRules(limits={"email": Limit(3)}, shared=4))
    log = [
        bought(f"m{n}", 1, at=n, anonymous_id="till", context=b'{"traits":{"email":"e%d@example.com"}}' % n)
        for n in range(12)
    ]
    lived = Lived(log, rules)
    assert "anonymous_id:till" in lived.people.set_aside
    one, other = "email:e0@example.com", "email:e1@example.com"
    assert lived.people.owners[one] == lived.people.owners[other]
    before = values(lived.people, one)[0]
    lived.undo(one, "anonymous_id:till")
    assert lived.people.owners[one] != lived.people.owners[other]
    assert values(lived.people, one)[0] + values(lived.people, other)[0] == before
    with pytest.raises(NothingToUndo):
        lived.without(one, "anonymous_id:till")


def test_what_the_rules_keep_apart_nobody_makes_one_and_what_a_person_parted_only_a_person() -> None:
    lived = Lived(FAMILY)
    lived.undo(*WRONG)
    ends = ("user_id:ada", "user_id:bob")
    with pytest.raises(NothingToTie, match="only a person"):
        accept(lived.people, ends, LATER, "accepted", by_person=False)
    assert accept(lived.people, ends, LATER, "accepted").kind == "merge"
    rules = IdentityRules(limits={}, apart=frozenset({edge_key(*WRONG)}))
    lived.people.definitions = replace(DEFINITIONS, identity=rules)
    with pytest.raises(NothingToTie, match="the identity rules keep"):
        accept(lived.people, ends, LATER, "accepted")


@LAWS
@given(logs(), st.integers(0, 1000), st.integers(0, 10), st.sampled_from([None, 2, 3]), st.booleans())
def test_whatever_is_gone_and_set_aside_nobody_loses_an_identifier_or_an_event(
    log: list[Event],
    which: int,
    gone: int,
    shared: int | None,
    unique: bool,  # noqa: FBT001 - drawn
) -> None:
    rules = IdentityRules(limits={}, shared=shared, unique=frozenset({"user_id"} if unique else ()))
    lived = Lived(log, replace(DEFINITIONS, identity=rules))
    tie = a_tie(lived.people, which)
    if tie is None:
        return
    owned, folded = set(lived.people.owners), sum(one.events for one in lived.people.profiles.values())
    lived.events = lived.events[gone:]
    complete = lived.without(*tie).complete
    lived.undo(*tie)
    theirs = {one for profile in lived.people.profiles.values() for one in profile.identifiers}
    assert theirs == set(lived.people.owners)
    assert all(one in lived.people.profiles for one in lived.people.owners.values())
    if complete:
        assert sum(profile.events for profile in lived.people.profiles.values()) == folded
        assert owned - set(lived.people.owners) <= set(tie)
    else:
        assert owned == set(lived.people.owners)
    for profile in lived.people.profiles.values():
        assert profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS) == profile
