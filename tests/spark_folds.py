"""Parts of an engine whose profiles are folded in Spark, with definitions that travel there."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from engine_parts import SettableRuntime
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters.kafka import KafkaLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.core.definitions import Definitions
from obverse.ports.engine import EngineParts


def _trait(name: str, **spec: Any) -> tuple[str, Any]:
    tree = {"version": "obverse/v1", "kind": "trait", "metadata": {"name": name}, "spec": spec}
    return f"trait {name}", tree


DOCUMENTS: Final = msgspec.json.encode(
    {
        "kinds": {
            "count": "obverse.core.traits.numbers:Count",
            "sum": "obverse.core.traits.numbers:Sum",
            "most_frequent": "obverse.core.traits.collections:MostFrequent",
        },
        "documents": [
            _trait("orders", aggregate="count", event="Order Completed"),
            _trait("spent", aggregate="sum", event="Order Completed", property="revenue"),
            _trait("favourite", aggregate="most_frequent", event="Product Viewed", property="sku"),
            (
                "audience big",
                {
                    "version": "obverse/v1",
                    "kind": "audience",
                    "metadata": {"name": "big"},
                    "spec": {"where": {"op": "gte", "trait": "spent", "value": 100}},
                },
            ),
        ],
    }
)
"""Definitions, on their way to the buckets."""


def definitions() -> Definitions:
    """The same, for whoever folds here."""
    return Reading()(1, DOCUMENTS)


async def kafka_parts(log: KafkaLogSettings) -> EngineParts:
    """Parts whose log is in Kafka; all else is in memory."""
    runtime, defined = SettableRuntime(), definitions()
    return EngineParts(
        workspace=log.workspace,
        log=await open_event_log(log, runtime),
        store=await open_profile_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=lambda: defined,
        documents=lambda _: DOCUMENTS,
        runtime=runtime,
    )
