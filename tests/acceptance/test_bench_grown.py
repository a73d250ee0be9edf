"""The benchmark of a grown installation from end to end, at a size that tells nothing of its speed: `make engines`."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from acceptance.test_bench_road import whole
from installation import environment

pytestmark = pytest.mark.service


@pytest.mark.parametrize("engine", ["flink", "spark"])
async def test_the_road_through_an_engine_in_java_tells_the_same_and_its_heaps(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if f"OBVERSE_{engine.upper()}_EVENTS" not in os.environ:
        pytest.skip("`make engines` does it")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    arguments = ("--engine", engine, "--rate", "200", "--seconds", "5", "--people", "100", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "obverse.apps.cli", "bench", "road", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    told, _ = await process.communicate()
    figures = json.loads(told.splitlines()[-1])
    whole(figures)
    assert figures["visible_p99_ms"] > 0
    assert set(figures["java_heaps_mb"]) == {f"engine-{engine}", "kafka-1"}
