"""The worker's small door: its health and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obverse.apps.metrics import CONTENT_TYPE, exposition
from obverse.flows.activate import Activate
from obverse.flows.deliver import Deliver
from obverse.flows.unify import Unify
from obverse.ports.engine import Engine
from obverse.ports.runtime import Runtime


class EngineMetrics(Collector):
    """An engine's progress, read when somebody asks."""

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        self._engine = engine
        self._runtime = runtime

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        """See `prometheus_client.registry.Collector.collect`."""
        progress = self._engine.progress
        counters = (
            ("obverse_events_folded", "Events folded, those that came again included", progress.events),
            ("obverse_events_repeated", "Events passed over: their message id had been seen", progress.repeated),
            ("obverse_decisions", "Decisions of identity", progress.decisions),
            ("obverse_changes", "Changes appended", progress.changes),
            ("obverse_records_damaged", "Records that could not be read", progress.damaged),
        )
        families: list[CounterMetricFamily | GaugeMetricFamily] = [
            CounterMetricFamily(name, text, value=value) for name, text, value in counters
        ]
        age = GaugeMetricFamily("obverse_checkpoint_age_seconds", "Since the last checkpoint")
        if progress.checkpointed_at:
            age.add_metric([], (self._runtime.now() - progress.checkpointed_at) / 1_000_000)
        offsets = GaugeMetricFamily("obverse_offset", "Offset that comes next", labels=["partition", "reached"])
        for reached, marks in (("folded", progress.folded), ("kept", progress.kept)):
            for partition, offset in marks.items():
                offsets.add_metric([str(partition), reached], offset)
        return [*families, age, offsets]


class OutwardMetrics(Collector):
    """What became of what went out, read when somebody asks."""

    def __init__(self, activate: Activate, deliver: Deliver) -> None:
        self._activate = activate
        self._deliver = deliver

    def collect(self) -> list[CounterMetricFamily]:
        """See `prometheus_client.registry.Collector.collect`."""
        writes = CounterMetricFamily(
            "obverse_crm_writes", "Writes to CRMs, one a record and try", labels=["connection", "outcome"]
        )
        for labels, count in self._activate.outcomes.items():
            writes.add_metric(labels, count)
        messages = CounterMetricFamily("obverse_messages", "Messages that were settled", labels=["status"])
        for status, count in self._deliver.outcomes.items():
            messages.add_metric([status], count)
        return [writes, messages]


def worker_app(
    unify: Unify, engine: Engine, registry: CollectorRegistry, others: Mapping[str, Callable[[], str | None]]
) -> Starlette:
    """The ASGI application. `others` tell, by name, why another flow stands still; None while it goes on."""

    async def health(_: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready(_: Request) -> Response:
        body = msgspec.json.encode(
            {
                "unify": unify.failure or "ok",
                **{name: failure() or "ok" for name, failure in others.items()},
                "folded": engine.progress.folded,
                "kept": engine.progress.kept,
            }
        )
        status = HTTPStatus.SERVICE_UNAVAILABLE if unify.failure else HTTPStatus.OK
        return Response(body, status_code=status, media_type="application/json")

    async def metrics(_: Request) -> Response:
        return Response(exposition(registry), media_type=CONTENT_TYPE)

    aliases = {health: ("/health", "/livez", "/healthz"), ready: ("/ready", "/readyz"), metrics: ("/metrics",)}
    return Starlette(routes=[Route(path, door) for door, paths in aliases.items() for path in paths])
