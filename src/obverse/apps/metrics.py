"""Metrics in the OpenMetrics format, one registry a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, Info, Metric, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from obverse.core.durations import BOUNDS, Durations
from obverse.flows.vitals import Vitals
from obverse.flows.waiting import Waiting
from obverse.ports.runtime import Runtime

CONTENT_TYPE = CONTENT_TYPE_LATEST


def new_registry(role: str) -> CollectorRegistry:
    """A registry that tells of the process and of the release it runs."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    Info("obverse_build", "The release that runs", registry=registry).info(
        {"version": version("obverse"), "role": role}
    )
    return registry


def histogram(name: str, text: str, label: str | None, values: Mapping[str, Durations]) -> HistogramMetricFamily:
    """A family of durations in seconds, one for each value of a label; or one alone, without a label."""
    family = HistogramMetricFamily(name, text, labels=[] if label is None else [label], unit="seconds")
    for value, durations in values.items():
        ends = [*map(str, BOUNDS), "+Inf"]
        family.add_metric(
            [] if label is None else [value], list(zip(ends, durations.counts, strict=True)), durations.total
        )
    return family


class FlowMetrics(Collector):
    """The vitals of a role's flows, read when somebody asks."""

    def __init__(self, flows: Mapping[str, Vitals]) -> None:
        self._flows = flows

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector.collect`."""
        turns = {name: flow.turns for name, flow in self._flows.items()}
        yield histogram("obverse_flow_turn", "What each batch, call or commit of a flow took", "flow", turns)
        records = CounterMetricFamily(
            "obverse_flow_records", "What went through a flow, by what became of it", labels=["flow", "outcome"]
        )
        interruptions = CounterMetricFamily("obverse_flow_interruptions", "How often a flow failed", labels=["flow"])
        up = GaugeMetricFamily("obverse_flow_up", "1 while a flow goes on, 0 while it stands still", labels=["flow"])
        for name, flow in self._flows.items():
            for outcome, count in flow.records.items():
                records.add_metric([name, outcome], count)
            interruptions.add_metric([name], flow.interruptions)
            up.add_metric([name], flow.failure is None)
        yield from (records, interruptions, up)


class WaitingMetrics(Collector):
    """What waits for the flows of a role: what each saw when it looked last, and what was measured for them."""

    def __init__(self, flows: Mapping[str, Vitals], runtime: Runtime) -> None:
        self._flows = flows
        self._runtime = runtime
        self.measured: Sequence[Waiting] = ()

    def collect(self) -> list[GaugeMetricFamily]:
        """See `prometheus_client.registry.Collector.collect`."""
        labels, now = ["flow", "queue"], self._runtime.now()
        counts = GaugeMetricFamily("obverse_flow_waiting", "What waits for a flow", labels=labels)
        ages = GaugeMetricFamily("obverse_flow_waiting_seconds", "How long the first of it has been due", labels=labels)
        seen = (one for name, flow in self._flows.items() for one in flow.queues.waiting(name, now))
        for one in (*self.measured, *seen):
            counts.add_metric([one.flow, one.queue], one.count)
            if one.seconds is not None:
                ages.add_metric([one.flow, one.queue], one.seconds)
        return [counts, ages]


def exposition(registry: CollectorRegistry) -> bytes:
    """What a scraper reads."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # it has no types of its own
    return text
