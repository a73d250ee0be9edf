"""
Very many who share one device, one address and a user id of "null": they stay apart, and nothing grows with them.

`make identity` runs this with a million.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import Any

from identity_steps import size, tell
from obverse.core import changes, profiles
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import Profile
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


def test_who_shares_a_till_an_address_and_null_stays_apart_and_nothing_grows_with_them() -> None:
    people, told = People("main", DEFINITIONS), Counter[tuple[str, str]]()
    moved: dict[bytes, Counter[str]] = {}
    source, offset, began = crowd(SHARING), 0, perf_counter()
    while some := list(islice(source, 4 * TURN)):
        touched: dict[bytes, Profile] = {}
        for one in some:
            folded = people.fold(one, (0, offset))
            offset += 1
            assert folded.profile is not None
            touched[folded.profile.id] = folded.profile
            for change in folded.changes:
                told[change.kind, change.name] += 1
                if change.kind in {changes.ENTERED, changes.LEFT}:
                    moved.setdefault(change.profile, Counter())[change.name] += 1
        for profile in touched.values():  # as the engine has them after a checkpoint
            profile.kept(profile.packed_known() if profile.known_moved else None)
            profile.rest(DEFINITIONS)
    seconds = perf_counter() - began

    assert len(people.profiles) == SHARING
    assert "user_id:null" not in people.owners
    assert people.absorbed == {}
    # The first keeps what is shared, and all that is done at the till by nobody in particular is theirs.
    first = people.profiles[people.owners["user_id:u0"]]
    assert first.identifiers.keys() == {"user_id:u0", "anonymous_id:till", "email:test@x"}
    assert first.events == 2 * SHARING + 2
    assert len(first.edges) == 3  # u0 with both, and the address with the till
    largest = 0
    for profile in people.profiles.values():
        if profile is not first:
            assert len(profile.identifiers) == 1
            assert len(profile.edges) <= 2
            assert profile.events == 2
            largest = max(largest, len(profiles.pack(profile, DEFINITIONS)))
    assert largest <= LARGEST
    # Nobody enters or leaves an audience but for what they did themselves, each once.
    assert not {changes.MERGED, changes.LEFT} & {kind for kind, _ in told}
    assert all(count == 1 for audiences in moved.values() for count in audiences.values())
    assert {name: told[changes.ENTERED, name] for name in ("buyers", "big")} == dict.fromkeys(
        ("buyers", "big"), SHARING
    )
    # A refusal is decided once for each who shares, and not for each event.
    refusals = sum(edge.refused for profile in people.profiles.values() for edge in profile.edges.values())
    assert refusals == 2 * (SHARING - 1)
    tell(
        sharing=SHARING,
        events=offset,
        us_per_event=round(seconds / offset * 1_000_000, 1),
        bytes_of_the_largest=largest,
        bytes_of_the_first=len(profiles.pack(first, DEFINITIONS)),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )
