"""
Very many who share one device, one address and a user id of "null": they stay apart, and nothing grows with them.

`make identity` runs this with a million.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from time import perf_counter
from typing import Any

import pytest

from engine_parts import memory_parts
from identity_steps import size, tell
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.contracts.engine_steps import append, read
from obverse.core import changes, profiles
from obverse.core.changes import Change
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.profiles.merging import MOST_REFUSED
from obverse.core.profiles.window import LEAST
from obverse.core.profiles.window import SECONDS as DAY
from obverse.ports.event_log import Stream
from people_steps import DEFINITIONS as OPEN
from people_steps import bought, event

SHARING = size("SHARING", 3_000)
TURN = 1_000
THROUGH_ENGINE = 150
PATIENCE = 60
DEFINITIONS = define(traits=OPEN.traits, audiences=OPEN.audiences)
ADDRESS = b'{"traits":{"email":"test@x"}}'
LARGEST = 900
"""Packed bytes of one of them, at most."""


BOTH = pytest.mark.parametrize("rules", [IdentityRules(), IdentityRules(shared=None)], ids=["set aside", "refused"])


def crowd(people: int, *, apart: int = 1) -> Iterator[Event]:
    """
    Return what each does: signs in at the till, buys there, comes as "null", and as nobody.

    `apart`: seconds from one to the next.
    """
    for one in range(people):
        at = one * 4 * apart
        till: dict[str, Any] = {"anonymous_id": "till", "context": ADDRESS}
        yield event(f"{one}-seen", at=at, user_id=f"u{one}", **till)
        yield bought(f"{one}-bought", 20, at=at + apart, user_id=f"u{one}", **till)
        yield event(f"{one}-null", at=at + 2 * apart, user_id="null", **till)
        yield event(f"{one}-nobody", at=at + 3 * apart, anonymous_id="till")


@BOTH
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


@BOTH
def test_twice_as_many_who_share_take_no_more_of_whoever_was_first(rules: IdentityRules) -> None:
    """All that is held of the first, who has what is shared, is as large after twice as many."""
    some = LEAST // 2 + 50
    once, twice = held(rules, some), held(rules, 2 * some)
    assert once == twice
    assert once["window"] <= LEAST
    if rules.shared is None:
        assert once["window"] == LEAST, "else nothing of it would have been let go of yet"
        assert once["refused"] == MOST_REFUSED


def held(rules: IdentityRules, people: int) -> dict[str, int]:
    """How much of everything there is of the first of so many, and of the workspace beside the others."""
    everybody, run = People("main", replace(DEFINITIONS, identity=rules)), Run()
    # So far apart that a day has fewer events than the window keeps in any case.
    run.fold(everybody, crowd(people, apart=DAY // LEAST + 1))
    first = everybody.profiles[everybody.owners["user_id:u0"]]
    packed = profiles.unpack(profiles.pack(first, everybody.definitions), everybody.definitions)
    return {
        "identifiers": len(packed.identifiers),
        "sightings": len(packed.sightings),
        "tied": sum(not edge.refused for edge in packed.edges.values()),
        "refused": sum(edge.refused for edge in packed.edges.values()),
        "attributes": len(packed.attributes),
        "traits": len(packed.traits),
        "audiences": len(packed.audiences),
        "window": len(packed.seen),
        "known_bytes": len(profiles.parts(profiles.pack(first, everybody.definitions))[0]) // 1000,
        "owners": len(everybody.owners) - people,
        "set_aside": len(everybody.set_aside),
        "absorbed": len(everybody.absorbed),
    }


@BOTH
async def test_through_an_engine_nobody_enters_or_leaves_but_for_what_they_did(rules: IdentityRules) -> None:
    """A short form with a store and a cache, in partitions, stopped half way: told by the stream of changes."""
    parts = await memory_parts(2, replace(DEFINITIONS, identity=rules))
    settings = EmbeddedSettings(checkpoint_events=60, profiles_awake=0, rest_after=1, profiles_in_memory=20)
    story, entered = list(crowd(THROUGH_ENGINE)), Counter[tuple[bytes, str]]()
    for half in (story[: len(story) // 2], story[len(story) // 2 :]):
        await append(parts, half, batch=7)
        engine = await open_engine(settings, parts)
        work = parts.runtime.spawn("engine", engine.run())
        await asyncio.wait_for(engine.drain(), PATIENCE)
        assert await parts.cache.get("user_id:null") is None
        await work.stop()
    for change in await read(parts, Stream.CHANGES, Change):
        assert change.kind not in {changes.MERGED, changes.LEFT}, change
        if change.kind == changes.ENTERED:
            entered[change.profile, change.name] += 1
    assert set(entered.values()) == {1}
    names = Counter(name for _, name in entered)
    assert {name: names[name] for name in ("buyers", "big")} == dict.fromkeys(("buyers", "big"), THROUGH_ENGINE)

    kept = await parts.store.load([f"user_id:u{one}" for one in range(THROUGH_ENGINE)])
    everybody = [profiles.unpack(packed, DEFINITIONS) for packed in kept]
    assert len(everybody) == THROUGH_ENGINE
    # Whoever came first of the two partitions has what is shared, as long as anybody has.
    sharing = [one for one in everybody if len(one.identifiers) > 1]
    assert len(sharing) == (1 if rules.shared is None else 0)
    assert {one.identifier for one in await parts.store.set_aside()} == (
        set() if rules.shared is None else {"anonymous_id:till", "email:test@x"}
    )
    assert max(len(packed) for packed, one in zip(kept, everybody, strict=True) if one.events == 2) <= LARGEST
