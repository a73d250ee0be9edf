"""What a worker does where Flink folds: it routes, and keeps what came of it."""

from __future__ import annotations

from obverse.adapters._buckets.hosted import open_hosted
from obverse.adapters.flink.settings import FlinkSettings
from obverse.ports.engine import Engine, EngineParts


async def open_engine(settings: FlinkSettings, parts: EngineParts) -> Engine:
    """
    Entry point `obverse.engine:flink`. Nothing of Flink itself is needed here; see `hosting`.

    Raises:
        ValueError: Kafka is not set.
        Unreachable, AccessRefused: its topics cannot be made.
    """
    return await open_hosted(settings, parts)
