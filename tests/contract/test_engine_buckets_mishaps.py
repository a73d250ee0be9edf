"""Whatever becomes of a host of buckets: the same profiles as a plain reduce, and nothing twice."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from buckets import Host, Source, quick
from engine_parts import memory_parts
from obverse.adapters._buckets import items
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.adapters._buckets.kept import Kept
from obverse.adapters.memory.profile_cache import MemoryCacheWriter, MemoryProfileCache
from obverse.contracts.engine import shown_on
from obverse.contracts.engine_groups import calls, groups_kept
from obverse.contracts.engine_steps import Placed, append, expected, kept, read, reduced
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core.changes import Change
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event
from obverse.core.identity import Decision, IdentityRules
from obverse.ports.engine import WRITER, EngineParts, Progress
from obverse.ports.event_log import Stream
from obverse.ports.profile_cache import CacheWriter, P, Packer

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


async def told_twice(parts: EngineParts) -> list[tuple[bytes, str, str, int | str]]:
    told = await read(parts, Stream.CHANGES, Change)
    counted = Counter((c.profile, c.kind, c.name, c.number or c.event) for c in told)
    return [one for one, count in counted.items() if count > 1]


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
    assert await told_twice(parts) == []
    decided = await read(parts, Stream.DECISIONS, Decision)
    assert len({one.event for one in decided}) == len(decided)


class Halting(Source):
    """Gives no more than the records before one."""

    def __init__(self, host: Host, end: int) -> None:
        super().__init__(host)
        self._end = end

    async def next(self) -> Sequence[tuple[int, int, bytes]]:
        if self._at:
            await asyncio.Event().wait()
        self._at = self._end
        return [(0, offset, record) for offset, record in enumerate(self._host.folded[: self._end])]


def first_kept(host: Host) -> int:
    """How many records it takes until something is to be written to the store."""
    kept = Kept(0)
    for place, record in enumerate(host.folded, 1):
        kept.take(items.read_folded(record))
        if kept.is_due:
            return place
    raise AssertionError("nothing is to be kept")


async def run_until(host: Host, parts: EngineParts, source: Source, enough: Callable[[Progress], bool]) -> None:
    """Have router and keeper run, and die once it is enough, and what is told by then is told."""
    engine = BucketedEngine(QUICK, host.described(parts), lambda: source)
    work = parts.runtime.spawn("engine", engine.run())
    async with asyncio.timeout(PATIENCE):
        while not enough(engine.progress):
            await parts.runtime.sleep(0.01)
    await parts.runtime.sleep(0.2)  # that is 50 ms later at most, and whoever is stuck is stuck by then
    await work.stop()


async def test_a_keeper_that_dies_before_all_that_was_told_has_come_again_leaves_it_known() -> None:
    parts = await memory_parts(1)
    host = Host(parts, buckets=4)
    hosting = parts.runtime.spawn("host", host.run())
    placed = await append(parts, tell(seed=5, people=12, events=150), batch=10)

    # Everything is told, and nothing kept; then a part of it is kept; then all.
    full = replace(parts, obstacle=lambda: "the disk is full")
    await run_until(host, full, Source(host), lambda progress: progress.folded.get(0) == len(placed))
    await run_until(host, parts, Halting(host, first_kept(host)), lambda progress: progress.checkpointed_at > 0)
    kept_events = (await parts.store.overview()).marks[WRITER][Stream.EVENTS][0]
    await run_until(host, parts, Source(host), lambda progress: progress.kept.get(0) == len(placed))
    await hosting.stop()

    assert 0 < kept_events < len(placed)
    assert await told_twice(parts) == []


class StuckCache(MemoryProfileCache):
    """A cache whose writer is never answered, as by a Redis that hangs."""

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:  # noqa: ARG002 - as the port has it
        return StuckWriter({}, pack)


class StuckWriter(MemoryCacheWriter[P]):
    async def publish(self, profiles: Iterable[P], lost: Iterable[str] = ()) -> None:  # noqa: ARG002 - as the port has it
        await asyncio.Event().wait()


async def test_a_keeper_that_dies_while_it_shows_people_leaves_no_change_untold() -> None:
    parts = await memory_parts(1)
    host = Host(parts, buckets=4)
    hosting = parts.runtime.spawn("host", host.run())
    placed = await append(parts, tell(seed=5, people=12, events=150), batch=10)

    # Everything is folded; then a part of it comes, and is not shown in time; then all comes.
    await run_until(host, replace(parts, keeps=False), Source(host), lambda progress: progress.events == len(placed))
    stuck = replace(parts, cache=StuckCache({}))
    await run_until(host, stuck, Halting(host, first_kept(host)), lambda _: True)
    await run_until(host, parts, Source(host), lambda progress: progress.kept.get(0) == len(placed))
    await hosting.stop()

    folded = [change for record in host.folded for _, change in items.read_folded(record).changes]
    told = await read(parts, Stream.CHANGES, Change)
    assert {(c.profile, c.kind, c.name, c.number) for c in folded} == {
        (c.profile, c.kind, c.name, c.number) for c in told
    }
    assert await told_twice(parts) == []
