"""A real shop's six weeks, folded by each engine and by a plain `functools.reduce`: the same profiles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

import pytest

from engine_parts import memory_parts
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
from shop_steps import AT_ONCE, shop_story

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


@pytest.mark.parametrize("open_engine", [memory_engine, embedded_engine])
async def test_each_engine_gives_the_profiles_of_reduce(
    open_engine: Callable[[EngineParts], Awaitable[Engine]],
    story: list[Event],
    definitions: Definitions,
    states: dict[frozenset[str], dict[str, object]],
) -> None:
    parts = await memory_parts(1, definitions)
    placed = await append(parts, story, batch=AT_ONCE)
    engine = await open_engine(parts)
    work = parts.runtime.spawn("engine", engine.run())

    await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()

    assert len(states) == 1398
    assert await kept(parts, placed) == states
