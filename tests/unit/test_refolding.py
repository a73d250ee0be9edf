"""Folding anew: at any moment a person is what their history makes of them, and what was damaged is mended."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as but

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import DICE
from obverse.core import profiles, spans
from obverse.core.changes import ATTRIBUTE, ENTERED, LEFT, TRAIT, Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.identity import IdentityRules, Limit
from obverse.core.people import People
from obverse.core.profiles import Membership, Profile, window
from obverse.core.profiles.window import Window
from obverse.core.refolding import Difference, difference, for_refold, refold, swap_in, with_moves
from people_logs import logs
from people_steps import DEFINITIONS, NOW, SECOND, bought, event, told
from window_steps import DAYS, day_logs, settle

LIMITS = {"user_id": Limit(1), "email": Limit(2)}


class Run:
    """A log that is folded, with the rows that a store keeps of it, and people who are folded anew meanwhile."""

    def __init__(self, definitions: Definitions) -> None:
        self.people = People("main", definitions)
        self.stored: list[PastEvent] = []

    def fold(self, place: int, one: Event) -> None:
        folded = self.people.fold(one, (0, place))
        if folded.profile is not None and not folded.repeated:
            self.stored.append(PastEvent(place + 1, folded.profile.id, 0, place, one))

    def fresh(self, one: bytes) -> Profile:
        alone, made = for_refold(self.people.definitions), Profile(one)
        for past in self.stored:
            if self.people.keeper(past.profile) == one:
                refold(made, past, alone)
        return made

    def replay(self, one: bytes) -> tuple[Difference, list[Change]]:
        profile, made = self.people.profiles[one], self.fresh(one)
        found = difference(profile, made, self.people.definitions)
        if not found.is_any:
            return found, []
        stamp = Stamp(profile.now, "replay", "replay:1")
        return found, swap_in(profile, made, found, self.people.definitions, stamp=stamp, filled=0)

    def keep(self, one: bytes) -> None:
        definitions = self.people.definitions
        self.people.adopt(profiles.unpack(profiles.pack(self.people.profiles[one], definitions), definitions))


def run_of(log: list[Event], definitions: Definitions = DEFINITIONS) -> Run:
    run = Run(definitions)
    for place, one in enumerate(log):
        run.fold(place, one)
    return run


def only(run: Run) -> Profile:
    (profile,) = run.people.profiles.values()
    return profile


@LAWS
@given(logs(), st.booleans(), DICE)
def test_a_replay_at_any_moment_changes_nobody(log: list[Event], limited: bool, dice: Random) -> None:  # noqa: FBT001
    rules = IdentityRules(limits=LIMITS) if limited else DEFINITIONS.identity
    _changes_nobody(log, replace(DEFINITIONS, identity=rules), dice)


@LAWS
@given(day_logs(), DICE)
def test_nor_where_time_alone_changes_people(log: list[Event], dice: Random) -> None:
    _changes_nobody(log, DAYS, dice)


def _changes_nobody(log: list[Event], definitions: Definitions, dice: Random) -> None:
    run, plain = Run(definitions), People("main", definitions)
    for place, one in enumerate(log):
        plain.fold(one, (0, place))
        run.fold(place, one)
        for profile in list(run.people.profiles):
            if dice.random() < 0.3:
                assert run.replay(profile) == (Difference(), [])
            if dice.random() < 0.3:
                run.keep(profile)
        if dice.random() < 0.2:
            now = one.received_at + dice.choice([0, spans.HOUR, 3 * spans.DAY])
            settle(run.people, now)
            settle(plain, now)
    assert told(run.people) == told(plain)
    assert [one.audiences for one in run.people.profiles.values()] == [one.audiences for one in plain.profiles.values()]


@LAWS
@given(day_logs(), DICE)
def test_whatever_of_a_state_is_wrong_is_mended(log: list[Event], dice: Random) -> None:
    run, plain = run_of(log, DAYS), People("main", DAYS)
    for place, one in enumerate(log):
        plain.fold(one, (0, place))
    harmed = dice.choice(list(run.people.profiles.values()))
    _harm(harmed, DAYS, dice)
    for profile in list(run.people.profiles):
        run.replay(profile)
    now = log[-1].received_at + 30 * spans.DAY
    settle(run.people, now)
    settle(plain, now)
    assert told(run.people) == told(plain)


def _harm(profile: Profile, definitions: Definitions, dice: Random) -> None:
    for trait in definitions.traits:
        if dice.random() < 0.5:
            profile.traits.pop(trait.key, None)
    if dice.random() < 0.3:
        profile.seen = Window.of(dict(list(profile.seen.seconds().items())[1:]))
    if dice.random() < 0.3:
        profile.events = max(0, profile.events - 1)
    profile.audiences.update(
        (one.name, Membership(not profile.audiences[one.name].member, profile.audiences[one.name].number, 5))
        for one in definitions.audiences
        if one.name in profile.audiences and dice.random() < 0.3 and not profile.traits
    )


HERE: dict[str, Any] = {"user_id": "ada"}


def test_what_was_wrong_is_told_and_nobody_is_entered_twice() -> None:
    run = run_of([bought("m1", 7, **HERE), bought("m2", 8, **HERE), event("m3", type_="identify", **HERE)])
    ada = only(run)
    before = dict(ada.audiences)
    assert before["big"] == Membership(member=True, number=1, since=NOW)
    ada.traits["k:spent:1"] = ada.traits["k:orders:1"]  # two instead of fifteen; who was in `big` is in it still

    found, moved = run.replay(ada.id)

    assert found == Difference(traits=("spent",), unseen=True)
    assert moved == [Change(ada.id, TRAIT, "spent", "replay:1")]
    assert ada.audiences == before


def test_audiences_are_judged_by_what_is_mended() -> None:
    run = run_of([bought("m1", 7, **HERE), event("m2", type_="identify", properties={"plan": "pro"}, **HERE)])
    ada = only(run)
    spent, plan = ada.traits.pop("k:spent:1"), ada.attributes.pop("plan")
    for name in ("priced", "strangers"):
        profiles.judge(ada, DEFINITIONS.audience_of_name[name], Stamp(NOW, "x", "x"), DEFINITIONS, NOW)
    assert (ada.audiences["priced"].number, ada.audiences["strangers"].number) == (1, 2)

    found, moved = run.replay(ada.id)

    assert with_moves(found, moved).entered == ("priced",)
    assert with_moves(found, moved).left == ("strangers",)
    assert (ada.traits["k:spent:1"], ada.attributes["plan"]) == (spent, plan)
    assert (found.traits, found.attributes) == (("spent",), ("plan",))
    assert moved == [
        Change(ada.id, TRAIT, "spent", "replay:1"),
        Change(ada.id, ATTRIBUTE, "plan", "replay:1"),
        Change(ada.id, ENTERED, "priced", "replay:1", 2),
        Change(ada.id, LEFT, "strangers", "replay:1", 2),
    ]


def test_what_the_store_spells_otherwise_is_no_difference() -> None:
    said = event("m1", type_="identify", **HERE)
    run = run_of([but(said, properties=b'{"shape":{"a":1,"b":[true]}}')])
    kept = run.stored[0]
    run.stored = [but(kept, event=but(said, properties=b'{"shape": {"b": [true], "a": 1}}'))]
    assert run.replay(only(run).id) == (Difference(), [])

    only(run).traits["k:orders:1"] = 3  # then the text stays as it was sent
    run.replay(only(run).id)
    assert only(run).attributes["shape"][0].value == b'{"a":1,"b":[true]}'


@pytest.mark.parametrize("days", [0, 3])
def test_ten_thousand_events_are_counted_once_however_late_they_are_told_again(days: int) -> None:
    log = [bought(f"m{number}", 1, at=number, **HERE) for number in range(10_000)]
    run = run_of(log)
    ada = only(run)
    later = NOW + 10_000 * SECOND + days * spans.DAY
    run.fold(10_000, but(event("late", **HERE), received_at=later, timestamp=later))
    assert window.message_key(log[0]) not in ada.seen.recent() or not days, "it is known no more"
    before = told(run.people)

    assert run.replay(ada.id) == (Difference(), [])
    assert told(run.people) == before

    ada.traits.pop("k:spent:1")
    run.replay(ada.id)
    assert told(run.people) == before
    assert profiles.computed_traits(ada, DEFINITIONS)["orders"] == 10_000
