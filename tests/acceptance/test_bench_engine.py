"""`obverse bench engine` with real brokers and engines, at a size that tells nothing of their speed."""

from __future__ import annotations

import math
import os
from typing import Any, Final

import pytest

from flinks import flink_home
from obverse.apps.bench.engine import Asked, bench_engine
from obverse.sandboxes.kafka import KafkaSandbox
from spark_steps import spark_environment

pytestmark = pytest.mark.service

ENGINES: Final = os.environ.get("OBVERSE_BENCH_ENGINES", "embedded,flink").split(",")
OF_SIZE: Final = ("ask for more --events", "others use the machine", "the machine is busy")
PROCESSES: Final = {
    "embedded": {"worker"},
    "flink": {"job_manager", "task_manager_1"},
    "spark": {"master", "driver", "worker_1"},
}


@pytest.fixture
def environment(kafka: KafkaSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of who measures: a broker that is there."""
    for name, value in {"SERVERS": kafka.servers, "REPLICATION": "1", "MIN_INSYNC": "1"}.items():
        monkeypatch.setenv(f"OBVERSE_EVENT_LOG__KAFKA__{name}", value)
    monkeypatch.setenv("OBVERSE_ENGINE__FLINK__CHECKPOINT_MS", "1000")
    monkeypatch.setenv("OBVERSE_ENGINE__SPARK__EXECUTOR_JAVA", "-XX:TieredStopAtLevel=1")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_is_measured_by_itself_and_at_a_pace(engine: str) -> None:
    {"flink": flink_home, "spark": spark_environment}.get(engine, lambda: None)()
    before = os.sched_getaffinity(0)
    events = 20_000 if engine == "embedded" else 2000  # it does those between two looks
    asked = Asked(engine=engine, events=events, people=200, rate=500, seconds=1, profile=engine == "flink")
    figures = await bench_engine(asked)
    assert os.sched_getaffinity(0) == before
    for name in ("events_per_second", "events_per_second_per_core", "startup_s", "visible_p50_ms", "visible_p99_ms"):
        assert math.isfinite(figures[name])
        assert figures[name] > 0
    # So few are no fair figure, and it says so; nothing else is wrong.
    assert [flaw for flaw in figures["flaws"] if not any(words in flaw for words in OF_SIZE)] == []
    assert figures["settings"]["events"] == events
    assert figures["engine_settings"]
    assert figures["machine"]["cores"] == len(before)
    assert set(figures["processes"]) == {*PROCESSES[engine], "generator"}
    assert figures["peak_memory_bytes"] > max(one["peak_memory_bytes"] for one in figures["processes"].values()) > 0
    if engine != "embedded":
        assert figures["engine_settings"]["buckets"] == 16
        assert set(figures["java_heaps_mb"]) == PROCESSES[engine]
        assert figures["steady"]["machine_us_per_event"] > 0
        assert figures["steady"]["folded_bytes_per_event"] > 100
    if engine == "flink":
        assert_profiled(figures)


def assert_profiled(figures: dict[str, Any]) -> None:
    profile = figures["profile"]
    assert any(name.startswith("task_manager: fold") for name in profile["threads_us_per_event"])
    assert profile["machine"]["items"] >= 2000
    assert profile["machine"]["functions"]
