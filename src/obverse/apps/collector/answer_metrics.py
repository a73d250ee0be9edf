"""What the collector tells of its answers: tallied at little cost, and made into metrics when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from obverse.apps.collector.replies import Replies
from obverse.apps.metrics import histogram
from obverse.core.durations import Durations


class AnswerMetrics(Collector):
    """
    Answers by status, events by who sent them, and how long answering took.

    A counter of the library costs ten times as much each time as adding to a number, of which each request had three.
    """

    def __init__(self, replies: Replies, received: Mapping[tuple[str, str], int], answering: Durations) -> None:
        self._replies = replies
        self._received = received
        self._answering = answering

    def collect(self) -> list[Metric]:
        """See `prometheus_client.registry.Collector.collect`."""
        requests = CounterMetricFamily("obverse_collector_requests", "Answers given", labels=["status"])
        for status, count in self._replies.counts.items():
            requests.add_metric([str(status)], count)
        events = CounterMetricFamily(
            "obverse_events_received", "Events that senders were answered for", labels=["source", "outcome"]
        )
        for labels, count in self._received.items():
            events.add_metric(labels, count)
        took = histogram(
            "obverse_collector_answer", "From the whole request to its answer", None, {"": self._answering}
        )
        return [requests, events, took]
