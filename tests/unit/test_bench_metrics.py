"""What metrics cost is measured by the same code with and without them; and nothing is noted without."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter

from obverse.apps.bench.metrics_cost import bench_metrics, without_metrics
from obverse.core.durations import Durations


def test_without_metrics_nothing_is_noted_and_afterwards_all_is_again() -> None:
    durations, registry = Durations(), CollectorRegistry()
    counter = Counter("told", "told", registry=registry)

    def fail() -> None:
        with without_metrics():
            durations.note(0.5)
            counter.inc()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (durations.counts[-1], registry.get_sample_value("told_total")) == (0, 0)
    durations.note(0.5)
    counter.inc()
    assert (durations.counts[-1], registry.get_sample_value("told_total")) == (1, 1)


async def test_collector_and_worker_are_measured_in_turns() -> None:
    told = await bench_metrics(rounds=3, requests=20, batch=5)
    assert (told["rounds"], told["requests"], told["batch"]) == (3, 20, 5)
    for who, of in (("collector", "request"), ("worker", "event")):
        figures = told[who]
        assert min(figures[f"us_per_{of}_{how}"] for how in ("with", "without", "counted")) > 0
        assert figures["ratio_lower_quartile"] <= figures["ratio"] <= figures["ratio_upper_quartile"]
        assert figures["ratio_counted"] > 1
    # What is added up is far less than what it is a part of, on whatever machine.
    assert told["worker"]["ratio_counted"] < told["collector"]["ratio_counted"] < 1.2
    assert told["worker"]["events_per_turn"] > 5
