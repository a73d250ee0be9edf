"""From one engine to buckets and back: whoever folds goes on where the store is, and nobody notices."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import cast

import pytest

from buckets import Host, Source
from engine_parts import memory_parts
from obverse.adapters._buckets.engine import BucketedEngine, BucketedSettings
from obverse.adapters._buckets.keeper import KeeperSettings
from obverse.adapters._buckets.recalling import turns_from
from obverse.adapters._buckets.routing import RouterSettings
from obverse.adapters.embedded.engine import EmbeddedEngine, EmbeddedSettings
from obverse.contracts.engine import shown_on
from obverse.contracts.engine_groups import calls, groups_kept
from obverse.contracts.engine_steps import Placed, append, expected, kept, read, reduced
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event
from obverse.core.identity import Decision, IdentityRules
from obverse.flows.retain import Retain
from obverse.ports.engine import WRITER, Engine, EngineParts
from obverse.ports.event_log import Stream

SEEDS = int(os.environ.get("OBVERSE_BUCKET_SEEDS", "6"))
PATIENCE = 60.0
BUCKETED = BucketedSettings(
    router=RouterSettings(buckets=4, turn_events=17, tick_seconds=0.02, idle_seconds=0.005),
    keeper=KeeperSettings(look_seconds=0.005),
)
EMBEDDED = EmbeddedSettings(checkpoint_seconds=0.02, idle_seconds=0.01, checkpoint_events=50)
RULES = define(
    traits=DEFINITIONS.traits,
    audiences=DEFINITIONS.audiences,
    identity=IdentityRules(unique=frozenset({"user_id"}), shared=4),
)
"""Identifiers are taken from each other, and set aside: many decisions move profiles of other buckets."""


@dataclass
class Told:
    """A story that is told to one engine after another, over the same log and store."""

    parts: EngineParts
    story: Sequence[Event]
    dice: Random
    host: Host
    placed: list[Placed] = field(default_factory=list)

    async def tell(self, end: int) -> None:
        """Tell it up to there."""
        self.placed += await append(self.parts, self.story[len(self.placed) : end], batch=self.dice.randint(1, 20))

    async def embedded(self, *, drains: bool = False) -> None:
        """Have the embedded engine fold for a moment, or all, and be killed."""
        await self._fold(EmbeddedEngine(EMBEDDED, self.parts), drains=drains)

    async def bucketed(self, *, drains: bool = False) -> None:
        """The same in buckets, whose host goes on where it was."""
        hosting = self.parts.runtime.spawn("host", self.host.run())
        await self._fold(self._in_buckets(), drains=drains)
        await hosting.stop()

    async def is_not_trimmed(self) -> None:
        """See that nothing that was routed is let go of while the host cannot read it."""
        parts = self.parts
        before = await parts.log.bounds(Stream.ROUTED)
        retain = Retain(parts.log, cast("Engine", None), parts.store, parts.runtime, days=None, routed_hours=0)
        await retain.trim_routed()
        assert await parts.log.bounds(Stream.ROUTED) == before

    async def routed(self) -> None:
        """Decide on all and route it, while nobody folds it."""
        work = self.parts.runtime.spawn("engine", self._in_buckets().run())
        async with asyncio.timeout(PATIENCE):
            while await self._reached() < len(self.placed):
                await self.parts.runtime.sleep(0.01)
        await work.stop()
        marks = (await self.parts.store.overview()).marks.get(WRITER, {})
        assert marks.get(Stream.EVENTS, {}).get(0, 0) < len(self.placed)

    def _in_buckets(self) -> BucketedEngine:
        return BucketedEngine(
            BUCKETED, self.host.described(self.parts), partial(Source, self.host, Random(self.dice.random()))
        )

    async def _reached(self) -> int:
        first, end = (await self.parts.log.bounds(Stream.ROUTED))[0]
        return max([turn.events_end async for _, turn, _ in turns_from(self.parts.log, first, end)], default=0)

    async def _fold(self, engine: Engine, *, drains: bool) -> None:
        work = self.parts.runtime.spawn("engine", engine.run())
        if drains:
            await asyncio.wait_for(engine.drain(), PATIENCE)
        else:
            await self.parts.runtime.sleep(self.dice.random() * 0.3)
        await work.stop()

    async def is_exact(self) -> None:
        """See that all is as if one had folded it."""
        parts, placed, definitions = self.parts, self.placed, self.parts.definitions()
        assert len(placed) == len(self.story)
        assert await kept(parts, placed) == expected(placed, definitions)
        assert await groups_kept(parts) == reduced(placed, definitions).groups
        assert (await parts.store.overview()).events == len({(one.source, one.message_id) for _, _, one in placed})
        decided = Counter(one.event for one in await read(parts, Stream.DECISIONS, Decision))
        assert [one for one, count in decided.items() if count > 1] == []


async def told(seed: int, definitions: Definitions) -> Told:
    """A story of people who are merged, late and seen twice; of devices that several share; of groups."""
    dice = Random(seed + 2000)
    story = tell(seed=seed, people=12, events=200)
    for device in range(4):
        story += shown_on(f"tablet-{device}", [dice.randrange(8) for _ in range(12)], name=f"shared-{seed}-{device}")
    story += calls(seed, 20)
    dice.shuffle(story)
    parts = replace(await memory_parts(1), definitions=lambda: definitions)
    host = Host(parts, buckets=4, dice=Random(seed + 1000))
    return Told(parts, [*story, *dice.sample(story, 30)], Random(seed), host)


@pytest.mark.parametrize("definitions", [DEFINITIONS, RULES], ids=["plain", "rules"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_embedded_engine_goes_on_where_buckets_were(seed: int, definitions: Definitions) -> None:
    one = await told(seed, definitions)
    first, second, third = sorted(one.dice.sample(range(60, len(one.story)), 3))
    await one.tell(first)
    await one.bucketed()
    await one.tell(second)
    await one.routed()
    await one.tell(third)
    await one.embedded()
    await one.tell(len(one.story))
    await one.embedded(drains=True)
    await one.is_exact()


@pytest.mark.parametrize("definitions", [DEFINITIONS, RULES], ids=["plain", "rules"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_buckets_go_on_where_the_embedded_engine_was(seed: int, definitions: Definitions) -> None:
    one = await told(seed, definitions)
    await one.tell(one.dice.randrange(60, 200))
    await one.embedded()
    await one.tell(len(one.story))
    await one.bucketed()
    await one.bucketed(drains=True)
    await one.is_exact()


@pytest.mark.parametrize("definitions", [DEFINITIONS, RULES], ids=["plain", "rules"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_there_and_back_again(seed: int, definitions: Definitions) -> None:
    """The buckets know people by then who have been merged, and moved, since."""
    one = await told(seed, definitions)
    first, second, third, fourth = sorted(one.dice.sample(range(30, len(one.story)), 4))
    await one.tell(first)
    await one.bucketed(drains=one.dice.random() < 0.5)
    await one.tell(second)
    await one.embedded(drains=one.dice.random() < 0.5)
    await one.is_not_trimmed()
    await one.tell(third)
    await one.bucketed()
    await one.tell(fourth)
    await one.routed()
    await one.embedded()
    await one.tell(len(one.story))
    await one.bucketed()
    await one.bucketed(drains=True)
    await one.is_exact()
