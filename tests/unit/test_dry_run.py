"""Dry run: every decision taken anew under other rules, and what would be otherwise than today."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dry_run_steps import DAY, OPEN, SEGMENTS, TABLET, clusters, compared, of, refused
from obverse.apps.cli.dry_run import _tell
from obverse.contracts.lattice import LAWS
from obverse.core.definitions import Definitions
from obverse.core.dry_run import Cluster, DryRun, Missing, Pair
from obverse.core.events import Event
from obverse.core.identity import IdentityRules, Limit, id_text
from obverse.core.identity.differences import Difference, differences
from obverse.core.identity.evidence import ACCEPTED
from obverse.core.identity.kinds import Kind
from obverse.core.people import People
from obverse.core.unmerging import accept
from obverse.flows.dry_run import DryRunReport, LogRead
from people_steps import event


def test_who_would_merge_and_by_which_event_and_pair() -> None:
    today = of(SEGMENTS, *TABLET)
    found = compared(today, OPEN, *TABLET)
    assert (found.merged, found.merges, found.split, found.vanished) == (2, 1, 0, 0)
    (merge,) = found.largest_merges
    assert (merge.people, merge.identifiers) == (2, 4)
    ids = {name: id_text(today.owners[name]) for name in ("user_id:ada", "user_id:bob")}
    assert sorted(merge.of, key=lambda one: one.shown) == [
        Cluster(2, ["user_id:ada", "anonymous_id:tablet"], ids["user_id:ada"]),
        Cluster(2, ["user_id:bob", "anonymous_id:phone"], ids["user_id:bob"]),
    ]
    assert merge.because == [Pair("anonymous_id:tablet", "user_id:bob", "m2", "2026-01-01T00:00:01Z", "seen_together")]
    assert (found.before.people, found.after.people) == (2, 1)
    assert (found.before.refused, found.after.refused) == ({"user_id": 1}, {})
    assert [one.identifiers for one in found.after.largest] == [4]
    assert not found.alike


def test_who_would_split_and_into_which_parts() -> None:
    today = of(OPEN, *TABLET)
    found = compared(today, SEGMENTS, *TABLET)
    assert (found.merged, found.split) == (0, 1)
    (split,) = found.largest_splits
    assert split.person == Cluster(
        4,
        ["user_id:ada", "user_id:bob", "anonymous_id:phone", "anonymous_id:tablet"],
        id_text(today.owners["user_id:ada"]),
    )
    assert split.people == 2
    assert {tuple(part.shown) for part in split.parts} == {
        ("user_id:ada", "anonymous_id:tablet"),
        ("user_id:bob", "anonymous_id:phone"),
    }
    assert split.because == [Pair("anonymous_id:tablet", "user_id:bob", "m2", "2026-01-01T00:00:01Z", "user_id")]
    assert (found.before.refused, found.after.refused) == ({}, {"user_id": 1})


def test_a_person_may_lose_a_part_to_another() -> None:
    log = [*TABLET, event("m4", at=3, user_id="cleo", anonymous_id="phone")]
    today = of(IdentityRules(limits={"user_id": Limit(2)}), *log)
    assert clusters(today) == {
        frozenset({"user_id:ada", "user_id:bob", "anonymous_id:tablet", "anonymous_id:phone"}),
        frozenset({"user_id:cleo"}),
    }
    found = compared(today, IdentityRules(limits={"user_id": Limit(2)}, blocked=frozenset({"tablet"})), *log)
    assert (found.merged, found.merges, found.split) == (2, 1, 1)
    assert found.gone == Missing(1, ["anonymous_id:tablet"])


def test_what_is_blocked_is_gone_and_who_had_nothing_else_vanishes() -> None:
    log = [event("m1", anonymous_id="kiosk"), event("m2", user_id="ada", anonymous_id="a-1")]
    found = compared(of(OPEN, *log), IdentityRules(blocked=frozenset({"kiosk"})), *log)
    assert (found.gone, found.vanished) == (Missing(1, ["anonymous_id:kiosk"]), 1)
    assert (found.merged, found.split, found.alike) == (0, 0, False)
    back = compared(of(IdentityRules(blocked=frozenset({"kiosk"})), *log), OPEN, *log)
    assert (back.come, back.vanished) == (Missing(1, ["anonymous_id:kiosk"]), 0)
    assert back.alike, "somebody new is nobody of today"


def test_who_is_not_known_today_may_stand_between_two_who_merge() -> None:
    kiosk: dict[str, Any] = {"context": b'{"traits":{"email":"kiosk"}}', "anonymous_id": "kiosk"}
    log = [
        event("m1", user_id="ada", anonymous_id="kiosk"),
        event("m2", at=1, **kiosk),
        event("m3", at=2, user_id="bob", context=kiosk["context"]),
    ]
    found = compared(of(IdentityRules(blocked=frozenset({"kiosk"})), *log), OPEN, *log)
    (merge,) = found.largest_merges
    assert [(pair.a, pair.b, pair.event) for pair in merge.because] == [
        ("anonymous_id:kiosk", "user_id:ada", "m1"),
        ("anonymous_id:kiosk", "email:kiosk", "m2"),
        ("email:kiosk", "user_id:bob", "m3"),
    ]


def test_of_what_is_refused_only_that_is_told_which_parts_the_person() -> None:
    log = [*TABLET, event("m4", at=3, user_id="bob", anonymous_id="kiosk")]
    today = of(IdentityRules(limits={}, blocked=frozenset({"kiosk"})), *log)
    log.insert(0, event("m0", user_id="cleo", anonymous_id="kiosk"))
    (split,) = compared(today, SEGMENTS, *log).largest_splits
    assert [pair.event for pair in split.because] == ["m2"]


def test_what_somebody_has_taken_back_stays_apart_under_any_rules() -> None:
    run = DryRun("main", OPEN, Definitions(), frozenset({("anonymous_id:tablet", "user_id:bob")}))
    for one in TABLET:
        run.take(one)
    assert clusters(run.people) == {
        frozenset({"user_id:ada", "anonymous_id:tablet"}),
        frozenset({"user_id:bob", "anonymous_id:phone"}),
    }


def test_whom_somebody_has_said_to_be_one_stay_one_unless_the_rules_keep_them_apart() -> None:
    log = [event("m1", user_id="ada"), event("m2", at=1, user_id="bob")]
    ends = ("user_id:ada", "user_id:bob")
    today = of(SEGMENTS, *log)
    today.carry_out(accept(today, ends, log[0].stamp, ACCEPTED))
    for rules, splits in ((SEGMENTS, 0), (IdentityRules(apart=frozenset({ends})), 1)):
        run = DryRun("main", rules, Definitions())
        for one in log:
            run.take(one)
        run.accept([ends, ("user_id:ada", "user_id:gone")])
        told = run.compare(today.owners, refused(today), show=10)
        assert (told.alike, told.split) == (not splits, splits)


def test_only_the_largest_are_told_and_all_are_counted() -> None:
    log = [
        event(f"{house} {person}", user_id=f"user {house} {person}", anonymous_id=f"house {house}")
        for house in range(6)
        for person in range(house + 2)
    ]
    today = of(SEGMENTS, *log)
    found = compared(today, OPEN, *log, show=2)
    assert (found.merges, found.merged) == (6, 27)
    assert [one.people for one in found.largest_merges] == [7, 6]
    assert [len(one.of) for one in found.largest_merges] == [2, 2]
    assert [len(one.because) for one in found.largest_merges] == [2, 2]
    assert [one.identifiers for one in found.after.largest] == [8, 7]
    assert [len(one.shown) for one in found.after.largest] == [2, 2]
    apart = compared(of(OPEN, *log), SEGMENTS, *log, show=2)
    assert apart.split == 6
    assert [(one.people, len(one.parts), len(one.because)) for one in apart.largest_splits] == [(7, 2, 2), (6, 2, 2)]


def test_which_rules_differ_is_said_in_words() -> None:
    some = {"user_id": Limit(1), "email": Limit(5, 365 * DAY), "anonymous_id": Limit(5, 7 * DAY)}
    in_force = IdentityRules(blocked=frozenset({"test"}), limits=some)
    tried = IdentityRules(
        blocked=frozenset({"kiosk"}),
        limits={"email": Limit(2), "user_id": Limit(1), "phone": Limit(1, DAY)},
        merges=7,
        shared=None,
        added=(Kind("phone", "phone", "GB"), Kind("card")),
        unique=frozenset({"card"}),
        apart=frozenset({("user_id:1", "user_id:2")}),
        isolated=True,
    )
    assert differences(in_force, tried) == [
        Difference("blocked", "test", "kiosk"),
        Difference("limits.anonymous_id", "5 within 7 days", "none"),
        Difference("limits.email", "5 within 365 days", "2 ever"),
        Difference("limits.phone", "none", "1 within 1 day"),
        Difference("merges", "100", "7"),
        Difference("shared", "10", "none"),
        Difference("added.card", "none", "as_sent"),
        Difference("added.phone", "none", "phone GB"),
        Difference("unique", "none", "card"),
        Difference("apart", "none", "user_id:1 + user_id:2"),
        Difference("isolated", "no", "yes"),
    ]
    assert differences(SEGMENTS, IdentityRules()) == []
    many = IdentityRules(blocked=frozenset(f"value {number:02}" for number in range(12)))
    assert differences(SEGMENTS, many)[0].tried.endswith("value 09 and 2 more")


# The same as an engine's, over any log that comes in order.

SHOWN = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(["u1", "u2", "u3", "null"]),
        "anonymous_id": st.sampled_from(["a1", "a2", "a3", "a4"]),
        "email": st.sampled_from(["e1@example.com", "e2@example.com"]),
    },
)
RULES = st.builds(
    IdentityRules,
    blocked=st.sets(st.sampled_from(["u1", "a1"]), max_size=1).map(frozenset),
    limits=st.dictionaries(
        st.sampled_from(["user_id", "email", "anonymous_id"]),
        st.builds(Limit, st.integers(1, 3), st.sampled_from([None, 3, 10])),
    ),
    merges=st.integers(0, 3),
    identifiers=st.integers(2, 7),
    shared=st.none() | st.integers(1, 3),
    unique=st.sets(st.sampled_from(["user_id", "email"]), max_size=1).map(frozenset),
    isolated=st.booleans(),
)


def story(shown: list[tuple[dict[str, str], int]]) -> list[Event]:
    """Return events that come one second after another; each happened some seconds before."""
    log = []
    for place, (ids, before) in enumerate(shown):
        named: dict[str, Any] = {kind: value for kind, value in ids.items() if kind != "email"}
        context = b'{"traits":{"email":"%b"}}' % ids["email"].encode() if "email" in ids else b"{}"
        log.append(event(f"m{place}", at=place - before, received=place, context=context, **named))
    return log


LOGS = st.lists(st.tuples(SHOWN, st.integers(0, 5)), max_size=25).map(story)


@LAWS
@given(LOGS, RULES)
def test_under_the_rules_of_today_nothing_would_be_otherwise(log: list[Event], rules: IdentityRules) -> None:
    today = of(rules, *log)
    found = compared(today, rules, *log)
    assert found.alike
    assert (found.merges, found.largest_merges, found.largest_splits) == (0, [], [])
    assert (found.gone.count, found.come.count) == (0, 0)
    assert (found.before.people, found.before.identifiers) == (found.after.people, found.after.identifiers)
    assert found.before.refused == found.after.refused
    assert found.after.set_aside == len(today.set_aside)


@LAWS
@given(LOGS, RULES, RULES)
def test_under_other_rules_it_is_what_an_engine_would_make(
    log: list[Event], rules: IdentityRules, others: IdentityRules
) -> None:
    run = DryRun("main", others, Definitions())
    for one in [*log, *log[::2]]:
        run.take(one)
    real = of(others, *log, *log[::2])
    assert clusters(run.people) == clusters(real)
    assert refused(run.people) == refused(real)
    # And what is told adds up.
    today = of(rules, *log)
    found = run.compare(today.owners, refused(today), show=100)
    assert (found.after.people, found.after.refused) == (len(clusters(real)), dict(refused(real)))
    assert sum(one.people for one in found.largest_merges) >= found.merged
    assert (len(found.largest_merges), len(found.largest_splits)) == (found.merges, found.split)
    assert all(one.because for one in found.largest_merges)
    assert found.alike == (not found.vanished and clusters_of(today, real) == clusters_of(real, today))


def clusters_of(people: People, others: People) -> set[frozenset[str]]:
    """Return who is who of the identifiers that the others know too."""
    known = others.owners.keys()
    return {frozenset(found) for one in clusters(people) if (found := one & known)}


# Told to people.


def test_what_people_sent_is_told_as_text_and_obeyed_by_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    log = [
        event("m[red]1", user_id="[bold]ada[/bold]", anonymous_id="x\x1b[2J"),
        event("m2", at=1, user_id="bob", anonymous_id="x\x1b[2J"),
    ]
    found = compared(of(SEGMENTS, *log), OPEN, *log)
    _tell(DryRunReport(differences(SEGMENTS, OPEN), LogRead(2, 0, 1, 0, {0: 7}, 5), found))
    said = capsys.readouterr().out
    assert "[bold]ada[/bold]" in said
    assert "\x1b[2J" not in said
    assert "\\x1b[2J" in said
    for words in ("2 people would become 1", "5 within 7 days", "partition 0 before 7", "5 came after"):
        assert words in " ".join(said.split()), words


def test_nothing_otherwise_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(of(SEGMENTS, *TABLET), SEGMENTS, *TABLET)
    _tell(DryRunReport([], LogRead(3, 0, 0, 0, {}, 0), found))
    said = " ".join(capsys.readouterr().out.split())
    assert "The rules are those in force." in said
    assert "Nobody would merge, split or vanish." in said
