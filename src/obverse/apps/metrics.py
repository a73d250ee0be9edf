"""Metrics in the OpenMetrics format, one registry a process."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

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


def exposition(registry: CollectorRegistry) -> bytes:
    """What a scraper reads."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # it has no types of its own
    return text
