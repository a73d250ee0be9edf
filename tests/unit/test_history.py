"""History: who people were at a time equals a plain reduce over what had come by then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts import stories
from obverse.contracts.lattice import LAWS
from obverse.core import profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event
from obverse.core.history import PastEvent, PastPeople, alike, apart, related
from obverse.core.identity import Decision, IdentityRules, Limit, id_name
from obverse.core.identity.rules import PRESETS
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.unmerging import rerun, tell_anew, undo
from people_logs import logs
from people_steps import DEFINITIONS, NOW, SECOND, bought, event, new, told


def lived(log: Iterable[Event], definitions: Definitions = DEFINITIONS) -> tuple[list[Decision], list[PastEvent]]:
    """Fold a log as an engine does, and return what is kept of it: decisions, and events that counted."""
    people, decisions, kept = People("main", definitions), list[Decision](), list[PastEvent]()
    for offset, one in enumerate(log):
        folded = people.fold(one, (0, offset))
        if folded.decision is not None:
            decisions.append(folded.decision)
        if folded.profile is not None and not folded.repeated:
            kept.append(PastEvent(offset + 1, folded.profile.id, 0, offset, one))
    return decisions, kept


def past(at: int, lived: tuple[list[Decision], list[PastEvent]], definitions: Definitions = DEFINITIONS) -> PastPeople:
    decisions, kept = lived
    people = PastPeople(at, decisions, definitions)
    for one in kept:
        people.tell(one)
    return people


def reduced(log: Sequence[Event], at: int, definitions: Definitions = DEFINITIONS) -> People:
    """What a plain reduce over the events up to a time gives."""

    def step(people: People, one: tuple[int, Event]) -> People:
        people.fold(one[1], (0, one[0]))
        return people

    by_then = [(offset, one) for offset, one in enumerate(log) if one.received_at <= at]
    return reduce(step, by_then, People("main", definitions))


@LAWS
@given(logs(), st.integers(0, 10))
def test_people_at_any_time_are_those_of_a_plain_reduce_up_to_it(log: list[Event], seconds: int) -> None:
    at = NOW + seconds * SECOND
    then, expected = past(at, lived(log)), reduced(log, at)

    assert told(then) == told(expected)
    assert {one.id: one.edges for one in then.profiles.values()} == {
        one.id: one.edges for one in expected.profiles.values()
    }


@pytest.mark.parametrize("seed", range(3))
def test_so_they_are_in_a_long_story_in_which_much_comes_twice(seed: int) -> None:
    dice = Random(seed)
    story = stories.tell(seed=seed, people=8, events=400)
    log = sorted([*story, *dice.sample(story, 50)], key=lambda one: one.received_at)
    kept = lived(log, stories.DEFINITIONS)
    for one in dice.sample(log, 10):
        then, expected = (
            past(one.received_at, kept, stories.DEFINITIONS),
            reduced(log, one.received_at, stories.DEFINITIONS),
        )
        assert told(then) == told(expected)
        assert {one.id: one.version for one in then.profiles.values()}.keys() == expected.profiles.keys()


@LAWS
@given(logs(), st.integers(0, 10))
def test_within_limits_everybody_is_who_they_were(log: list[Event], seconds: int) -> None:
    """What a limit left out is not taken although the decisions that follow are known."""
    limits = {"user_id": Limit(1), "email": Limit(1), "anonymous_id": Limit(2, within=3)}
    rules = define(
        traits=DEFINITIONS.traits, audiences=DEFINITIONS.audiences, identity=IdentityRules(limits=limits, merges=1)
    )
    at = NOW + seconds * SECOND
    then, expected = past(at, lived(log, rules), rules), reduced(log, at, rules)

    assert [who(one, rules) for one in in_order(then)] == [who(one, rules) for one in in_order(expected)]
    assert then.owners == expected.owners


@pytest.mark.parametrize("preset", ["unique_user_id", "profile_isolation", "segment"])
@LAWS
@given(log=logs(), seconds=st.integers(0, 10))
def test_what_is_taken_and_set_aside_leaves_what_was_told_where_it_was(
    log: list[Event], seconds: int, preset: str
) -> None:
    rules = define(
        traits=DEFINITIONS.traits, audiences=DEFINITIONS.audiences, identity=replace(PRESETS[preset], shared=1)
    )
    at = NOW + seconds * SECOND
    then, expected = past(at, lived(log, rules), rules), reduced(log, at, rules)

    assert [who(one, rules) for one in in_order(then)] == [who(one, rules) for one in in_order(expected)]
    assert (then.owners, then.set_aside) == (expected.owners, expected.set_aside)


@pytest.mark.parametrize(("preset", "shared"), [("unique_user_id", 10), ("segment", 1)])
def test_what_an_identifier_told_stays_with_whoever_had_it_though_it_is_anothers_or_nobodys(
    preset: str, shared: int
) -> None:
    rules = define(traits=DEFINITIONS.traits, identity=replace(PRESETS[preset], shared=shared))
    log = [
        event("m1", user_id="ada", anonymous_id="tablet"),
        bought("m2", 7, at=1, anonymous_id="tablet"),
        event("m3", at=2, user_id="bob", anonymous_id="tablet"),
        event("m4", at=3, user_id="cleo", anonymous_id="tablet"),
    ]
    then, expected = past(NOW + 9 * SECOND, lived(log, rules), rules), reduced(log, NOW + 9 * SECOND, rules)

    assert then.owners.get("anonymous_id:tablet") == expected.owners.get("anonymous_id:tablet")
    assert then.owners.get("anonymous_id:tablet") != then.owners["user_id:ada"]
    ada = then.find("user_id:ada")
    assert ada is not None
    assert (ada.events, profiles.value_of(ada, "trait", "spent", rules)) == (2, 7)
    assert [who(one, rules) for one in in_order(then)] == [who(one, rules) for one in in_order(expected)]


def test_who_was_parted_is_one_before_and_two_after() -> None:
    log = [
        bought("m1", 7, user_id="ada", anonymous_id="a-1"),
        event("m2", at=1, type_="identify", properties={"plan": "pro"}, user_id="bob"),
        event("m3", at=2, type_="alias", user_id="bob", previous_id="a-1"),
        bought("m4", 2, at=3, user_id="bob"),
    ]
    people, (decisions, kept) = reduced(log, NOW + 9 * SECOND), lived(log)
    stamp = Stamp(NOW + 5 * SECOND, "console", "request")
    without = rerun(people, ("user_id:bob", "anonymous_id:a-1"), kept)
    decision = undo(people, ("user_id:bob", "anonymous_id:a-1"), stamp, decisions, without)
    people.carry_out(decision)
    _, of = tell_anew(people, decision, without)
    kept = [PastEvent(one.id, of.get(one.id, one.profile), 0, one.offset, one.event) for one in kept]

    for seconds in range(5):
        before = past(NOW + seconds * SECOND, ([*decisions, decision], kept))
        assert told(before) == told(reduced(log, NOW + seconds * SECOND))
    after = past(NOW + 5 * SECOND, ([*decisions, decision], kept))
    assert told(after) == told(people)
    assert len(after.profiles) == 2
    assert related(kept[0].profile, [*decisions, decision]) == {one.profile for one in kept}


def test_before_an_unmerge_each_event_is_of_who_had_it_then() -> None:
    """Ada's order is another's who was there before: the phone goes under the id that it had made, and Ada stays."""
    log = [
        event("m1", type_="identify", properties={"email": "a@example.com"}),
        event("m2", at=1, anonymous_id="phone"),
        bought("m3", 7, at=2, user_id="ada", anonymous_id="phone"),
        event("m4", at=3, type_="identify", user_id="ada", properties={"email": "a@example.com"}),
    ]
    people, (decisions, kept) = reduced(log, NOW + 9 * SECOND), lived(log)
    ends = ("user_id:ada", "anonymous_id:phone")
    without = rerun(people, ends, kept)
    decision = undo(people, ends, Stamp(NOW + 5 * SECOND, "console", "request"), decisions, without)
    people.carry_out(decision)
    _, of = tell_anew(people, decision, without)
    assert of, "the order is of the other profile by now"
    kept = [PastEvent(one.id, of.get(one.id, one.profile), 0, one.offset, one.event) for one in kept]

    for seconds in range(5):
        before = past(NOW + seconds * SECOND, ([*decisions, decision], kept))
        assert told(before) == told(reduced(log, NOW + seconds * SECOND))
    assert told(past(NOW + 5 * SECOND, ([*decisions, decision], kept))) == told(people)


def test_before_an_unmerge_what_an_identifier_told_that_was_taken_stays_where_it_was() -> None:
    rules = define(traits=DEFINITIONS.traits, identity=PRESETS["unique_user_id"])
    log = [
        event("m1", user_id="ada", anonymous_id="tablet"),
        bought("m2", 7, at=1, anonymous_id="tablet"),
        event("m3", at=2, user_id="ada", anonymous_id="phone"),
        event("m4", at=3, user_id="bob", anonymous_id="tablet"),
    ]
    people, (decisions, kept) = reduced(log, NOW + 9 * SECOND, rules), lived(log, rules)
    ends = ("user_id:ada", "anonymous_id:phone")
    stamp = Stamp(NOW + 5 * SECOND, "console", "request")
    decisions.append(undo(people, ends, stamp, decisions, rerun(people, ends, kept[:3])))

    then, expected = past(NOW + 4 * SECOND, (decisions, kept), rules), reduced(log, NOW + 4 * SECOND, rules)
    assert then.owners == expected.owners
    assert [who(one, rules) for one in in_order(then)] == [who(one, rules) for one in in_order(expected)]


def test_what_was_left_out_beside_a_stronger_one_is_not_taken_when_it_is_told_again() -> None:
    """The device breaks no limit by itself: nothing but what was decided keeps it from the second of the two."""
    limits = {"user_id": Limit(1), "email": Limit(1), "anonymous_id": Limit(5)}
    rules = define(identity=IdentityRules(limits=limits))
    shared: dict[str, Any] = {"type_": "identify", "properties": {"email": "e@example.com"}}
    log = [event("m1", user_id="ada", **shared), event("m2", at=1, user_id="bob", anonymous_id="a-1", **shared)]
    then = past(NOW + 1 * SECOND, lived(log, rules), rules)

    assert then.owners.keys() == {"user_id:ada", "email:e@example.com", "user_id:bob"}
    assert then.owners == reduced(log, NOW + 1 * SECOND, rules).owners


def in_order(people: People) -> list[Profile]:
    return sorted(people.profiles.values(), key=lambda one: one.id)


def who(one: Profile, definitions: Definitions) -> dict[str, Any]:
    """What is known of a person, but for when an identifier that was left out once was shown."""
    told = profiles.state_of(one, definitions)
    return {**told, "id": one.id, "edges": one.edges, "identifiers": set(one.identifiers), "sightings": None}


STORY = [
    bought("m1", 7, anonymous_id="a-1"),
    bought("m2", 2, at=1, user_id="ada"),
    event("m3", at=2, type_="identify", user_id="ada", properties={"plan": "free"}),
    event("m4", at=3, user_id="ada", anonymous_id="a-1"),
    event("m5", at=1, received=4, type_="identify", user_id="ada", properties={"plan": "late", "city": "Oslo"}),
]
"""Two who become one with the fourth event; the fifth comes late."""
BROWSER, ADA = lived(STORY)[1][0].profile, lived(STORY)[1][1].profile


def seen_at(seconds: int, name: str) -> Profile | None:
    return past(NOW + seconds * SECOND, lived(STORY)).find(name)


def test_before_the_first_event_there_is_nobody() -> None:
    assert past(NOW - 1, lived(STORY)).profiles == {}
    assert seen_at(0, "user_id:ada") is None
    assert seen_at(0, id_name(ADA)) is None


def test_before_a_merge_there_are_two_and_each_is_found_by_its_own() -> None:
    browser, ada = seen_at(2, "anonymous_id:a-1"), seen_at(2, "user_id:ada")
    assert browser is not None
    assert ada is not None
    assert (browser.id, browser.events) == (BROWSER, 1)
    assert (ada.id, ada.events) == (ADA, 2)
    assert seen_at(2, id_name(BROWSER)) == browser
    assert seen_at(2, id_name(ADA)) == ada


def test_after_a_merge_either_name_leads_to_the_keeper() -> None:
    names = ["anonymous_id:a-1", "user_id:ada", id_name(BROWSER), id_name(ADA)]
    found = [seen_at(3, name) for name in names]
    assert all(one == found[0] for one in found)
    assert found[0] is not None
    assert (found[0].id, found[0].events) == (BROWSER, 4)


def test_who_was_apart_and_is_one_now() -> None:
    kept = lived(STORY)
    now, before, after = (past(NOW + at * SECOND, kept) for at in (9, 2, 3))
    browser, ada = before.find(id_name(BROWSER)), before.find(id_name(ADA))
    assert browser is not None
    assert ada is not None
    assert (apart(before, now, browser), apart(before, now, ada)) == ([ADA], [BROWSER])
    (one,) = after.profiles.values()
    assert apart(after, now, one) == []


def test_what_comes_late_counts_from_its_arrival_on() -> None:
    early, late = seen_at(3, "user_id:ada"), seen_at(4, "user_id:ada")
    assert early is not None
    assert late is not None
    assert early.attributes.keys() == {"plan"}
    assert [write.value for write in late.attributes["plan"]] == [b'"free"', b'"late"']
    assert late.told("city") == b'"Oslo"'


def test_an_event_whose_identifiers_are_nobodys_by_the_rules_of_today_stays_with_its_profile() -> None:
    """`ada` is blocked by now, so the event shows nothing else, or only what it did not when it was folded."""
    log = [
        event("m1", type_="identify", user_id="ada", anonymous_id="a-1", properties={"plan": "free"}),
        bought("m2", 3, at=1, user_id="ada"),
        bought("m3", 4, at=2, user_id="ada", anonymous_id="a-2"),
    ]
    kept = lived(log)
    rules = define(
        traits=DEFINITIONS.traits,
        audiences=DEFINITIONS.audiences,
        identity=IdentityRules(limits={}, blocked=frozenset({"ada"})),
    )
    then = past(NOW + 9 * SECOND, kept, rules)
    (one,) = then.profiles.values()
    assert one.events == 3
    assert profiles.computed_traits(one, rules)["orders"] == 2
    assert then.owners.keys() == one.identifiers.keys() == {"user_id:ada", "anonymous_id:a-1", "anonymous_id:a-2"}

    # The other way round: `ada` was blocked, and now identifies somebody.
    was, _ = rules, kept
    then = past(NOW + 9 * SECOND, lived(log, was))
    assert sorted(one.events for one in then.profiles.values()) == [1, 1]
    assert "user_id:ada" not in then.owners


def test_an_event_of_somebody_who_was_nobody_yet_is_of_nobody() -> None:
    """It had been refused when it came, and was sent again, as of its arrival, after somebody was made for it."""
    decisions, kept = lived([event("m1", at=5, user_id="ada"), event("m2", at=1, received=1, user_id="ada")])
    assert past(NOW + 2 * SECOND, (decisions, kept)).profiles == {}
    (one,) = past(NOW + 5 * SECOND, (decisions, kept)).profiles.values()
    assert one.events == 2


def test_what_counted_once_counts_in_the_past_however_its_message_id_was_remembered() -> None:
    """The engine had forgotten the first when the second came; both are kept, and both count."""
    decisions, kept = lived([bought("same", 1, user_id="ada")])
    again = PastEvent(2, kept[0].profile, 0, 1, bought("same", 1, at=200_000, user_id="ada"))
    (one,) = past(NOW + 300_000 * SECOND, (decisions, [*kept, again])).profiles.values()
    assert (one.events, profiles.computed_traits(one, DEFINITIONS)["orders"]) == (2, 2)


def test_the_people_of_the_past_are_no_part_of_those_of_now() -> None:
    kept = lived(STORY)
    one, other = past(NOW + 9 * SECOND, kept), past(NOW + 9 * SECOND, kept)
    assert told(one) == told(other)
    assert told(one) == told(reduced(STORY, NOW + 9 * SECOND))
    assert new().profiles == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":[1]}', b'{ "b": [1], "a": 1 }', True),
        (b'{"a":1}', b'{"a":true}', False),
        (b"1e2", b"100", True),
        (b"1.50", b"1.5", True),
        (rb'"\u00e9"', '"\u00e9"'.encode(), True),
        (b'"1"', b"1", False),
        (b"0", b"false", False),
        (b"[0]", b"[false]", False),
        (b"null", None, True),
        (b'""', None, False),
        (b"1e99999999999999999999", b"1e99999999999999999999", True),
        (b"1e99999999999999999999", b"2", False),
        (b"[" * 5000, b"2", False),
    ],
)
def test_values_are_alike_if_they_say_the_same(one: bytes, other: bytes | None, same: bool) -> None:  # noqa: FBT001 - a case
    assert alike(one, other) is same
    assert alike(other, one) is same
