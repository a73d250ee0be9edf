"""The table of rejected events is of the same shape as that of events: one query finds and joins both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import msgspec
import pytest

from obverse.adapters.postgres.schema import KNOWN, migrate, shipped
from obverse.contracts.profile_store_steps import a_profile, an_id, write
from obverse.core import wire
from obverse.core.events import Event
from obverse.ports.profile_store import ReplayState, StoredEvent
from services import Database, PostgresServer, fresh_name
from stores import store_at
from wire_steps import batch, event_of, read, refused

pytestmark = pytest.mark.service

PLACE = {"event_id", "profile_id", "log_partition", "log_offset"}
"""What an event has of being one: nobody's profile holds a rejected event, and it is numbered as such."""
TIMES = {"timestamp": "2025-12-31T23:00:00.25Z", "sentAt": "2025-12-31T23:30:00Z"}
CALLS: dict[str, dict[str, Any]] = {
    "track": {"properties": {"total": 12.50}, **TIMES, "context": {"ip": "::1"}, "integrations": {"All": False}},
    "a track without a time": {"sentAt": "2025-12-31T23:30:00Z", "properties": None},
    "a track of history": {"timestamp": "2001-01-01T00:00:00Z", "category": "odd", "version": 2, "userId": 7},
    "both times": {"originalTimestamp": "2025-12-31T20:00:00Z", "sentAt": "2025-12-31T20:00:01Z"},
    "odd text": {"event": "x" * 300, "properties": {"a": "\0", "b": "☕"}, "context": {"\0": 1}, "more": ["\0"]},
    "identify": {"type": "identify", "event": None, "traits": {"email": "a@b.example"}, "properties": {"side": 1}},
    "group": {"type": "group", "event": None, "groupId": 5, "traits": {"name": "g"}, "anonymousId": "a"},
    "page": {"type": "page", "event": None, "name": "Home", "properties": {"url": "/"}},
    "alias": {"type": "alias", "event": None, "previousId": "old"},
}


@pytest.fixture
async def sql(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin)
    yield connection
    await connection.close()


async def columns(sql: asyncpg.Connection, table: str) -> dict[str, tuple[str, int | None]]:
    rows = await sql.fetch(
        "select column_name, data_type, character_maximum_length from information_schema.columns"
        " where table_schema = 'public' and table_name = $1",
        table,
    )
    return {name: (kind, length) for name, kind, length in rows}


async def test_every_column_of_events_is_one_of_rejected_events_too(sql: asyncpg.Connection) -> None:
    events, rejected = await columns(sql, "event_stream"), await columns(sql, "rejected_events")
    assert len(events) == 26
    assert {name: rejected.get(name) for name in events.keys() - PLACE} == {
        name: kind for name, kind in events.items() if name not in PLACE
    }


async def row(sql: asyncpg.Connection, table: str) -> Mapping[str, Any]:
    shared = sorted((await columns(sql, "event_stream")).keys() - PLACE)
    (found,) = await sql.fetch(f"select {', '.join(shared)} from {table}")
    return dict(found)


async def test_a_blocked_event_has_the_values_of_its_twin_that_was_accepted(
    database: Database, sql: asyncpg.Connection
) -> None:
    async with store_at(database.dsn("obverse_worker")) as store:
        for name, sent in CALLS.items():
            event = event_of(**sent)
            blocked = wire.rejected(event, "violates_tracking_plan", "$.properties.total", "a test")
            again = read(wire.as_called(blocked.body, blocked.received_at), call=event.type)
            assert again.events == [event], name
            stored = [StoredEvent(an_id("ada"), 0, 0, event)]
            await write(store, profiles=[a_profile("ada")], events=stored, rejected=[blocked])
            found = await row(sql, "rejected_events")
            assert found == await row(sql, "event_stream"), name
            assert found["properties"] is not None
            await sql.execute("delete from event_stream; delete from rejected_events")


async def test_what_was_refused_at_the_door_has_what_could_be_read(database: Database, sql: asyncpg.Connection) -> None:
    sent = {"type": "track", "event": "Bought", "userId": {"a": 1}, "anonymousId": 7, "properties": [1], **TIMES}
    item = msgspec.json.decode(batch(sent, context={"ip": "::1"}))
    (rejected,) = read(msgspec.json.encode(item)).rejected
    assert rejected.code == "invalid_type"
    async with store_at(database.dsn("obverse_worker")) as store:
        await write(store, rejected=[rejected])
    found = await row(sql, "rejected_events")
    assert (found["event_type"], found["name"], found["anonymous_id"]) == ("Bought", "Bought", "7")
    assert (found["user_id"], found["properties"]) == (None, None)
    assert json.loads(found["extra"]) == {"userId": {"a": 1}, "properties": [1]}
    assert json.loads(found["context"]) == {"ip": "::1"}
    assert (found["ingested_at"] - found["timestamp"]).total_seconds() == 1799.75


async def test_of_what_is_no_object_nothing_is_read(database: Database, sql: asyncpg.Connection) -> None:
    async with store_at(database.dsn("obverse_worker")) as store:
        for body in (b"{", b"\xff", b"[1]", b"", b'{"type": "track", "event": "Bou'):
            rejected = msgspec.structs.replace(refused({"type": "track"}), body=body, type=None, message_id=None)
            await write(store, rejected=[rejected])
            (kept,) = await store.rejected(limit=2)
            assert kept.event == rejected
            found = await row(sql, "rejected_events")
            assert {name for name, value in found.items() if value is not None} == {
                *("workspace_id", "source", "ingested_at")
            }
            await sql.execute("delete from rejected_events")


# Rows of before.


@pytest.fixture
async def before(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    """A database as the release before left it."""
    name = fresh_name()
    await postgres_server.create(name, like="template1")
    database = Database(postgres_server, name)
    sql = await asyncpg.connect(database.dsn())
    await sql.execute(KNOWN)
    for one in shipped():
        if one.number < 25:
            await sql.execute(one.sql)
            await sql.execute(one.note)
    await sql.close()
    yield database
    await postgres_server.drop(name)


async def test_rows_of_before_get_what_their_bodies_say_and_can_be_sent_again(before: Database) -> None:
    event: Event = event_of(**{**CALLS["track"], "groupId": "g"})
    bodies = [
        wire.rejected(event, "bot", "$", "a test").body,
        b'{"type": "track", "event": "Bought", "userId": {}, "anonymousId": 7, "traits": 1, "properties": 5}',
        rb'{"type": "track", "event": "\u0000", "userId": "ada"}',
        b'{"type": "track", "event": "Bou',
        b"\xff",
        b"",
    ]
    sql = await asyncpg.connect(before.dsn())
    await sql.executemany(
        "insert into rejected_events (source, received_at, code, reason, type, body)"
        " values ('web', now(), 'bot', '', 'track', $1)",
        [(body,) for body in bodies],
    )
    assert await migrate(before.dsn()) == [one.name for one in shipped() if one.number >= 25]

    rows = await sql.fetch("select * from rejected_events order by rejected_id")
    await sql.close()
    names = ("event_type", "name", "user_id", "anonymous_id", "group_id")
    assert [tuple(one[name] for name in names) for one in rows] == [
        ("Bought", "Bought", "ada", None, "g"),
        ("Bought", "Bought", None, "7", None),
        *[(None,) * 5] * 4,
    ]
    objects = ("properties", "context", "integrations")
    assert [json.loads(rows[0][name]) for name in objects] == [{"total": 12.5}, {"ip": "::1"}, {"All": False}]
    assert [rows[1][name] for name in objects] == [None, "{}", "{}"]
    assert all(one["ingested_at"] == one["received_at"] and one["timestamp"] is None for one in rows)
    async with store_at(before.dsn()) as store:
        kept = await store.rejected(limit=10)
        assert [one.event.body for one in kept][::-1] == bodies
        assert {one.state for one in kept} == {ReplayState.OPEN}
