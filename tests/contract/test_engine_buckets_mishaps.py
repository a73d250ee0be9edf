"""Whatever becomes of a host of buckets: the same profiles as a plain reduce, and nothing twice."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from buckets import Host, Source, quick
from engine_parts import memory_parts
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.contracts.engine import shown_on
from obverse.contracts.engine_groups import calls, groups_kept
from obverse.contracts.engine_steps import Placed, append, expected, kept, read, reduced
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core.changes import Change
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event
from obverse.core.identity import Decision, IdentityRules
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream

SEEDS = int(os.environ.get("OBVERSE_BUCKET_SEEDS", "6"))
PATIENCE = 60.0
QUICK = quick(4, 17, profiles_in_memory=5, look_seconds=0)
RULES = define(
    traits=DEFINITIONS.traits,
    audiences=DEFINITIONS.audiences,
    identity=IdentityRules(unique=frozenset({"user_id"}), shared=4),
)
"""Identifiers are taken from each other, and set aside: many decisions move profiles of other buckets."""


def story_of(dice: Random, seed: int) -> list[Event]:
    """People who are merged, late and seen twice; devices that several share; groups."""
    story = tell(seed=seed, people=12, events=150)
    for device in range(4):
        story += shown_on(f"tablet-{device}", [dice.randrange(8) for _ in range(12)], name=f"shared-{seed}-{device}")
    story += calls(seed, 20)
    dice.shuffle(story)
    return [*story, *dice.sample(story, 30)]


def of_seed(seed: int) -> tuple[Random, Random, Random]:
    return Random(seed), Random(seed + 1000), Random(seed + 2000)


async def folded(parts: EngineParts, host: Host, dice: Random, *, runs: int, story: Sequence[Event]) -> list[Placed]:
    """Fold a story in several runs of router and keeper, each but the last killed somewhere, while the host goes on."""
    placed: list[Placed] = []
    at = 0
    for run in range(runs):
        end = len(story) if run == runs - 1 else at + dice.randrange(len(story) - at)
        if end > at:
            more = await append(parts, story[at:end], batch=dice.randint(1, 20))
            placed += more
        at = end
        engine = BucketedEngine(QUICK, host.described(parts), partial(Source, host, Random(run)))
        work = parts.runtime.spawn("engine", engine.run())
        if run < runs - 1:
            await parts.runtime.sleep(dice.random() * 0.2)
        else:
            await asyncio.wait_for(engine.drain(), PATIENCE)
            # What is told, is told once more than 50 ms later at most.
            await parts.runtime.sleep(0.1)
        await work.stop()
    return placed


@pytest.mark.parametrize("definitions", [DEFINITIONS, RULES], ids=["plain", "rules"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_host_that_crashes_and_reorders_ends_as_reduce(seed: int, definitions: Definitions) -> None:
    dice, hosts, stories = of_seed(seed)
    parts = replace(await memory_parts(1), definitions=lambda: definitions)
    host = Host(parts, buckets=4, dice=hosts)
    work = parts.runtime.spawn("host", host.run())
    story = story_of(stories, seed)
    placed = await folded(parts, host, dice, runs=4, story=story)
    await work.stop()

    assert host.crashes > 0
    assert host.moved > 0
    assert await kept(parts, placed) == expected(placed, definitions)
    assert await groups_kept(parts) == reduced(placed, definitions).groups
    new = {(event.source, event.message_id) for _, _, event in placed}
    assert (await parts.store.overview()).events == len(new)
    told = await read(parts, Stream.CHANGES, Change)
    twice = [
        one
        for one, count in Counter((c.profile, c.kind, c.name, c.number or c.event) for c in told).items()
        if count > 1
    ]
    assert twice == []
    decided = await read(parts, Stream.DECISIONS, Decision)
    assert len({one.event for one in decided}) == len(decided)
