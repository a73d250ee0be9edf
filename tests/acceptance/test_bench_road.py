"""The benchmarks of the road from end to end, at a size that tells nothing of its speed."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from installation import environment
from obverse.apps.bench.backlog import bench_backlog
from obverse.apps.bench.collect import bench_collect
from obverse.apps.bench.load import Load
from obverse.apps.bench.overload import bench_overload
from obverse.apps.bench.poison import bench_poison

pytestmark = pytest.mark.service

OF_SPEED = (
    "batches were not answered 200",  # 429, on a machine that others keep busy
    "events a second were sent",
    "are promised",
    "while events were sent",
    "marked events were not",
    "the backlog was not gone",
    "is no overload",
    "were refused at",
    "times as late",
    "the collector grew",
)
"""Flaws that a busy machine gives figures of this size."""


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of the benchmark's own, whatever the tests' environment names."""
    monkeypatch.delenv("DATABASE_URL", raising=False)


def whole(figures: dict[str, Any]) -> None:
    """See that nothing but speed is amiss, and what was accepted is stored, once."""
    assert [flaw for flaw in figures["flaws"] if not any(words in flaw for words in OF_SPEED)] == []
    assert figures["accepted"] == figures["distinct_stored"] > 0
    assert figures["cpu_core_seconds"] > 0
    assert figures["peak_memory_bytes"] > max(one["peak_memory_bytes"] for one in figures["processes"].values()) > 0
    assert figures["postgres"]["fsync"] == figures["postgres"]["full_page_writes"] == "on"


async def test_the_road_tells_what_it_should_under_these_names() -> None:
    arguments = ("--rate", "300", "--seconds", "4", "--people", "100", "--roll", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "obverse.apps.cli", "bench", "road", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    told, _ = await process.communicate()
    figures = json.loads(told.splitlines()[-1])
    named = {"rate_achieved", "accepted", "distinct_stored", "p50_ms", "p99_ms", "p999_ms", "visible_p99_ms"}
    named |= {"lag_after_s", "cpu_core_seconds", "peak_memory_bytes"}
    assert {name for name in named if isinstance(figures.get(name), int | float)} == named
    assert process.returncode == (1 if figures["flaws"] else 0)
    whole(figures)
    assert figures["accepted"] <= 4 * 300 + 4 * 20
    assert sum(figures["histogram_ms"].values()) == figures["statuses"]["200"]
    assert (figures["load"]["active"], figures["load"]["people"]) == (50, 100)
    assert (
        figures["memory"].keys()
        == figures["processes"].keys()
        >= {"collector", "worker", "api", "postgres", "generator"}
    )
    assert None not in {roll["at_s"] for roll in figures["rolls"].values()}, "both rolled over"


async def test_collect_takes_one_event_a_request_as_fast_as_it_can() -> None:
    figures = await bench_collect(Load(rate=0, batch=1, seconds=1, people=100, users="sessions", connections=4))
    whole(figures)
    assert figures["requests_per_second"] == figures["rate_achieved"] > 0


async def test_overload_with_a_slow_consumer_loses_nothing_and_says_when_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OBVERSE_COLLECTOR__QUEUE_MS", "1")
    load = Load(rate=300, seconds=2, people=100, connections=128)
    figures = await bench_overload(load, 20, slow_consumer=True)
    whole(figures)
    assert (figures["times"], figures["slow_consumer"], figures["without_retry_after"]) == (20, True, 0)
    assert figures["consumer_stood_still_s"] >= 1.2, "three quarters of two seconds, or a little less"
    assert figures["usual"]["statuses"].keys() | figures["overload"]["statuses"].keys() <= {"200", "429"}


async def test_a_backlog_is_caught_up_with_while_more_comes() -> None:
    figures = await bench_backlog(Load(rate=300, seconds=2, people=100), backlog=1000)
    whole(figures)
    assert figures["backlog"] <= 1000
    assert figures["accepted"] <= 1000 + 2 * 300
    assert figures["folded_per_second"] > 0


async def test_poison_breaks_nothing_beside_good_requests() -> None:
    figures = await bench_poison(Load(rate=300, seconds=1, people=100), poison=20, turns=1)
    assert [flaw for flaw in figures["flaws"] if not any(words in flaw for words in OF_SPEED)] == []
    assert len(figures["with"]) == len(figures["without"]) == 1
    assert all(int(status) < 500 for status in figures["poison_statuses"])
