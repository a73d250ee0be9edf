"""A changed trait is computed for everybody by a batch job of Spark, from the archive and what Kafka has of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from brokers import kafka_settings
from buckets import Host, Source
from engine_parts import memory_parts
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters._buckets.engine import BucketedEngine, BucketedSettings
from obverse.adapters._buckets.keeper import KeeperSettings
from obverse.adapters._buckets.routing import RouterSettings
from obverse.adapters.kafka import open_event_log
from obverse.adapters.parquet.archive import ParquetArchiveSettings, open_archive
from obverse.adapters.spark.environment import SparkEnvironment
from obverse.adapters.spark.histories.answering import Answering
from obverse.adapters.spark.histories.asking import SparkHistories
from obverse.adapters.spark.settings import SparkSettings
from obverse.adapters.spark.submitting import reach
from obverse.contracts.engine_backfill import Changing
from obverse.contracts.engine_steps import Placed, append, expected, kept, read
from obverse.contracts.stories import tell
from obverse.core import profiles
from obverse.core.archives import Archived
from obverse.core.definitions import Definitions
from obverse.core.documents import portable
from obverse.core.documents.written import Document, document
from obverse.core.history import PastEvent
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.ports.archive import Piece
from obverse.ports.backfills import Phase
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import ProfileStore
from obverse.sandboxes.kafka import KafkaSandbox
from spark_steps import PATIENCE, spark_environment

pytestmark = pytest.mark.service

PARTITIONS = 2
PEOPLE = 60
QUICK = BucketedSettings(
    router=RouterSettings(
        buckets=4,
        turn_events=40,
        page_people=9,
        tick_seconds=0.02,
        idle_seconds=0.005,
        keep_seconds=0.05,
        keep_idle_seconds=0.01,
    ),
    keeper=KeeperSettings(look_seconds=0.005),
)
KINDS = {
    "count": "obverse.core.traits.numbers:Count",
    "sum": "obverse.core.traits.numbers:Sum",
    "unique_count": "obverse.core.traits.collections:UniqueCount",
    "last": "obverse.core.traits.moments:Last",
}


def written(kind: str, name: str, **spec: Any) -> Document:
    return document({"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


SPENT = written("trait", "spent", aggregate="sum", event="Order Completed", property="revenue")
LIVE = [
    SPENT,
    written("trait", "orders", aggregate="count", event="Order Completed"),
    written("audience", "big", where={"op": "gte", "trait": "spent", "value": 100}),
]
DEAR = {"op": "gte", "property": "revenue", "value": 30}
NEWEST = [
    SPENT,
    written("trait", "orders", aggregate="count", event="Order Completed", where=DEAR),
    written("trait", "skus", aggregate="unique_count", event="Product Viewed", property="sku"),
    written("trait", "latest", aggregate="last", event="Order Completed", property="revenue"),
    written("audience", "big", where={"op": "gte", "trait": "orders", "value": 3}),
]


def defined(documents: Sequence[Document]) -> Definitions:
    return Reading()(1, portable.write(documents, KINDS))


class Coming(Changing):
    """Definitions that change, and the documents that buckets and batch jobs are told."""

    def __init__(self) -> None:
        super().__init__(defined(LIVE))

    def documents(self, beside: bool) -> bytes:  # noqa: FBT001 - as the port has it
        coming = self.coming()
        if coming is None:
            return portable.write(LIVE if self.version == 1 else NEWEST, KINDS)
        return portable.write(LIVE, KINDS, (coming.version, NEWEST) if beside else None)


class Asked:
    """A store that notes whose events it was asked to tell; all else is passed on."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store
        self.asked_for: set[bytes] = set()

    async def told_of(self, people: Collection[bytes], *calls: Any, **page: Any) -> Sequence[PastEvent]:
        self.asked_for.update(people)
        return await self._store.told_of(people, *calls, **page)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def story() -> list[Sequence[Any]]:
    """What is archived, what the log has of the past, and what comes meanwhile: with duplicates, late ones, merges."""
    told, dice = tell(seed=5, people=PEOPLE, events=1500), Random(5)
    again = dice.sample(told[:900], 60)
    return [told[:900], [*told[900:1200], *again], [*told[1200:], *again]]


async def archive(folder: Path, placed: Sequence[Placed], pieces: int) -> None:
    """Write what was placed into so many files of each partition."""
    to = await open_archive(ParquetArchiveSettings(folder=folder), (await memory_parts(1)).runtime)
    for partition in range(PARTITIONS):
        rows = [Archived(offset, 0, event) for where, offset, event in placed if where == partition]
        size = -(-len(rows) // pieces)
        for at in range(0, len(rows), size):
            some, writer = rows[at : at + size], await to.open_writer(partition)
            await writer.add(some)
            first, end = some[0].offset, some[-1].offset + 1
            await writer.finish(Piece(partition=partition, first=first, end=end, period=0, latest=0))
    await to.close()


class Installation:
    """A router, buckets, a keeper, and the role that has Spark compute histories."""

    def __init__(
        self, parts: EngineParts, settings: SparkSettings, environment: SparkEnvironment, folder: Path
    ) -> None:
        self.changing = Coming()
        self.asked = Asked(parts.store)
        parts = self.changing.given_to(replace(parts, store=cast("ProfileStore", self.asked)))
        self.parts = replace(parts, documents=self.changing.documents)
        self.host = Host(self.parts, buckets=4, read=Reading())
        histories = SparkHistories(settings.log())
        self.engine = BucketedEngine(QUICK, self.parts, partial(Source, self.host), histories)
        self.answering = Answering(settings, folder / "histories")
        self._reach = reach(environment, "local[1]")

    async def answer(self) -> None:
        while True:
            await self.answering.look(self._reach)
            await asyncio.sleep(0.2)

    async def live(self) -> None:
        while True:
            known = await self.parts.store.backfill()
            if self.changing.coming() is None and known is not None and known.phase is Phase.DONE:
                return
            await asyncio.sleep(0.05)


async def test_everybody_is_as_if_it_had_been_so_from_the_start_though_a_file_is_missing(
    kafka: KafkaSandbox, tmp_path: Path
) -> None:
    environment, log = spark_environment(), kafka_settings(kafka, PARTITIONS)
    settings = SparkSettings(
        kafka={name: value for name, value in asdict(log).items() if name not in {"workspace", "partitions"}},
        partitions=PARTITIONS,
        history="archive",
        archive=str(tmp_path / "archive"),
    )
    parts = await memory_parts(PARTITIONS)
    parts = replace(parts, log=await open_event_log(log, parts.runtime))
    old, past, new = story()
    here = Installation(parts, settings, environment, tmp_path)
    works = [
        parts.runtime.spawn("host", here.host.run()),
        parts.runtime.spawn("engine", here.engine.run()),
        parts.runtime.spawn("answering", here.answer()),
    ]
    try:
        async with asyncio.timeout(PATIENCE):
            placed = await append(parts, old, batch=30)
            await here.engine.drain()
            await archive(tmp_path / "archive", placed, pieces=12)
            await parts.log.trim(Stream.EVENTS, parts.runtime.now() + 1)
            placed += await append(parts, past, batch=30)
            await here.engine.drain()
            assert all(first > 0 for first, _ in (await parts.log.bounds(Stream.EVENTS)).values())
            decided = (await parts.log.bounds(Stream.DECISIONS))[0][1]
            lost = min((tmp_path / "archive").glob("main/events/*/1-*.parquet"))
            lost.unlink()
            here.changing.change(defined(NEWEST))
            placed += await append(parts, new, batch=30)
            await here.live()
            await here.engine.drain()
        assert await kept(here.parts, placed) == expected(placed, defined(NEWEST))
        await only_those_were_asked_for(here, lost, decided, placed)
    finally:
        for work in works:
            await work.stop()
        await here.answering.stop()
        await parts.log.close()


async def only_those_were_asked_for(here: Installation, lost: Path, decided: int, placed: Sequence[Placed]) -> None:
    """Whose events the missing file has, and who was merged meanwhile, was asked of the store; others Spark gave."""
    partition, first, end = map(int, lost.stem.split("-"))
    theirs = [event for where, offset, event in placed if where == partition and first <= offset < end]
    shown = {name for event in theirs if event.type == "track" for name in People("main", defined(LIVE)).shown(event)}
    lacking = await ids(here, shown)
    asked = await ids(here, (), here.asked.asked_for)
    decisions = (await read(here.parts, Stream.DECISIONS, Decision))[decided:]
    merged = await ids(here, (), {one.profile for one in decisions if one.absorbed})
    everybody = await here.parts.store.people(limit=10 * PEOPLE)
    assert lacking
    assert lacking <= asked <= lacking | merged
    assert len(asked) < len(everybody)


async def ids(here: Installation, names: Collection[str], some: Collection[bytes] = ()) -> set[bytes]:
    return {profiles.unpack_briefly(packed).id for packed in await here.parts.store.load(names, some)}
