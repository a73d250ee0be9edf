"""Folded anew while others become a part of them: what was otherwise is told, also of who is folded twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.contracts.engine_refolding import everybody, harm, holders, without_spent
from obverse.contracts.engine_steps import append, expected, kept
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.ports.engine import EngineParts
from obverse.ports.outcomes import Unreachable


class Slow:
    """A store whose histories take their time."""

    def __init__(self, inner: Any, runtime: SimulatedRuntime) -> None:
        self._inner, self._runtime = inner, runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def told_of(self, *asked: Any, **how: Any) -> Any:
        told = await self._inner.told_of(*asked, **how)
        await self._runtime.sleep(self._runtime.random.random() * 0.15)
        return told


async def running(parts: EngineParts, work: Callable[[Any], Awaitable[Any]]) -> Any:
    engine: Any = await open_engine(EmbeddedSettings(slice_events=3, checkpoint_seconds=0.05), parts)
    run = asyncio.ensure_future(engine.run())
    while True:
        try:
            await engine.fold_anew((), replay="0")
            break
        except Unreachable:
            await parts.runtime.sleep(0.01)
    done = await work(engine)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    return done


# Of four hundred, some in which somebody who was mended is folded again, since another one became a part of them; and
# some in which somebody becomes a part of another one, and that is stored, before it is their turn.
@pytest.mark.parametrize("seed", [173, 277, 317, 324, 348, 367, 4, 9, 10, 38, 56, 59, 60, 66])
def test_who_was_harmed_is_mended_and_told_of_whoever_becomes_a_part_of_whom(seed: int) -> None:
    async def story(runtime: SimulatedRuntime) -> tuple[set[bytes], set[bytes], bool]:
        log = await open_event_log(MemoryLogSettings(partitions=1), runtime)
        store: Any = Slow(await open_profile_store(MemoryStoreSettings(), runtime), runtime)
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        parts = EngineParts(
            workspace="main", log=log, store=store, cache=cache, definitions=lambda: DEFINITIONS, runtime=runtime
        )
        events = tell(seed=runtime.random.randrange(1000), people=8, events=240)
        await append(parts, events[:160], batch=7)
        await running(parts, lambda engine: engine.drain())
        harmed = await harm(parts, without_spent)

        async def adding() -> None:
            for at in range(160, 240, 3):
                await append(parts, events[at : at + 3], batch=3)
                await runtime.sleep(runtime.random.random() * 0.05)

        async def mending(engine: Any) -> Any:
            more = asyncio.ensure_future(adding())
            await runtime.sleep(runtime.random.random() * 0.1)
            found = await engine.fold_anew(await everybody(parts), replay="7")
            await more
            await engine.drain()
            return found

        found = await running(parts, mending)
        mended = [one for one, what in found.items() if what is not None and "spent" in what.traits]
        placed = [(0, place, one) for place, one in enumerate(events)]
        right = await kept(parts, placed) == expected(placed)
        return await holders(parts, mended), await holders(parts, harmed), right

    (mended, wanted, right), _ = simulate(seed, story)

    assert (mended, right) == (wanted, True)
