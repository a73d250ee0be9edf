"""What a worker does where Spark folds: it routes, and keeps what came of it."""

from __future__ import annotations

from obverse.adapters._buckets.hosted import open_hosted
from obverse.adapters.spark.histories.asking import SparkHistories
from obverse.adapters.spark.settings import SparkSettings
from obverse.ports.engine import Engine, EngineParts


async def open_engine(settings: SparkSettings, parts: EngineParts) -> Engine:
    """
    Entry point `obverse.engine:spark`. Nothing of Spark itself is needed here; see `hosting`.

    Raises:
        ValueError: Kafka is not set.
        Unreachable, AccessRefused: its topics cannot be made.
    """
    return await open_hosted(settings, parts, SparkHistories(settings.log()) if settings.in_batch else None)
