"""What was routed is trimmed behind router, host and keeper, all of which begin anew: the same profiles as ever."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import cast

import pytest

from buckets import Host, Source, quick
from engine_parts import memory_parts
from obverse.adapters._buckets.engine import BucketedEngine
from obverse.contracts.engine_steps import Placed, append, expected, kept
from obverse.contracts.stories import tell
from obverse.flows.retain import Retain
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import Stream, UnknownMark

PATIENCE = 60.0
QUICK = quick(4, 17)


async def fold(parts: EngineParts, host: Host) -> None:
    """Fold what is in the log, until the store has it."""
    engine = BucketedEngine(QUICK, host.described(parts), partial(Source, host))
    work = parts.runtime.spawn("engine", engine.run())
    await asyncio.wait_for(engine.drain(), PATIENCE)
    await work.stop()


async def test_all_of_them_go_on_from_what_is_left() -> None:
    parts = await memory_parts(2)
    host, placed = Host(parts, buckets=4), list[Placed]()
    retain = Retain(parts.log, cast("Engine", None), parts.store, parts.runtime, days=None, routed_hours=0)
    story = tell(seed=3, people=12, events=240)
    begins = [0]
    for at in range(0, len(story), 80):
        placed += await append(parts, story[at : at + 80], batch=9)
        work = parts.runtime.spawn("host", host.run())
        await fold(parts, host)
        host.checkpoint()
        await work.stop()
        await retain.trim_routed()
        first, end = (await parts.log.bounds(Stream.ROUTED))[0]
        assert begins[-1] < first < end
        begins.append(first)
        host.crash()
    assert await kept(parts, placed) == expected(placed)

    # A host without its checkpoint does not begin in the midst in silence.
    with pytest.raises(UnknownMark):
        await asyncio.wait_for(Host(parts, buckets=4).run(), PATIENCE)
