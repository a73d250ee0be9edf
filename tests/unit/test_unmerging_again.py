"""Unmerging one after another: what the first has parted and said stays, and each equals a run without these edges."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.core import profiles
from obverse.core.events import Event
from obverse.core.identity import IdentityRules, Limit, profile_id
from obverse.core.identity.evidence import ACCEPTED
from obverse.core.unmerging import accept
from people_logs import logs
from people_steps import DEFINITIONS, NOW, SECOND, bought, event
from unmerging_steps import LATER, Lived, apart, told

ADA, BEA, CLEO = (profile_id("main", f"user_id:{name}") for name in ("ada", "bea", "cleo"))


def events_of(lived: Lived) -> Counter[bytes]:
    """How many of the kept events are whose, as the forwarding entries say."""
    return Counter(lived.people.keeper(past.profile) for past in lived.events)


def test_whoever_was_parted_keeps_their_id_and_all_they_are_when_another_part_goes() -> None:
    log = [
        event("m1", user_id="ada"),
        event("m2", at=1, user_id="bea", anonymous_id="phone"),
        event("m3", at=2, type_="alias", user_id="ada", previous_id="phone"),
        bought("m4", 9, at=3, anonymous_id="phone"),
    ]
    lived = Lived(log)
    lived.undo("user_id:bea", "anonymous_id:phone")
    bea = lived.people.profiles[lived.people.owners["user_id:bea"]]
    assert bea.id == BEA
    # The phone was first shown with Bea; she is somebody, and it is another one.
    decision, _, _ = lived.undo("user_id:ada", "anonymous_id:phone", "request-2")

    assert [part.identifiers for part in decision.parts] == [("anonymous_id:phone",)]
    assert lived.people.profiles[lived.people.owners["user_id:bea"]] is bea
    assert lived.people.owners["anonymous_id:phone"] not in {ADA, BEA}
    pairs = [("user_id:bea", "anonymous_id:phone"), ("user_id:ada", "anonymous_id:phone")]
    assert told(lived.people) == told(apart(log, *pairs))


def test_who_had_become_part_of_whoever_goes_and_stays_is_found_with_whom_they_stay() -> None:
    log = [
        event("m1", user_id="cleo"),
        event("m2", at=1, user_id="bea", anonymous_id="phone"),
        event("m3", at=2, user_id="ada"),
        event("m4", at=3, user_id="ada", anonymous_id="phone"),
        event("m5", at=4, type_="alias", user_id="cleo", previous_id="phone"),
    ]
    lived = Lived(log)
    assert [one.absorbed for one in lived.decisions[-2:]] == [(ADA,), (BEA,)]
    lived.undo("user_id:bea", "anonymous_id:phone")

    assert lived.people.owners["user_id:ada"] == CLEO
    assert (lived.people.keeper(ADA), lived.people.keeper(BEA)) == (CLEO, BEA)
    assert events_of(lived) == {CLEO: 4, BEA: 1}


def test_what_was_taken_back_stays_so_though_the_identifier_was_anothers_and_is_nobodys() -> None:
    first, second = ("user_id:ada", "anonymous_id:phone"), ("email:a@example.com", "anonymous_id:phone")
    mail = b'{"traits":{"email":"a@example.com"}}'
    log = [
        event("m1", user_id="ada", anonymous_id="phone"),
        event("m2", at=1, user_id="ada", context=mail),
        event("m3", at=2, anonymous_id="phone", context=mail),
    ]
    lived = Lived(log[:1])
    lived.undo(*first)
    lived.fold(*log[1:])
    assert len(lived.people.profiles) == 1, "another edge ties them"
    lived.undo(*second, "request-2")
    again = event("m4", at=3, user_id="ada", anonymous_id="phone")
    lived.fold(again)

    assert "anonymous_id:phone" not in lived.people.owners
    assert told(lived.people) == told(apart([*log, again], first, second))


def test_the_last_that_too_many_share_and_nothing_else_tied_can_be_taken_back() -> None:
    rules = IdentityRules(limits={"anonymous_id": Limit(1)}, shared=2)
    mail = b'{"traits":{"email":"test@example.com"}}'
    log = [bought(f"m{n}", 1, at=n, anonymous_id=f"phone-{n}", context=mail) for n in range(5)]
    lived = Lived(log, replace(DEFINITIONS, identity=rules))
    assert "email:test@example.com" in lived.people.set_aside
    counted = events_of(lived)
    lived.undo("email:test@example.com", "anonymous_id:phone-0")

    assert "anonymous_id:phone-0" not in lived.people.owners
    assert events_of(lived) == counted == {one.id: one.events for one in lived.people.profiles.values()}


def test_of_a_part_whose_events_are_gone_nothing_is_nobodys() -> None:
    log = [
        event("m1", user_id="ada", anonymous_id="a-1"),
        event("m2", at=1, user_id="bea", anonymous_id="b-1"),
        event("m3", at=2, type_="alias", user_id="bea", previous_id="a-1"),
    ]
    lived = Lived(log)
    lived.events = []
    lived.undo("user_id:bea", "anonymous_id:a-1")
    assert set(lived.people.profiles[BEA].identifiers) == {"user_id:bea", "anonymous_id:b-1"}
    assert not lived.without("user_id:bea", "anonymous_id:b-1").complete
    lived.undo("user_id:bea", "anonymous_id:b-1", "request-2")

    owners = lived.people.owners
    assert owners.keys() == {"user_id:ada", "user_id:bea", "anonymous_id:a-1", "anonymous_id:b-1"}
    assert (owners["user_id:bea"], len(lived.people.profiles)) == (BEA, 3)


def test_whom_somebody_made_one_was_shown_when_events_showed_them() -> None:
    log = [
        event("m1", user_id="ada", anonymous_id="phone"),
        event("m2", at=100, user_id="bea"),
        event("m3", at=200, anonymous_id="phone"),
    ]
    lived = Lived(log)
    decision = accept(lived.people, ("user_id:ada", "user_id:bea"), LATER, ACCEPTED)
    lived.people.carry_out(decision)
    lived.decisions.append(decision)
    before = lived.people.profiles[ADA].sightings["user_id:bea"]
    lived.undo("user_id:ada", "anonymous_id:phone", "request-2")

    ada = lived.people.profiles[ADA]
    assert ada.identifiers == {"user_id:ada": NOW, "user_id:bea": NOW + 100 * SECOND}
    assert ada.sightings["user_id:bea"] == before == (NOW + 100 * SECOND, "m2")
    assert ada.first == log[0].stamp
    # What was shown with another one alone is part of no other event, and all that is left is whole.
    assert lived.without("user_id:ada", "user_id:bea").complete


@LAWS
@given(logs(), st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1000)), max_size=4))
def test_after_all_unmerges_people_are_those_of_a_run_without_these_edges(
    log: list[Event], asked: list[tuple[int, int]]
) -> None:
    lived, pairs, folded = Lived(), list[tuple[str, str]](), 0
    for number, (more, which) in enumerate(asked):
        lived.fold(*log[folded : folded + more])
        folded += more
        ties = sorted(
            ends
            for profile in lived.people.profiles.values()
            for ends, edge in profile.edges.items()
            if not edge.refused
        )
        if ties:
            pairs.append(ties[which % len(ties)])
            others = {one.id for one in lived.people.profiles.values()}
            decision, _, _ = lived.undo(*pairs[-1], f"request-{number}")
            assert others.isdisjoint(part.profile for part in decision.parts)
            assert events_of(lived) == {one.id: one.events for one in lived.people.profiles.values()}
    lived.fold(*log[folded:])
    assert told(lived.people) == told(apart(log, *pairs))
    for profile in lived.people.profiles.values():
        assert profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS) == profile
