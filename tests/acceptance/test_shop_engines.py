"""A real shop's six weeks, folded by each engine and by a plain `functools.reduce`: the same profiles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from random import Random

import pytest

from buckets import Host, Source, quick
from engine_parts import memory_parts
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.adapters.definition_files import read_folder
from obverse.adapters.embedded import EmbeddedSettings
from obverse.adapters.embedded import open_engine as open_embedded
from obverse.adapters.memory.engine import MemoryEngineSettings
from obverse.adapters.memory.engine import open_engine as open_memory
from obverse.contracts.engine_steps import Placed, append, expected, kept
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.ports.engine import Engine, EngineParts
from obverse.wiring import trait_kinds
from shop_steps import AT_ONCE, shop_story, turned_over

PATIENCE = 120.0


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return read_folder(Path(str(files("obverse.apps.demo") / "definitions")), trait_kinds())


@pytest.fixture(scope="module")
def story() -> list[Event]:
    return shop_story()


@pytest.fixture(scope="module")
def states(story: list[Event], definitions: Definitions) -> dict[frozenset[str], dict[str, object]]:
    """What a plain reduce makes of it."""
    placed: list[Placed] = [(0, offset, event) for offset, event in enumerate(story)]
    return expected(placed, definitions)


async def memory_engine(parts: EngineParts) -> Engine:
    return await open_memory(MemoryEngineSettings(), parts)


async def embedded_engine(parts: EngineParts) -> Engine:
    return await open_embedded(
        EmbeddedSettings(checkpoint_events=5_000, profiles_awake=100, rest_after=2, profiles_in_memory=500), parts
    )


async def buckets_engine(parts: EngineParts) -> Engine:
    hosts = parts.runtime.__dict__
    if "host" not in hosts:
        hosts["host"] = Host(parts, buckets=5, dice=Random(12))
        hosts["work"] = parts.runtime.spawn("host", hosts["host"].run())
    settings = quick(5, 2000, profiles_in_memory=500)
    return BucketedEngine(settings, hosts["host"].described(parts), lambda: Source(hosts["host"]))


OpenEngine = Callable[[EngineParts], Awaitable[Engine]]
States = Mapping[frozenset[str], Mapping[str, object]]


@pytest.mark.parametrize("open_engine", [memory_engine, embedded_engine, buckets_engine])
async def test_each_engine_gives_the_profiles_of_reduce(
    open_engine: OpenEngine, story: Sequence[Event], definitions: Definitions, states: States
) -> None:
    parts = await memory_parts(1, definitions)
    placed = await append(parts, story, batch=AT_ONCE)
    engine = await open_engine(parts)
    work = parts.runtime.spawn("engine", engine.run())

    await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()

    assert len(states) == 1398
    assert await kept(parts, placed) == states


@pytest.mark.parametrize("open_engine", [embedded_engine, buckets_engine])
async def test_turned_over_told_twice_and_killed_half_way_it_gives_the_same(
    open_engine: OpenEngine, story: Sequence[Event], definitions: Definitions, states: States
) -> None:
    parts = await memory_parts(3, definitions)
    told = turned_over(story, seed=8)
    placed = await append(parts, told, batch=97)
    for part in (1, 2):
        engine = await open_engine(parts)
        work = parts.runtime.spawn("engine", engine.run())
        async with asyncio.timeout(PATIENCE):
            while sum(engine.progress.folded.values()) < part * len(told) // 3:
                await parts.runtime.sleep(0.001)
        await work.stop()
    engine = await open_engine(parts)
    work = parts.runtime.spawn("engine", engine.run())
    await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()

    assert await kept(parts, placed) == states
    assert (await parts.store.overview()).events == len(story)
