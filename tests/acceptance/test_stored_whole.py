"""What SDKs and devices really send, and Segment's examples, is found field for field in the rows of `event_stream`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from door_steps import KEY, hash_key, open_door
from engine_parts import SettableRuntime
from mobile_steps import ANDROID, IOS, mobile, send_mobile
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.core.definitions import Definitions, Source, define
from obverse.core.events import Event
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import EventLog
from recording_steps import check, recorded, send_recorded
from segment_steps import EXAMPLES, NO_ID, assert_field_for_field, send_example
from services import Database, opened
from stores import store_at

pytestmark = pytest.mark.service

Sent = tuple[str, Sequence[dict[str, Any]], dict[str, Any] | None]
"""The source, the items, and the envelope of a recording; None for an example."""


class Sources:
    """One source after another with the same key: what comes twice in the data is no repetition then."""

    now = define()

    def current(self) -> Definitions:
        return self.now

    def turn(self, name: str) -> None:
        self.now = define(sources=[Source(name, key_hashes=frozenset({hash_key(KEY)}))])


async def send_all(log: EventLog) -> list[Sent]:
    """Send everything through the collector; return what is to be found of it."""
    sources, sent, refused = Sources(), list[Sent](), 0
    async with open_door(sources.current, log=log) as door:
        for name, request in recorded():
            sources.turn(name)
            assert (await send_recorded(door, request)).status == 200
            if request["method"] == "POST":
                envelope = request["json"]
                items = envelope.get("batch", [envelope])
                sent.append((name, items, envelope if "batch" in envelope else {}))
        for context in (IOS, ANDROID):
            sources.turn(context["device"]["type"])
            body = mobile(context)
            assert (await send_mobile(door, body)).status == 200
            sent.append((context["device"]["type"], body["batch"], body))
        for place, example in enumerate(one for one in EXAMPLES if "json" in one):
            sources.turn(f"example-{place}")
            before = len((await door.kept())[1])
            assert await send_example(door, example) == 200
            if len((await door.kept())[1]) > before:
                refused += 1
            else:
                sent.append((f"example-{place}", example["json"].get("batch", [example["json"]]), None))
    assert refused == NO_ID
    return sent


async def fold(log: EventLog, database: Database) -> None:
    """Have a worker fold the log into PostgreSQL."""
    runtime = SettableRuntime()
    async with store_at(database.dsn("obverse_worker")) as store:
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        parts = EngineParts(workspace="main", log=log, store=store, cache=cache, definitions=define, runtime=runtime)
        engine = await open_engine(EmbeddedSettings(turn_events=20), parts)
        work = runtime.spawn("engine", engine.run())
        await engine.drain()
        await work.stop()


def micros(when: datetime | None) -> int | None:
    return None if when is None else (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def told(row: Mapping[str, Any]) -> Event:
    """The row as an event: an object is what jsonb says, unless what was sent stands beside it."""
    words = ("type", "message_id", "source", "user_id", "anonymous_id", "name", "group_id", "previous_id")
    fields: dict[str, Any] = {name: row[name] for name in words}
    for name in ("properties", "context", "integrations", "extra"):
        as_sent = row[f"{name}_as_sent"]
        fields[name] = row[name].encode() if as_sent is None else as_sent
    for name in ("timestamp", "original_timestamp", "sent_at"):
        fields[name] = micros(row[name])
    assert row["event_type"] == ((row["name"] if row["type"] == "track" else row["type"])[:255])
    return Event(received_at=micros(row["ingested_at"]) or 0, **fields)


async def test_all_of_it_is_in_the_rows_field_for_field(database: Database) -> None:
    settings = PostgresLogSettings(dsn=database.dsn("obverse_worker"), partitions=1)
    async with opened(settings, SettableRuntime()) as log:
        sent = await send_all(log)
    async with opened(settings, SettableRuntime()) as log:
        await fold(log, database)
    sql = await asyncpg.connect(database.admin)
    rows = await sql.fetch("select * from event_stream order by log_offset")
    profiles = await sql.fetchval(
        "select count(*) from event_stream join customer_profiles on id = profile_id where merged_into is null"
    )
    await sql.close()

    assert (len(sent), sum(envelope is None for _, _, envelope in sent)) == (42 + 2 + 73, 73)
    wanted = [(name, item, envelope) for name, items, envelope in sent for item in items]
    for (source, item, envelope), row in zip(wanted, rows, strict=True):
        event = told(row)
        if envelope is None:
            assert event.source == source
            assert_field_for_field(event, item)
        else:
            check(event, item, envelope, source=source)
        for name in ("properties", "context", "integrations", "extra"):
            # What jsonb holds is the same, but for what it cannot hold, and only then is there more.
            as_sent = row[f"{name}_as_sent"]
            assert as_sent is None or json.loads(row[name]) != json.loads(as_sent)
    assert profiles > 0
