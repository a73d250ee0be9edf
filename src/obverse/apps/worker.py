"""The worker's small door: its health and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obverse.apps.metrics import CONTENT_TYPE, WaitingMetrics, exposition, histogram
from obverse.flows.activate import Activate
from obverse.flows.backlog import Backlog
from obverse.flows.vitals import Vitals
from obverse.ports.engine import Engine
from obverse.ports.runtime import Runtime


class EngineMetrics(Collector):
    """An engine's progress, read when somebody asks."""

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        self._engine = engine
        self._runtime = runtime

    def collect(self) -> list[Metric]:
        """See `prometheus_client.registry.Collector.collect`."""
        progress = self._engine.progress
        counters = (
            ("obverse_events_folded", "Events folded, those that came again included", progress.events),
            ("obverse_events_repeated", "Events passed over: their message id had been seen", progress.repeated),
            ("obverse_decisions", "Decisions of identity", progress.decisions),
            ("obverse_changes", "Changes appended", progress.changes),
            ("obverse_records_damaged", "Records that could not be read", progress.damaged),
        )
        families: list[Metric] = [CounterMetricFamily(name, text, value=value) for name, text, value in counters]
        age = GaugeMetricFamily("obverse_checkpoint_age_seconds", "Since the last checkpoint")
        if progress.checkpointed_at:
            age.add_metric([], (self._runtime.now() - progress.checkpointed_at) / 1_000_000)
        offsets = GaugeMetricFamily("obverse_offset", "Offset that comes next", labels=["partition", "reached"])
        for reached, marks in (("folded", progress.folded), ("kept", progress.kept)):
            for partition, offset in marks.items():
                offsets.add_metric([str(partition), reached], offset)
        durations = {"fold": progress.folding, "checkpoint": progress.checkpoints}
        return [
            *families,
            age,
            offsets,
            histogram("obverse_engine_step", "What each turn of the fold and each checkpoint took", "step", durations),
            histogram("obverse_event_delay", "From an event's arrival", "until", {"visible": progress.delay}),
        ]


class OutwardMetrics(Collector):
    """What became of what went to CRMs, read when somebody asks."""

    def __init__(self, activate: Activate) -> None:
        self._activate = activate

    def collect(self) -> list[CounterMetricFamily]:
        """See `prometheus_client.registry.Collector.collect`."""
        writes = CounterMetricFamily(
            "obverse_crm_writes", "Writes to CRMs, one a record and try", labels=["connection", "outcome"]
        )
        for labels, count in self._activate.outcomes.items():
            writes.add_metric(labels, count)
        return [writes]


def worker_app(engine: Engine, flows: Mapping[str, Vitals], registry: CollectorRegistry, backlog: Backlog) -> Starlette:
    """The ASGI application: it is ready while `unify` goes on; how the other flows are is told beside it."""
    waiting = WaitingMetrics(flows, backlog.runtime)
    registry.register(waiting)

    async def health(_: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready(_: Request) -> Response:
        body = msgspec.json.encode(
            {
                **{name: flow.failure or "ok" for name, flow in flows.items()},
                "folded": engine.progress.folded,
                "kept": engine.progress.kept,
            }
        )
        failing = "unify" in flows and flows["unify"].failure
        status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
        return Response(body, status_code=status, media_type="application/json")

    async def metrics(_: Request) -> Response:
        waiting.measured = await backlog.measure(flows)
        return Response(exposition(registry), media_type=CONTENT_TYPE)

    aliases = {health: ("/health", "/livez", "/healthz"), ready: ("/ready", "/readyz"), metrics: ("/metrics",)}
    return Starlette(routes=[Route(path, door) for door, paths in aliases.items() for path in paths])
