"""`obverse bench cache` with a real Redis, at a size that tells nothing of its speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from obverse.apps.bench.cache import bench_cache
from obverse.ports.outcomes import Unreachable

pytestmark = pytest.mark.service


async def test_profiles_are_written_read_alone_and_read_beside_writes() -> None:
    figures = await bench_cache(profiles=300, rate=200, seconds=1, beside=100)
    assert figures["settings"]["identifiers"] == 3
    assert figures["write_new"]["profiles"] == 300
    assert figures["write_again"]["profiles"] >= 300
    for name in ("write_new", "write_again"):
        assert figures[name]["profiles_per_second"] > 0
        assert figures[name]["cpu_us_per_profile"]["redis"] is not None
    for name in ("read", "read_while_written"):
        assert (figures[name]["reads"], figures[name]["missing"], figures[name]["failed"]) == (200, 0, {})
    # So few are no fair figure on a machine that others use, and it says so; nothing else is wrong.
    assert [flaw for flaw in figures["flaws"] if "the machine is busy" not in flaw] == []
    assert figures["redis_bytes_per_profile"] > figures["settings"]["packed_bytes"]
    assert min(figures["peak_memory_mb"].values()) > 0


async def test_a_redis_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="nobody-listens"):
        await bench_cache(profiles=10, rate=10, seconds=1, beside=0, url=f"unix://{tmp_path}/nobody-listens.sock")
