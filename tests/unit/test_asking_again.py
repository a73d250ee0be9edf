"""Unmerging where limits were hit: what they had refused because of the edge is asked about again at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from obverse.adapters._decisions import at_once
from obverse.contracts.lattice import LAWS
from obverse.core import codec, profiles
from obverse.core.events import Event
from obverse.core.identity import Decision, IdentityRules, Limit, edge_key
from obverse.core.people import People
from obverse.core.profiles.merging import MOST_REFUSED
from people_steps import DEFINITIONS, bought, event
from unmerging_steps import Lived, told

ADA, BOB, TABLET = "user_id:ada", "user_id:bob", "anonymous_id:tablet"
SEGMENT = replace(DEFINITIONS, identity=IdentityRules())
WRONG = (ADA, TABLET)
REFUSED = [
    bought("m1", 1, user_id="ada", anonymous_id="phone"),
    # The mistake: it is Bob's tablet.
    bought("m2", 2, at=1, user_id="ada", anonymous_id="tablet"),
    bought("m3", 4, at=2, user_id="bob", anonymous_id="tablet"),
    bought("m4", 8, at=3, anonymous_id="tablet"),
]


def mail(address: str) -> bytes:
    return b'{"traits":{"email":"%s"}}' % address.encode()


def clusters(people: People) -> set[frozenset[str]]:
    return {frozenset(one.identifiers) for one in people.profiles.values()}


def spent(people: People, identifier: str) -> Any:
    return profiles.value_of(people.profiles[people.owners[identifier]], "trait", "spent", people.definitions)


def pairs(people: People) -> set[tuple[str, str]]:
    """What is tied."""
    return {ends for one in people.profiles.values() for ends, edge in one.edges.items() if not edge.refused}


def never(log: Collection[Event], rules: IdentityRules, *ends: tuple[str, str]) -> People:
    """A run by these rules in which these were never tied."""
    kept = frozenset(edge_key(*pair) for pair in ends)
    return Lived(log, replace(DEFINITIONS, identity=replace(rules, apart=kept))).people


def test_what_was_refused_because_of_the_edge_is_tied_at_once() -> None:
    lived = Lived(REFUSED, SEGMENT)
    assert clusters(lived.people) == {frozenset([ADA, "anonymous_id:phone", TABLET]), frozenset([BOB])}
    lived.undo(*WRONG)

    (again,) = lived.again
    assert (again.kind, again.event, again.again) == ("merge", "m3", "request-1")
    assert clusters(lived.people) == clusters(never(REFUSED, IdentityRules(), WRONG))
    assert told(lived.people) == told(never(REFUSED, IdentityRules(), WRONG))
    assert [spent(lived.people, one) for one in (ADA, BOB)] == [1 + 2, 4 + 8]
    bob = lived.people.profiles[lived.people.owners[BOB]]
    assert bob.edges[edge_key(BOB, TABLET)].event == "m3"


def test_an_identifier_that_was_nobodys_without_the_edge_is_whose_it_was_refused() -> None:
    lived = Lived(REFUSED[:3], SEGMENT)
    decision, _, _ = lived.undo(*WRONG)
    assert [part.profile for part in decision.parts] == [None]
    assert [one.kind for one in lived.again] == ["link"]
    assert told(lived.people) == told(never(REFUSED[:3], IdentityRules(), WRONG))


def test_of_those_who_were_refused_the_first_has_it_and_the_others_are_refused_again() -> None:
    log = [*REFUSED, bought("m5", 16, at=4, user_id="cleo", anonymous_id="tablet")]
    lived = Lived(log, SEGMENT)
    lived.undo(*WRONG)
    assert [(one.kind, one.event) for one in lived.again] == [("merge", "m3"), ("refuse", "m5")]
    assert told(lived.people) == told(never(log, IdentityRules(), WRONG))
    for owner in ("user_id:bob", "user_id:cleo"):
        edge = lived.people.profiles[lived.people.owners[owner]].edges[edge_key("user_id:cleo", TABLET)]
        assert (edge.rule, edge.event) == ("refused:user_id", "m5")


def test_what_was_left_out_with_it_and_broke_nothing_comes_too() -> None:
    log = [
        event("m1", user_id="ada", context=mail("b@example.com")),
        event("m2", at=1, user_id="bob", anonymous_id="tablet", context=mail("b@example.com")),
    ]
    lived = Lived(log, SEGMENT)
    assert TABLET not in lived.people.owners
    assert lived.decisions[-1].left_out == ("email:b@example.com", TABLET)
    lived.undo(ADA, "email:b@example.com")
    assert clusters(lived.people) == {frozenset([ADA]), frozenset([BOB, "email:b@example.com", TABLET])}
    assert told(lived.people) == told(never(log, IdentityRules(), (ADA, "email:b@example.com")))


def test_what_nothing_is_against_any_more_may_come_again_though_it_is_left_out_again() -> None:
    rules = IdentityRules(limits={"user_id": Limit(1), "anonymous_id": Limit(1)})
    log = [
        event("m1", anonymous_id="tablet"),
        event("m2", at=1, user_id="ada", anonymous_id="phone"),
        event("m3", at=2, user_id="cleo", context=mail("c@example.com")),
        event("m4", at=3, user_id="ada", anonymous_id="tablet", context=mail("c@example.com")),
    ]
    wrong = (ADA, "anonymous_id:phone")
    lived = Lived(log, replace(DEFINITIONS, identity=rules))
    lived.undo(*wrong)
    assert lived.people.owners[ADA] != lived.people.owners[TABLET]
    more = event("m5", at=4, user_id="ada", anonymous_id="tablet")
    lived.fold(more)
    assert lived.people.owners[ADA] == lived.people.owners[TABLET]
    assert clusters(lived.people) == clusters(never([*log, more], rules, wrong))


def test_what_was_left_out_is_not_tied_because_another_edge_is_taken_back() -> None:
    log = [
        event("m1", user_id="cleo", context=mail("c@example.com")),
        event("m2", at=1, user_id="ada", anonymous_id="tablet", context=mail("c@example.com")),
        event("m3", at=2, anonymous_id="tablet", context=mail("a@example.com")),
        event("m4", at=3, user_id="ada", context=mail("a@example.com")),
    ]
    wrong = (ADA, "email:a@example.com")
    lived = Lived(log, SEGMENT)
    assert lived.people.owners[ADA] == lived.people.owners[TABLET]
    lived.undo(*wrong)
    assert lived.people.owners[ADA] != lived.people.owners[TABLET]
    assert told(lived.people) == told(never(log, IdentityRules(), wrong))


def test_what_somebody_has_parted_stays_so() -> None:
    lived = Lived(REFUSED, SEGMENT)
    lived.undo(*WRONG)
    lived.undo(BOB, TABLET, "request-2")
    assert not lived.again
    lived.fold(event("m6", at=9, user_id="ada", anonymous_id="tablet"))
    lived.fold(event("m7", at=9, user_id="bob", anonymous_id="tablet"))
    assert clusters(lived.people) == {frozenset([ADA, "anonymous_id:phone"]), frozenset([BOB]), frozenset([TABLET])}


def test_what_the_rules_keep_apart_by_now_stays_so() -> None:
    lived = Lived(REFUSED, SEGMENT)
    kept = IdentityRules(apart=frozenset({edge_key(BOB, TABLET)}))
    lived.people.definitions = replace(DEFINITIONS, identity=kept)
    lived.undo(*WRONG)
    assert clusters(lived.people) == {frozenset([ADA, "anonymous_id:phone"]), frozenset([BOB]), frozenset([TABLET])}


def test_what_was_set_aside_since_ties_nothing() -> None:
    rules = IdentityRules(shared=2)
    log = [*REFUSED, event("m5", at=4, user_id="cleo", anonymous_id="tablet")]
    lived = Lived(log, replace(DEFINITIONS, identity=rules))
    assert TABLET in lived.people.set_aside
    lived.undo(*WRONG)
    assert not lived.again
    assert TABLET not in lived.people.owners


def test_what_a_profile_has_forgotten_of_its_refusals_is_asked_about_too() -> None:
    more = [
        event(f"n{n}", at=10 + n, user_id=f"u{n}", context=mail(f"a{n // 9}@example.com"))
        for n in range(MOST_REFUSED + 9)
    ]
    theirs = [
        event(f"e{n}", at=4, user_id="ada", context=mail(f"a{n}@example.com")) for n in range(1 + MOST_REFUSED // 9 + 1)
    ]
    rules = IdentityRules(limits={"user_id": Limit(1)})
    log = [*REFUSED, *theirs, *more]
    lived = Lived(log, replace(DEFINITIONS, identity=rules))
    ada = lived.people.profiles[lived.people.owners[ADA]]
    assert edge_key(BOB, TABLET) not in ada.edges
    lived.undo(*WRONG)
    assert lived.people.owners[BOB] == lived.people.owners[TABLET]
    assert clusters(lived.people) == clusters(never(log, rules, WRONG))


def test_if_they_stay_one_nobody_has_more_room() -> None:
    other = [
        event("n0", type_="alias", user_id="ada", previous_id="watch"),
        event("n1", at=1, anonymous_id="watch", context=mail("a@example.com")),
        event("n2", at=2, anonymous_id="tablet", context=mail("a@example.com")),
    ]
    lived = Lived([*other, *REFUSED[1:]], SEGMENT)
    decision, _, _ = lived.undo(*WRONG)
    assert (decision.parts, lived.again) == ((), [])


def test_carried_out_from_the_log_it_comes_to_the_same() -> None:
    lived = Lived(REFUSED, SEGMENT)
    lived.undo(*WRONG)
    again = People("main", SEGMENT)
    for decision in lived.decisions:
        again.recall(decision)
    assert again.owners == lived.people.owners
    for past in lived.events:
        assert again.fold(past.event, (past.partition, past.offset)).decision is None
    refused = {name for refusal in lived.refused for name in refusal.shown}
    assert comparable(again, refused) == comparable(lived.people, refused)


IDS = st.tuples(
    st.sampled_from(["u1", "u2", "u3", None]),
    st.sampled_from(["a1", "a2", "a3", None]),
    st.sampled_from(["e1@example.com", "e2@example.com", None]),
).filter(any)


@st.composite
def crowded(draw: st.DrawFn) -> list[Event]:
    """Draw a log in which nearly each event shows two identifiers or three, of few: limits are hit all the time."""
    log = []
    for place in range(draw(st.integers(2, 9))):
        user, device, address = draw(IDS)
        log.append(
            bought(
                f"m{place}",
                draw(st.sampled_from([1, 10, 100])),
                at=draw(st.integers(0, 3)),
                received=place,
                user_id=user,
                anonymous_id=device,
                context=b"{}" if address is None else mail(address),
            )
        )
    return log


@st.composite
def limited(draw: st.DrawFn) -> IdentityRules:
    """Draw rules with limits that hold for ever."""
    others = st.sampled_from([None, Limit(1), Limit(2)])
    limits = {"user_id": Limit(1), "email": draw(others), "anonymous_id": draw(others)}
    return IdentityRules(
        limits={kind: limit for kind, limit in limits.items() if limit is not None},
        identifiers=draw(st.sampled_from([1000, 4])),
        shared=None,
    )


def comparable(people: People, refused: Collection[str]) -> list[dict[str, Any]]:
    """All that is told of people, but for which event tied what had been refused, and when that was shown."""
    return [
        {
            **one,
            "identifiers": {name: at for name, at in one["identifiers"].items() if name not in refused},
            "sightings": {name: first for name, first in one["sightings"].items() if name not in refused},
            "edges": {ends: edge for ends, edge in one["edges"].items() if not (set(ends) & set(refused))},
            "tied": one["edges"].keys(),
            "theirs": one["identifiers"].keys(),
        }
        for one in told(people)
    ]


def free(lived: Lived) -> bool:
    """Whether anything was left out again though nothing is against it."""
    told = {edge_key(edge.a, edge.b) for one in lived.again for edge in one.edges}
    return any(pair not in told for one in lived.again for pair in one.pairs_left_out)


@LAWS
@given(crowded(), limited(), st.integers(0, 1000), st.integers(2, 9))
def test_after_an_unmerge_people_are_those_of_a_run_without_the_edge_though_limits_were_hit(
    log: list[Event], rules: IdentityRules, which: int, cut: int
) -> None:
    lived = Lived(log[:cut], replace(DEFINITIONS, identity=rules))
    ties = sorted(pairs(lived.people))
    if not ties:
        return
    tie = ties[which % len(ties)]
    stay = pairs(lived.people) - {tie}
    lived.undo(*tie)

    # What was tied stays, no limit is exceeded, and each event is somebody's, once.
    assert stay <= pairs(lived.people) | {tie}
    for profile in lived.people.profiles.values():
        counts = Counter(one.partition(":")[0] for one in profile.identifiers)
        assert all(counts[kind] <= limit.values for kind, limit in rules.limits.items())
        assert profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS) == profile
    kept = Counter(lived.people.keeper(past.profile) for past in lived.events)
    assert kept == {one.id: one.events for one in lived.people.profiles.values()}
    # If that run would have tied all that was tied, and nothing can have come again in it that was left out though no
    # limit was against it, this is that run.
    if stay <= pairs(never(log[:cut], rules, tie)) and not free(lived):
        refused = {name for refusal in lived.refused for name in refusal.shown}
        lived.fold(*log[cut:])
        assert comparable(lived.people, refused) == comparable(never(log, rules, tie), refused)


def test_no_more_follows_than_the_log_takes_at_once() -> None:
    lived = Lived(REFUSED, SEGMENT)
    decision, _, _ = lived.undo(*WRONG)
    long = structs.replace(lived.again[0], left_out=tuple(f"email:{n}" for n in range(400_000)))
    records, again = at_once(decision, [long] * 5)
    assert len(again) == 2
    assert codec.Decoder(Decision).decode(records.count, records.body) == [decision, *again]
