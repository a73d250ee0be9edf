"""Definitions that change while people are merged and everything crashes: all as if it had been so from the start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from buckets import Host, Source, quick
from engine_parts import memory_parts
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.adapters._buckets.histories import Given, NotComputed, Person, Wanted
from obverse.contracts.engine import shown_on
from obverse.contracts.engine_backfill import NEWEST, Changing
from obverse.contracts.engine_steps import Placed, append, expected, kept
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core import profiles
from obverse.core.definitions import Definitions, arriving
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.profiles import Profile
from obverse.ports.backfills import Phase
from obverse.ports.engine import EngineParts
from obverse.ports.outcomes import Unreachable

SEEDS = int(os.environ.get("OBVERSE_BUCKET_SEEDS", "3"))
PATIENCE = 120.0
RUNS = 5
QUICK = quick(4, 7, page_people=2, profiles_in_memory=5, look_seconds=0)
RULES = IdentityRules(unique=frozenset({"user_id"}), shared=4)


def story_of(dice: Random, seed: int) -> list[Event]:
    """Many who turn out to be fewer as time goes on: devices that several share, late events, duplicates."""
    story = tell(seed=seed, people=25, events=300)
    for device in range(4):
        story += shown_on(f"tablet-{device}", [dice.randrange(8) for _ in range(12)], name=f"shared-{seed}-{device}")
    dice.shuffle(story)
    return [*story, *dice.sample(story, 40)]


class Mishaps:
    """A story that is folded in several runs of router and keeper, while definitions change and the host crashes."""

    def __init__(self, parts: EngineParts, changing: Changing, seed: int) -> None:
        self.changing = changing
        self.parts = changing.given_to(parts)
        self.dice = Random(seed)
        self.host = Host(self.parts, buckets=4, dice=Random(seed + 1000))
        self.story = story_of(Random(seed + 2000), seed)
        self.placed: list[Placed] = []

    async def append(self, end: int) -> None:
        """Bring the story on to here, in small parts."""
        while len(self.placed) < end:
            some = self.story[len(self.placed) : min(end, len(self.placed) + self.dice.randint(1, 15))]
            self.placed += await append(self.parts, some, batch=len(some))
            await self.parts.runtime.sleep(self.dice.random() * 0.02)

    async def run(self, newest: Definitions) -> None:
        """Change definitions at some moment of some run; the last run goes on until all is folded and live."""
        changes_in = self.dice.randrange(RUNS)
        for run in range(RUNS):
            engine = BucketedEngine(QUICK, self.host.described(self.parts), partial(Source, self.host, Random(run)))
            work = self.parts.runtime.spawn("engine", engine.run())
            end = len(self.story) * (run + 1) // RUNS
            middle = self.dice.randint(len(self.placed), end)
            await self.append(middle)
            if run == changes_in:
                self.changing.change(newest)
            await self.append(end)
            if run < RUNS - 1:
                await self.parts.runtime.sleep(self.dice.random() * 0.4)
            else:
                await asyncio.wait_for(self.live(), PATIENCE)
                await asyncio.wait_for(engine.drain(), PATIENCE)
            await work.stop()

    async def live(self) -> None:
        while True:
            known = await self.parts.store.backfill()
            if self.changing.coming() is None and known is not None and known.phase is Phase.DONE:
                return
            await self.parts.runtime.sleep(0.01)


@pytest.mark.parametrize("rules", [DEFINITIONS.identity, RULES], ids=["plain", "rules"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_changes_amid_merges_and_crashes_is_as_if_it_had_been_so_from_the_start(
    seed: int, rules: IdentityRules
) -> None:
    before, newest = replace(DEFINITIONS, identity=rules), replace(NEWEST, identity=rules)
    mishaps = Mishaps(await memory_parts(1), Changing(before), seed)
    work = mishaps.parts.runtime.spawn("host", mishaps.host.run())
    await mishaps.run(newest)
    await work.stop()

    assert mishaps.host.crashes > 0
    assert mishaps.host.moved > 0
    assert await kept(mishaps.parts, mishaps.placed) == expected(mishaps.placed, newest)


class Refusing(Changing):
    """Definitions that cannot be made live at first."""

    def __init__(self) -> None:
        super().__init__(DEFINITIONS)
        self.refused = 0

    async def arrived(self, version: int) -> None:
        self.refused += 1
        if self.refused == 1:
            raise Unreachable("the database does not answer")
        await super().arrived(version)


async def test_what_was_computed_and_could_not_be_made_live_is_so_before_anything_else_is_folded() -> None:
    changing, parts = Refusing(), await memory_parts(1)
    parts = changing.given_to(parts)
    host = Host(parts, buckets=4)
    work = parts.runtime.spawn("host", host.run())
    story = tell(seed=3, people=8, events=120)
    placed = await append(parts, story[:80], batch=9)
    changing.change(NEWEST)
    first = BucketedEngine(QUICK, host.described(parts), partial(Source, host))
    with pytest.raises(Unreachable):
        await asyncio.wait_for(first.run(), PATIENCE)
    placed += await append(parts, story[80:], batch=9)
    again = BucketedEngine(QUICK, host.described(parts), partial(Source, host))
    running = parts.runtime.spawn("engine", again.run())
    await asyncio.wait_for(again.drain(), PATIENCE)
    while (known := await parts.store.backfill()) is None or known.phase is not Phase.DONE:
        await parts.runtime.sleep(0.01)
    await running.stop()
    await work.stop()

    assert changing.refused == 2
    assert await kept(parts, placed) == expected(placed, NEWEST)


class Told:
    """Computes histories of some people as they are asked for, tells wrong things of others, and then gives up."""

    def __init__(self, dice: Random, log: Sequence[Event]) -> None:
        self._dice = dice
        self._log = log
        self.given = 0

    async def compute(self, wanted: Wanted, people: AsyncIterator[Person]) -> AsyncGenerator[Sequence[Given]]:
        """See `Elsewhere.compute`."""
        assert wanted.kept == {0: 0}
        fresh = arriving.fresh(NEWEST, DEFINITIONS)
        alone = arriving.only(fresh, NEWEST)
        async for one in people:
            past = Profile(one.profile)
            for partition, offset, event in one.places:
                told = event or self._log[offset]
                profiles.apply(past, told, told.stamp, (partition, offset), alone)
            history = profiles.pack_traits(past.traits, alone.trait_of_key)
            given = Given(one.profile, one.merges, one.since, history)
            if self._dice.random() < 0.3:
                yield [given._replace(merges=one.merges + 1), given._replace(profile=bytes(16))]
            elif self._dice.random() < 0.7:
                self.given += 1
                yield [given, given]
        raise NotComputed("the cluster is gone")


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_comes_from_elsewhere_what_lacks_is_read_from_the_store(seed: int) -> None:
    mishaps = Mishaps(await memory_parts(1), Changing(DEFINITIONS), seed)
    parts, dice = mishaps.parts, mishaps.dice
    work = parts.runtime.spawn("host", mishaps.host.run())
    await mishaps.append(200)
    told = Told(Random(seed), mishaps.story)
    engine = BucketedEngine(QUICK, mishaps.host.described(parts), partial(Source, mishaps.host, Random(seed)), told)
    running = parts.runtime.spawn("engine", engine.run())
    await asyncio.wait_for(engine.drain(), PATIENCE)
    mishaps.changing.change(NEWEST)
    while told.given == 0:
        await parts.runtime.sleep(0.001)
    await mishaps.append(200 + dice.randrange(150))
    await asyncio.wait_for(mishaps.live(), PATIENCE)
    await asyncio.wait_for(engine.drain(), PATIENCE)
    await running.stop()
    await work.stop()

    assert await kept(parts, mishaps.placed) == expected(mishaps.placed, NEWEST)
