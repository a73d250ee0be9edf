"""Unmerging one after another: what the first has parted and said stays, and each equals a run without these edges."""

from __future__ import annotations

from collections import Counter

from obverse.core.identity import profile_id
from people_steps import bought, event
from unmerging_steps import Lived, apart, told

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
