"""A disk that is nearly full is an obstacle until a good deal of it is free again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from obverse.adapters.disk import LOOK, Disk
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate

MIB = 1 << 20


def test_below_the_least_it_is_full_and_a_byte_more_does_not_open_it_again() -> None:
    async def story(runtime: SimulatedRuntime) -> None:
        usage = SimpleNamespace(free=200 * MIB)
        disk = Disk(Path("/data"), 100 * MIB, runtime, lambda _: usage)
        for free, full in ((200, False), (100, False), (99, True), (101, True), (125, True), (126, False), (99, True)):
            usage.free = free * MIB
            await runtime.sleep(LOOK)
            assert (disk.obstacle() is not None) is full, free
        assert disk.free == 99 * MIB
        said = str(disk.obstacle())
        assert "/data has 99 MiB left" in said
        assert "least_free_mb" in said
        usage.free = 500 * MIB
        assert disk.obstacle() == said, "it is not asked each time"

    simulate(1, story)
