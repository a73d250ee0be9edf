"""Traits and audiences that are defined late: in the end everybody is as if they had been there from the start."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import DICE
from obverse.core import profiles
from obverse.core.conditions import parse
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions, arriving, define
from obverse.core.documents.traits import trait
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.profiles import fill, history_of
from obverse.core.unmerging import rerun, tell_anew, undo
from people_steps import audience, bought, event, told
from window_steps import KINDS, at, day, settle

VERSION = 7


def counted(name: str, **spec: Any) -> Any:
    return trait(name, "", {"event": "Bought", **spec}, KINDS)


RULES = IdentityRules(limits={})
LIVE = define(
    traits=[counted("orders", aggregate="count"), counted("spent", aggregate="sum", property="price")],
    audiences=[audience("big", op="gt", trait="spent", value=9), audience("old", op="gte", trait="orders", value=2)],
    identity=RULES,
)
DEAR = {"op": "gte", "property": "price", "value": 5}
NEWEST = define(
    traits=[
        counted("orders", aggregate="count", where=DEAR),  # as it was named, and another
        counted("spent", aggregate="sum", property="price"),  # as it was
        counted("skus", aggregate="unique_list", property="sku"),
        counted("lately", aggregate="sum", property="price", window={"last": "2 days"}),
    ],
    audiences=[
        audience("big", op="gt", trait="spent", value=5),
        audience("twice", op="did", event="Bought", times=2, within="3 days"),
        audience("rich", op="gt", trait="lately", value=6),
    ],
    identity=RULES,
)
SHOWN = arriving.shown(NEWEST, LIVE)
TO_COME = arriving.fresh(NEWEST, LIVE)
FOLDING = arriving.folding(SHOWN, TO_COME, VERSION)
ALONE = arriving.only(TO_COME, NEWEST)


def test_what_changes_stays_as_it_was_until_it_is_live() -> None:
    assert {one.name: one.key for one in SHOWN.traits if one.name in LIVE.trait_of_name} == {
        one.name: one.key for one in LIVE.traits
    }
    assert {one.name for one in SHOWN.traits} == {"orders", "spent", "skus", "lately"}
    assert {one.name for one in SHOWN.audiences} == {"big", "old", "twice", "rich"}
    people = People("main", SHOWN)
    for place, one in enumerate([bought("m1", 7, user_id="ada"), bought("m2", 1, user_id="ada")]):
        people.fold(one, (0, place))
    (profile,) = people.profiles.values()
    assert profiles.computed_traits(profile, SHOWN) == {"orders": 2, "spent": 8}
    assert {name for name, standing in profile.audiences.items() if standing.member} == {"old"}


def test_what_is_as_it_was_has_nothing_to_wait_for() -> None:
    assert arriving.is_live(LIVE, LIVE)
    assert not arriving.is_live(NEWEST, LIVE)
    assert arriving.shown(LIVE, LIVE) is LIVE
    assert {one.name.partition(":")[0] for one in TO_COME} == {"orders", "skus", "lately", "occurrences"}
    assert all(one.hidden for one in TO_COME)
    reworded = define(traits=LIVE.traits, audiences=LIVE.audiences, identity=RULES)
    assert arriving.is_live(reworded, LIVE)


def test_others_may_name_what_is_to_come() -> None:
    assert SHOWN.holds["rich"](People("main", SHOWN), 0) is False  # type: ignore[arg-type]  # nobody is looked at
    assert parse({"op": "exists", "trait": "skus"})
    assert SHOWN.trait_of_name["skus"].key == "waiting:skus"


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Orders of a few people who turn out to be fewer, in the order in which they arrive."""
    log = []
    for number in range(draw(st.integers(1, 14))):
        ids: dict[str, Any] = {"user_id": draw(st.sampled_from(["ada", "bob", None]))}
        ids["anonymous_id"] = draw(st.sampled_from(["a-1", "a-2", "a-3"]))
        price: Any = draw(st.sampled_from([2, 5, "7.50"]))
        sku = draw(st.sampled_from("AB"))
        one = bought(f"m{number}", price, sku=sku, **ids) if draw(st.integers(0, 3)) else event(f"m{number}", **ids)
        happened = draw(st.integers(0, 40)) / 8
        log.append(at(one, happened, happened + draw(st.sampled_from([0, 0, 0.5, 3]))))
    return sorted(log, key=lambda one: one.received_at)


class Run:
    """A log that is folded while definitions arrive."""

    def __init__(self, began: int) -> None:
        self.people = People("main", LIVE)
        self.began = began
        self.stored: list[PastEvent] = []

    def fold(self, place: int, one: Event) -> None:
        if place == self.began:
            self.people.definitions, self.people.filled = FOLDING, VERSION
        folded = self.people.fold(one, (0, place))
        assert folded.profile is not None
        if not folded.repeated:
            self.stored.append(PastEvent(place + 1, folded.profile.id, 0, place, one))

    def visit(self, one: bytes) -> None:
        """Compute somebody's history, as far as the store has it."""
        profile = self.people.profiles[one]
        if profile.filled != VERSION:
            theirs = [past for past in self.stored if self.people.keeper(past.profile) == one]
            fill(profile, history_of(profile, theirs, {0: self.began}, ALONE), ALONE, VERSION)

    def keep(self, one: bytes, definitions: Definitions) -> None:
        """Have somebody kept and brought back."""
        self.people.adopt(profiles.unpack(profiles.pack(self.people.profiles[one], definitions), definitions))

    def finish(self, now: int) -> People:
        for one in self.people.profiles:
            self.visit(one)
        self.people.definitions = NEWEST
        for profile in self.people.profiles.values():
            profiles.go_live(profile, SHOWN, NEWEST, now)
        settle(self.people, now)
        return self.people


@LAWS
@given(logs(), st.integers(0, 14), DICE)
def test_in_the_end_all_is_as_if_it_had_been_so_from_the_start(log: list[Event], began: int, dice: Random) -> None:
    run, plain = Run(min(began, len(log))), People("main", NEWEST)
    for place, one in enumerate(log):
        plain.fold(one, (0, place))
        run.fold(place, one)
        if place >= run.began:
            for profile in list(run.people.profiles):
                if dice.random() < 0.3:
                    run.visit(profile)
                if dice.random() < 0.3:
                    run.keep(profile, FOLDING)
    if run.began == len(log):
        run.people.definitions, run.people.filled = FOLDING, VERSION
    now = day(10)
    settle(plain, now)
    people = run.finish(now)
    assert told(people) == told(plain)
    assert {one.filled for one in people.profiles.values()} <= {VERSION}
    assert all(one.due == profiles.due_of(one, NEWEST, now) for one in people.profiles.values())


def test_who_is_unmerged_meanwhile_lacks_nothing_and_has_nothing_twice() -> None:
    log = [
        at(bought("m0", 5, user_id="ada"), 0),
        at(bought("m1", 5, user_id="bob", anonymous_id="a-1"), 0.1),
        at(bought("m2", 5, sku="B", user_id="ada", anonymous_id="a-1"), 0.2),
        at(bought("m3", 7, user_id="ada"), 0.3),
    ]
    run = Run(3)
    for place, one in enumerate(log):
        run.fold(place, one)
    people, ends = run.people, ("anonymous_id:a-1", "user_id:ada")
    without = rerun(people, ends, run.stored)
    decision = undo(people, ends, Stamp(log[-1].received_at, "eve", "r1"), [], without)
    people.carry_out(decision)
    _, moved = tell_anew(people, decision, without)
    run.stored = [replace(one, profile=moved.get(one.id, one.profile)) for one in run.stored]
    for profile in people.profiles:
        run.visit(profile)

    told_of = {
        len(one.identifiers): profiles.computed_traits(one, NEWEST) for one in run.finish(day(1)).profiles.values()
    }
    assert (told_of[1]["orders"], told_of[1]["spent"], told_of[1]["lately"]) == (3, 17, 17)
    assert (told_of[2]["orders"], told_of[2]["spent"], told_of[2]["lately"]) == (1, 5, 5)


def test_what_leaves_a_window_by_the_instant_at_which_others_become_live_is_told() -> None:
    lately, orders = (
        counted("lately", aggregate="count", window={"last": "2 days"}),
        counted("orders", aggregate="count"),
    )
    before, after = define(traits=[lately], identity=RULES), define(traits=[lately, orders], identity=RULES)
    people = People("main", before)
    people.fold(at(bought("m1", user_id="ada"), 0), (0, 0))
    (ada,) = people.profiles.values()
    assert profiles.computed_traits(ada, before) == {"lately": 1}
    moved = [*profiles.go_live(ada, before, after, day(3)), *profiles.advance(ada, day(4), after)]

    assert profiles.computed_traits(ada, after) == {"lately": 0}
    assert [(one.kind, one.name) for one in moved] == [("trait", "lately")]
