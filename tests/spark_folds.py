"""Parts of an engine whose profiles are folded in Spark, with definitions that travel there."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from engine_parts import SettableRuntime
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters.kafka import KafkaLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.contracts.engine_backfill import Changing
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


def definitions(documents: bytes = DOCUMENTS) -> Definitions:
    """The same, for whoever folds here."""
    return Reading()(1, documents)


NEWEST: Final = msgspec.json.encode(
    {
        **msgspec.json.decode(DOCUMENTS),
        "documents": [
            _trait("orders", aggregate="count", event="Product Viewed"),
            _trait("spent", aggregate="sum", event="Order Completed", property="revenue"),
        ],
    }
)
"""The same, with a trait that is another one, one that is as it was, and all else gone."""


def coming(version: int) -> bytes:
    """What buckets are told while these are on their way."""
    live, newest = msgspec.json.decode(DOCUMENTS), msgspec.json.decode(NEWEST)
    return msgspec.json.encode({**live, "coming": newest["documents"], "version": version})


async def kafka_parts(log: KafkaLogSettings) -> tuple[Changing, EngineParts]:
    """Parts whose log is in Kafka, and definitions that can change; all else is in memory."""
    runtime, changing = SettableRuntime(), Changing(definitions())

    def documents(beside: bool) -> bytes:  # noqa: FBT001 - as the port has it
        arriving = changing.coming()
        if arriving is None:
            return DOCUMENTS if changing.version == 1 else NEWEST
        return coming(arriving.version) if beside else DOCUMENTS

    parts = EngineParts(
        workspace=log.workspace,
        log=await open_event_log(log, runtime),
        store=await open_profile_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=changing.now,
        documents=documents,
        runtime=runtime,
    )
    return changing, changing.given_to(parts)
