"""Audiences of every sort over the demo's people: kept, explained, written as SQL and looked up, they are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import asyncpg
import pytest

import shop_audiences
from acceptance.shop_figures import shop_figures
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import SystemRuntime
from obverse.core import conditions, json_values, profiles
from obverse.core.conditions import (
    AUDIENCE,
    Did,
    Every,
    Explanation,
    Member,
    Not,
    Some,
    Steps,
    compiled,
    parts_of,
)
from obverse.core.conditions.sql.reading import parse_sql
from obverse.core.conditions.sql.writing import as_sql
from obverse.core.definitions import Definitions, reader
from obverse.core.events import Event
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.spans import DAY, HOUR
from obverse.flows.preview import NodeView, Preview
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Stream
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileRow, ProfileStore, StoredEvent, StoreWriter
from services import Database
from stores import store_at

pytestmark = pytest.mark.service

AUDIENCES: Final = 30
"""At least so many."""


class SetRuntime(SystemRuntime):
    """A runtime whose clock stands where it was set."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    def now(self) -> int:
        return self.at


@dataclass
class World:
    """People who are folded here, and kept in two stores."""

    definitions: Definitions
    people: People
    stores: Mapping[str, ProfileStore]
    writers: Sequence[StoreWriter]
    runtime: SetRuntime = field(default_factory=SetRuntime)
    folded: int = 0
    decided: int = 0

    async def go_on(self, story: Sequence[Event], now: int) -> None:
        """Fold what has arrived by then, have time go on until then, and write a checkpoint."""
        events: list[StoredEvent] = []
        decisions: list[Decision] = []
        while self.folded < len(story) and story[self.folded].received_at <= now:
            event = story[self.folded]
            done = self.people.fold(event, (0, self.folded))
            if done.decision is not None:
                decisions.append(done.decision)
            if done.profile is not None and not done.repeated:
                events.append(StoredEvent(done.profile.id, 0, self.folded, event))
            self.folded += 1
        for profile in self.people.profiles.values():
            profiles.advance(profile, now, self.definitions)
        # Once: a row tells what has moved since it was made before.
        rows = [ProfileRow.of(one, self.definitions) for one in self.people.profiles.values()]
        for writer in self.writers:
            await writer.commit(
                Checkpoint(
                    marks={Stream.EVENTS: {0: self.folded}},
                    profiles=rows,
                    absorbed=dict(self.people.absorbed),
                    decisions=[KeptDecision(self.decided + place, one) for place, one in enumerate(decisions)],
                    events=[writer.pack(events)],
                )
            )
        self.decided += len(decisions)
        self.runtime.at = now

    async def numbered(self, store: ProfileStore) -> Mapping[int, bytes]:
        """Everybody's number in a store, and who it is."""
        numbers = list((await store.select([], now=self.runtime.at)).everybody)
        packed = await store.numbered(numbers)
        return {number: profiles.unpack(one, self.definitions).id for number, one in zip(numbers, packed, strict=True)}


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    definitions = shop_audiences.definitions()
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(store_at(database.dsn("obverse_worker")))
        memory = await open_profile_store(MemoryStoreSettings(), SystemRuntime())
        stack.push_async_callback(memory.close)
        writers = [await store.open_writer(WRITER) for store in (postgres, memory)]
        for writer in writers:
            stack.push_async_callback(writer.close)
        yield World(definitions, People("main", definitions), {"postgres": postgres, "memory": memory}, writers)


async def test_all_ways_to_tell_who_is_in_an_audience_agree(world: World, database: Database) -> None:
    story, definitions = shop_audiences.story(), world.definitions
    assert len(definitions.audiences) >= AUDIENCES
    sizes: Counter[str] = Counter()
    for now in (story[len(story) // 2].received_at + HOUR, story[-1].received_at + 9 * DAY):
        await world.go_on(story, now)
        everybody = world.people.profiles
        members, nodes = judged(world, now)
        sizes.update({name: min(len(those), len(everybody) - len(those)) for name, those in members.items()})
        assert await kept_members(database) == {name: those for name, those in members.items() if those}
        for kind, store in world.stores.items():
            known = await world.numbered(store)
            assert set(known.values()) == everybody.keys()
            preview = Preview(store, lambda: definitions, world.runtime)
            # All at once, as each look of the memory store reads everybody anew.
            await preview.people(
                Some(tuple(part for one in definitions.audiences for part in (one.where, Member(AUDIENCE, one.name))))
            )
            for audience in definitions.audiences:
                name = audience.name
                numbers = await preview.people(audience.where)
                assert {known[one] for one in numbers} == members[name], (kind, name)
                assert await preview.people(Member(AUDIENCE, name)) == numbers, (kind, name)
                seen = await preview.preview(audience.where, overlaps=False)
                assert (seen.people, seen.count) == (len(everybody), len(members[name]))
                assert dict(counts(seen.node)) == {path: nodes[name, path] for path, _ in counts(seen.node)}, name
    assert world.folded == len(story)
    figures = shop_figures()
    # Nearly all must tell some people from others, or they would prove little.
    assert sum(1 for one in definitions.audiences if sizes[one.name] > 0) > len(definitions.audiences) - 8, sizes
    assert {name: len(members[name]) for name in figures.audiences} == figures.audiences
    assert len(everybody) == figures.profiles


def judged(world: World, now: int) -> tuple[dict[str, set[bytes]], Counter[tuple[str, tuple[int, ...]]]]:
    """Who is kept in each audience, and for how many each node holds; everything else that tells it must agree."""
    definitions = world.definitions
    readers = partial(reader, definitions.trait_of_name)
    audiences = {one.name: one.where for one in definitions.audiences}
    members: dict[str, set[bytes]] = {name: set() for name in audiences}
    nodes: Counter[tuple[str, tuple[int, ...]]] = Counter()
    traits = {one.id: profiles.computed_traits(one, definitions) for one in world.people.profiles.values()}
    for audience in definitions.audiences:
        name = audience.name
        of_sql = compiled(parse_sql(as_sql(audience.where)), readers, audiences)
        for profile in world.people.profiles.values():
            standing = profile.audiences.get(name)
            member = standing is not None and standing.member
            reason = definitions.explain(audience, profile, now)
            assert reason.holds is member is definitions.holds[name](profile, now) is of_sql(profile, now), (
                name,
                profile.identifiers,
                reason,
            )
            assert_names_the_value(reason, profile, traits[profile.id], now)
            nodes.update((name, path) for path, one in told(reason) if one.holds)
            if member:
                members[name].add(profile.id)
    return members, nodes


def assert_names_the_value(reason: Explanation, profile: Profile, traits: Mapping[str, Any], now: int) -> None:
    """What is said to have been found is what the profile has, and it tells the verdict."""
    match reason.condition:
        case conditions.Test(subject="trait", name=name):
            assert reason.value == traits.get(name)
        case conditions.Test(subject="attribute", name=name):
            told = profile.attributes.get(name)
            assert json_values.encode(reason.value) == (b"null" if told is None else canonical(told[0].value))
        case conditions.Test(subject="consent", name=name):
            assert reason.value is profile.consented(name)
        case conditions.Test(subject="identifier", name=name):
            assert sorted(f"{name}:{one}" for one in reason.value) == sorted(
                one for one in profile.identifiers if one.startswith(f"{name}:")
            )
        case Did(times=times):
            count = len(reason.value)
            assert reason.holds is (times.least <= count and (times.most is None or count <= times.most))
        case Steps(within=within):
            # A sequence that is over at an instant is within an hour of it while less than the hour has passed.
            assert reason.holds is any(within is None or at > now - within for at in reason.value)
            assert all(at <= now for at in reason.value)
        case Member():
            assert_names_the_standing(reason, reason.condition, profile)
        case Every() | Some() | Not():
            assert reason.value is None
        case _:
            raise AssertionError(f"nobody says what is to be found of {reason.condition}")
    for part in reason.parts:
        assert_names_the_value(part, profile, traits, now)


def assert_names_the_standing(reason: Explanation, member: Member, profile: Profile) -> None:
    """The groups that somebody is in are told; of an audience since when, and its own condition stands below."""
    if member.subject == AUDIENCE:
        assert reason.value == profile.audiences.get(member.name)
        assert reason.holds is (reason.value is not None and reason.value.member)
        assert [part.holds for part in reason.parts] == [reason.holds]
    else:
        assert reason.value == sorted(profile.groups)
        assert reason.holds is (member.name in reason.value)


def canonical(text: bytes) -> bytes:
    """A value as it was sent, in one spelling."""
    return json_values.encode(json_values.lenient(text))


def told(reason: Explanation, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Explanation]]:
    """Every node with its path; another audience's condition is none of this one's nodes."""
    yield path, reason
    if parts_of(reason.condition):
        for place, part in enumerate(reason.parts):
            yield from told(part, (*path, place))


def counts(node: NodeView, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], int]]:
    """For how many each node holds, by its path."""
    yield path, node.count
    for place, part in enumerate(node.of):
        yield from counts(part, (*path, place))


async def kept_members(database: Database) -> dict[str, set[bytes]]:
    """Who is in each audience, as plain SQL reads it."""
    connection = await asyncpg.connect(database.dsn())
    try:
        rows = await connection.fetch(
            "select audience, array_agg(profile_id) as those from audience_members group by 1"
        )
    finally:
        await connection.close()
    return {row["audience"]: {one.bytes for one in row["those"]} for row in rows}
