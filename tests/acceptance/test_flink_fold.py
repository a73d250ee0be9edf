"""Flink folds what a worker routes, and gives the profiles of a plain `functools.reduce`, though it is killed amid."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brokers import kafka_settings
from engine_parts import memory_parts
from flinks import PATIENCE, flink_home, until
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters.flink.engine import open_engine
from obverse.adapters.flink.hosting import FlinkHost
from obverse.adapters.flink.settings import FlinkSettings
from obverse.adapters.kafka import open_event_log
from obverse.contracts.engine_steps import append, expected, kept
from obverse.contracts.stories import tell
from obverse.core.documents import portable
from obverse.core.documents.written import Document, Key
from obverse.ports.engine import Engine, EngineParts
from obverse.sandboxes.kafka import KafkaSandbox
from obverse.wiring.finding import trait_kind_places

pytestmark = pytest.mark.service

EVENTS = int(os.environ.get("OBVERSE_FLINK_EVENTS", "3000"))


def document(kind: str, name: str, **spec: Any) -> Document:
    tree = {"version": "obverse/v1", "kind": kind, "metadata": {"name": name, "description": "Made."}, "spec": spec}
    return Document(Key(kind, name), msgspec.json.encode(tree).decode())


DOCUMENTS = portable.write(
    [
        document("trait", "orders", aggregate="count", event="Order Completed"),
        document("trait", "spent", aggregate="sum", event="Order Completed", property="revenue"),
        document("trait", "favourite", aggregate="most_frequent", event="Product Viewed", property="sku"),
        document("audience", "big", where={"op": "gte", "trait": "spent", "value": 100}),
    ],
    trait_kind_places(),
)


async def grown(kafka: KafkaSandbox, folder: Path) -> tuple[EngineParts, FlinkSettings]:
    """A log in Kafka, what is kept in memory, and Flink's settings."""
    log = replace(kafka_settings(kafka), partitions=2)
    table = {name: text for name, text in asdict(log).items() if name not in {"workspace", "partitions"}}
    settings = FlinkSettings(kafka=table, folder=str(folder / "kept"), buckets=8, checkpoint_ms=500, partitions=2)
    definitions = Reading()(1, DOCUMENTS)
    parts = await memory_parts(2, definitions)
    opened = await open_event_log(log, parts.runtime)
    return replace(parts, log=opened, documents=lambda _: DOCUMENTS), settings


@asynccontextmanager
async def running(parts: EngineParts, settings: FlinkSettings, host: FlinkHost) -> AsyncIterator[Engine]:
    """An engine and its host, for as long as the block runs; if one of them fails, so does the block."""
    engine = await open_engine(settings, parts)
    async with asyncio.TaskGroup() as group:
        works = [group.create_task(engine.run()), group.create_task(host.run())]
        yield engine
        for one in works:
            one.cancel()


async def test_flink_gives_the_profiles_of_reduce_though_its_processes_are_killed(
    kafka: KafkaSandbox, tmp_path: Path
) -> None:
    flink_home()
    parts, settings = await grown(kafka, tmp_path)
    host = FlinkHost(settings, tmp_path / "cluster")
    story = tell(seed=1, people=EVENTS // 30, events=EVENTS)
    async with asyncio.timeout(PATIENCE), running(parts, settings, host) as engine:
        placed = await append(parts, story[: EVENTS // 2], batch=100)

        async def folds() -> bool:
            return sum(engine.progress.folded.values()) > EVENTS // 10

        await until(folds, "a tenth is folded")
        assert host.cluster is not None
        host.cluster.task_managers[0].kill()
        placed += await append(parts, story[EVENTS // 2 :], batch=100)
        await engine.drain()
        assert await kept(parts, placed) == expected(placed, parts.definitions())
        assert (await parts.store.overview()).events == EVENTS
    await parts.log.close()
