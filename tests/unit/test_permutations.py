"""
The same log gives the same people; and one that hits no limit does so in any order, with repetitions and latecomers.

`make identity` runs this with 10,000 events in 100 orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from random import Random
from typing import Any

import pytest
from msgspec import structs

from engine_parts import SettableRuntime, memory_parts
from identity_steps import digest_of, size, tell
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.contracts.engine_steps import Placed, append, load, read
from obverse.contracts.stories import DEFINITIONS
from obverse.contracts.stories import tell as tell_story
from obverse.core import profiles
from obverse.core.events import Event
from obverse.core.identity import REFUSED, Decision, IdentityRules, Limit, edge_key
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream
from permutation_steps import EVERY_SORT, THREE_DAYS, at_the_end, every_sort_of_event, shuffled

EVENTS, ORDERS, ENGINES = size("EVENTS", 600), size("ORDERS", 4), size("ENGINES", 1)
DAY = 24 * 3600
PATIENCE = 120


def reduced(placed: Sequence[Placed]) -> People:
    """Return the people of a plain reduce."""

    def step(people: People, one: Placed) -> People:
        people.fold(one[2], one[:2])
        return people

    return reduce(step, placed, People("main", EVERY_SORT))


def placed(events: Sequence[Event], dice: Random, partitions: int) -> list[Placed]:
    ends = [0] * partitions
    found: list[Placed] = []
    for event in events:
        partition = dice.randrange(partitions)
        found.append((partition, ends[partition], event))
        ends[partition] += 1
    return found


@pytest.fixture(scope="module")
def story() -> list[Event]:
    """Events that come in order, and happened up to three days before."""
    return every_sort_of_event(seed=14, people=max(5, EVENTS // 30), events=EVENTS)


@pytest.fixture(scope="module")
def expected(story: list[Event]) -> str:
    people = reduced([(0, offset, event) for offset, event in enumerate(story)])
    assert len(people.profiles) > 5
    assert people.absorbed, "somebody merged"
    everybody = at_the_end(people.profiles.values(), story)
    assert not any(edge.refused for profile in everybody for edge in profile.edges.values())
    # All that is defined moves somebody.
    entered = {name for one in everybody for name, standing in one.audiences.items() if standing.number}
    assert entered == {one.name for one in EVERY_SORT.audiences}
    assert {name for one in everybody for name, value in told(one).items() if value} == {
        one.name for one in EVERY_SORT.traits if not one.hidden
    }
    assert any(one.groups for one in everybody)
    assert any(one.consents for one in everybody)
    return digest_of(everybody, EVERY_SORT)


def told(profile: Profile) -> Mapping[str, Any]:
    return profiles.computed_traits(profile, EVERY_SORT)


def test_any_order_gives_the_people_of_reduce(story: list[Event], expected: str) -> None:
    for seed in range(ORDERS):
        dice = Random(seed)
        again = reduced(placed(shuffled(story, dice), dice, partitions=1 + seed % 7))
        assert digest_of(at_the_end(again.profiles.values(), story), EVERY_SORT) == expected, f"order {seed}"
    tell(events=EVENTS, orders=ORDERS, repeated=EVENTS * 3 // 10, digest=expected[:16])


@pytest.mark.parametrize("seed", range(ENGINES))
async def test_so_does_an_engine_over_partitions(story: list[Event], expected: str, seed: int) -> None:
    dice = Random(seed)
    parts = await memory_parts(4, EVERY_SORT)
    assert isinstance(parts.runtime, SettableRuntime)
    # What time has changed by then is changed when all of it is looked at, too.
    parts.runtime.set(story[-1].received_at + THREE_DAYS)
    there = await append(parts, shuffled(story, dice), batch=dice.randint(1, 500))
    engine = await open_engine(
        EmbeddedSettings(checkpoint_seconds=0.2, profiles_awake=0, rest_after=1, profiles_in_memory=50), parts
    )
    work = parts.runtime.spawn("engine", engine.run())
    await engine.drain()
    await work.stop()
    assert digest_of(at_the_end(await load(parts, there), story), EVERY_SORT) == expected


# With limits that are hit.

RULES = IdentityRules(
    limits={"user_id": Limit(1), "email": Limit(2, 2 * DAY), "anonymous_id": Limit(2, 2 * DAY)},
    merges=3,
    identifiers=9,
    shared=None,  # what is set aside is in `test_super_node`
)
LIMITED = replace(DEFINITIONS, identity=RULES)


def crowded(events: int, seed: int) -> list[Event]:
    """Return events of people who share devices, addresses and, by mistake, each other's accounts."""
    dice = Random(seed)
    people = max(4, events // 40)
    found = []
    for event in tell_story(seed=seed, people=people, events=events):
        ids: dict[str, Any] = {"anonymous_id": f"device {dice.randrange(2 * people)}"}
        if dice.random() < 0.6:
            ids["user_id"] = f"user {dice.randrange(people)}"
        if dice.random() < 0.3:
            ids["context"] = b'{"traits":{"email":"%d@example.com"}}' % dice.randrange(people)
        if dice.random() < 0.2:
            ids |= {"user_id": None}
        found.append(structs.replace(event, **ids))
    return found


def graph(everybody: Sequence[Profile]) -> list[Any]:
    return sorted(
        (sorted(profile.identifiers), sorted(profile.edges.items()), profile.merges, profile.events, profile.id)
        for profile in everybody
    )


def test_with_limits_no_limit_is_exceeded_each_event_has_one_profile_and_each_refusal_is_recorded() -> None:
    people, refused, log = People("main", LIMITED), 0, crowded(EVENTS, seed=1)
    for offset, event in enumerate(log):
        folded = people.fold(event, (0, offset))
        assert folded.profile is not None
        if folded.decision is not None and (folded.decision.identifiers or folded.decision.absorbed):
            assert_within(folded.profile, event.stamp.time)
        refused += assert_recorded(people, event)
    assert sum(profile.events for profile in people.profiles.values()) == len(log)
    assert people.owners == {one: profile.id for profile in people.profiles.values() for one in profile.identifiers}
    rules = {edge.rule for profile in people.profiles.values() for edge in profile.edges.values() if edge.refused}
    assert rules >= {REFUSED + rule for rule in ("user_id", "email", "anonymous_id", "merges", "identifiers")}
    tell(events=EVENTS, people=len(people.profiles), shown_and_not_tied=refused)


def assert_within(profile: Profile, at: int) -> None:
    """Count anew what a profile has just after it came to an identifier or took in another profile."""
    for kind, limit in RULES.limits.items():
        mine = [one for one in profile.identifiers if one.startswith(kind + ":")]
        if limit.within is not None:
            mine = [one for one in mine if profile.sightings[one].at > at - limit.within * 1_000_000]
        assert len(mine) <= limit.values, (kind, mine)
    assert profile.merges <= RULES.merges
    assert len(profile.identifiers) <= RULES.identifiers


def assert_recorded(people: People, event: Event) -> int:
    """
    Each identifier that was shown and is another's is so by a refusal that can be read.

    Or it was left out with a stronger one that was refused, and is free to come again. Returns how many they are.
    """
    strongest, *others = people.shown(event)
    keeper = people.profiles[people.owners[strongest]]
    edges = [keeper.edges.get(edge_key(strongest, other)) for other in others]
    apart = [place for place, other in enumerate(others) if people.owners.get(other) != keeper.id]
    for place in apart:
        assert any(edge is not None and edge.refused for edge in edges[: place + 1]), (event, others[place])
    return len(apart)


async def test_with_limits_the_same_log_gives_the_same_graph() -> None:
    story, outcomes = crowded(EVENTS, seed=2), []
    for batch, settings in (
        (7, EmbeddedSettings(slice_events=3, checkpoint_events=40, profiles_in_memory=5)),
        (EVENTS, EmbeddedSettings()),
    ):
        parts = await memory_parts(1, LIMITED)
        there = await append(parts, story, batch=batch)
        engine = await open_engine(settings, parts)
        work = parts.runtime.spawn("engine", engine.run())
        await engine.drain()
        await work.stop()
        outcomes.append(graph(await load(parts, there)))
    people = People("main", LIMITED)
    for offset, event in enumerate(story):
        people.fold(event, (0, offset))
    assert outcomes[0] == outcomes[1] == graph(list(people.profiles.values()))


async def folded(parts: EngineParts, settings: EmbeddedSettings, there: Sequence[Placed], *, until: int) -> list[Any]:
    """Fold until so many events are, and stop dead; return who there is in the store."""
    engine = await open_engine(settings, parts)
    work = parts.runtime.spawn("engine", engine.run())
    if until < len(there):
        async with asyncio.timeout(PATIENCE):
            while engine.progress.events < until:
                await parts.runtime.sleep(0.001)
    else:
        await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()
    return graph(await load(parts, there))


@pytest.mark.parametrize("batch", [5, 60])
async def test_with_limits_a_log_in_partitions_gives_the_graph_that_was_decided_however_often_it_is_folded(
    batch: int,
) -> None:
    """Which partition is read first decides who is first; what was decided holds, from the log of decisions."""
    parts = await memory_parts(3, LIMITED)
    there = await append(parts, crowded(EVENTS, seed=3), batch=batch)
    small = EmbeddedSettings(slice_events=3, turn_events=20, checkpoint_events=40, profiles_in_memory=5)
    rare = EmbeddedSettings(turn_events=20, checkpoint_events=10**9, checkpoint_seconds=1e9, idle_seconds=1e9)
    await folded(parts, small, there, until=EVENTS // 3)
    await folded(parts, rare, there, until=EVENTS * 2 // 3)
    whole = await folded(parts, EmbeddedSettings(), there, until=EVENTS)
    decided = await read(parts, Stream.DECISIONS, Decision)
    assert len({one.event for one in decided}) == len(decided), "nothing is decided twice"
    assert {edge.rule for one in decided for edge in one.edges} >= {REFUSED + "user_id", REFUSED + "email"}

    # In a store that knows nobody yet: all of it is recalled, and nothing is decided anew.
    fresh = await memory_parts(3, LIMITED)
    again = replace(parts, store=fresh.store, cache=fresh.cache)
    assert await folded(again, small, there, until=EVENTS) == whole
    assert await read(again, Stream.DECISIONS, Decision) == decided
