"""
Very many who share one device, one address and a user id of "null": they stay apart, and nothing grows with them.

`make identity` runs this with a million.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from time import perf_counter
from typing import Any

import pytest

from identity_steps import size, tell
from obverse.core import changes, profiles
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.profiles.merging import MOST_REFUSED
from people_steps import DEFINITIONS as OPEN
from people_steps import bought, event

SHARING = size("SHARING", 3_000)
TURN = 1_000
DEFINITIONS = define(traits=OPEN.traits, audiences=OPEN.audiences)
ADDRESS = b'{"traits":{"email":"test@x"}}'
LARGEST = 900
"""Packed bytes of one of them, at most."""


def crowd(people: int) -> Iterator[Event]:
    """Return what each does: signs in at the till, buys there, comes as "null", and as nobody."""
    for one in range(people):
        at = one * 4
        till: dict[str, Any] = {"anonymous_id": "till", "context": ADDRESS}
        yield event(f"{one}-seen", at=at, user_id=f"u{one}", **till)
        yield bought(f"{one}-bought", 20, at=at + 1, user_id=f"u{one}", **till)
        yield event(f"{one}-null", at=at + 2, user_id="null", **till)
        yield event(f"{one}-nobody", at=at + 3, anonymous_id="till")


@pytest.mark.parametrize("rules", [IdentityRules(), IdentityRules(shared=None)], ids=["set aside", "refused"])
def test_who_shares_a_till_an_address_and_null_stays_apart_and_nothing_grows_with_them(rules: IdentityRules) -> None:
    people, run = People("main", replace(DEFINITIONS, identity=rules)), Run()
    began = perf_counter()
    run.fold(people, crowd(SHARING))
    seconds = perf_counter() - began

    assert len(people.profiles) == SHARING
    assert "user_id:null" not in people.owners
    assert people.absorbed == {}
    first = people.profiles[people.owners["user_id:u0"]]
    if rules.shared is None:
        # The first keeps what is shared, and all that is done at the till by nobody in particular is theirs.
        assert first.identifiers.keys() == {"user_id:u0", "anonymous_id:till", "email:test@x"}
        assert first.events == 2 * SHARING + 2
        assert run.nobodys == 0
    else:
        # It is nobody's once too many have shared it, and so is what is done there by nobody in particular.
        assert first.identifiers.keys() == {"user_id:u0"}
        assert people.set_aside.keys() == {"anonymous_id:till", "email:test@x"}
        shared_with = rules.shared + 1
        assert first.events == 2 + 2 * (shared_with - 1)
        assert run.nobodys == 2 * (SHARING - shared_with + 1)
    assert len(first.edges) <= 3 + MOST_REFUSED
    largest = 0
    for profile in people.profiles.values():
        if profile is not first:
            assert len(profile.identifiers) == 1
            assert len(profile.edges) <= 2
            assert profile.events == 2
            largest = max(largest, len(profiles.pack(profile, DEFINITIONS)))
    assert largest <= LARGEST
    # Nobody enters or leaves an audience but for what they did themselves, each once.
    assert not {changes.MERGED, changes.LEFT} & {kind for kind, _ in run.told}
    assert all(count == 1 for audiences in run.moved.values() for count in audiences.values())
    entered = {name: run.told[changes.ENTERED, name] for name in ("buyers", "big")}
    assert entered == dict.fromkeys(("buyers", "big"), SHARING)
    tell(
        sharing=SHARING,
        rules="set aside" if rules.shared else "refused",
        events=run.offset,
        us_per_event=round(seconds / run.offset * 1_000_000, 1),
        bytes_of_the_largest=largest,
        bytes_of_the_first=len(profiles.pack(first, DEFINITIONS)),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


@dataclass
class Run:
    """What was told while a log was folded."""

    offset: int = 0
    nobodys: int = 0
    """Events that identify nobody."""
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Changes, by kind and name."""
    moved: dict[bytes, Counter[str]] = field(default_factory=dict)
    """How often each profile has entered or left each audience."""

    def fold(self, people: People, source: Iterator[Event]) -> None:
        """Fold, and have profiles rest as the engine does after a checkpoint."""
        while some := list(islice(source, 4 * TURN)):
            touched: dict[bytes, Profile] = {}
            for one in some:
                folded = people.fold(one, (0, self.offset))
                self.offset += 1
                if folded.profile is None:
                    self.nobodys += 1
                    continue
                touched |= {profile.id: profile for profile in (folded.profile, *folded.others)}
                for change in folded.changes:
                    self.told[change.kind, change.name] += 1
                    if change.kind in {changes.ENTERED, changes.LEFT}:
                        self.moved.setdefault(change.profile, Counter())[change.name] += 1
            for profile in touched.values():
                profile.kept(profile.packed_known() if profile.known_moved else None)
                profile.rest(people.definitions)
