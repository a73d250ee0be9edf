"""The schema is applied once, in order, by one at a time, and refuses what does not fit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from obverse.adapters.postgres.schema import SchemaRefused, migrate, pending_sql, shipped
from obverse.ports.outcomes import AccessRefused, Unreachable
from services import Database, PostgresServer, fresh_name

pytestmark = pytest.mark.service

ALL = [one.name for one in shipped()]


@pytest.fixture
async def empty(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    """A database without our schema."""
    name = fresh_name()
    await postgres_server.create(name, like="template1")
    yield Database(postgres_server, name)
    await postgres_server.drop(name)


async def run(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def test_files_are_numbered_from_1_without_a_gap() -> None:
    assert [one.number for one in shipped()] == list(range(1, len(ALL) + 1))
    assert ALL[0] == "0001_event_log"


async def test_everything_is_applied_once(empty: Database) -> None:
    assert await migrate(empty.dsn()) == ALL
    assert await migrate(empty.dsn()) == []
    assert await pending_sql(empty.dsn()) == ""


async def test_two_who_migrate_at_once_take_turns(empty: Database) -> None:
    applied = await asyncio.gather(*(migrate(empty.dsn()) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], ALL]


async def test_the_sql_can_be_run_by_somebody_else(empty: Database) -> None:
    await run(empty.dsn(), await pending_sql(empty.dsn()))
    assert await migrate(empty.dsn()) == []


async def test_a_changed_file_is_refused(database: Database) -> None:
    await run(database.dsn(), "update schema_migrations set checksum = 'another' where number = 1")
    with pytest.raises(SchemaRefused, match="0001_event_log was applied with another text"):
        await migrate(database.dsn())


async def test_a_newer_database_is_refused(database: Database) -> None:
    await run(database.dsn(), "insert into schema_migrations values (9999, '9999_later', 'unknown')")
    with pytest.raises(SchemaRefused, match="9999_later, which this version of Obverse does not know"):
        await migrate(database.dsn())


async def test_a_file_that_fails_leaves_nothing(empty: Database) -> None:
    await run(empty.dsn(), "create table event_log_trimmed (a int)")
    with pytest.raises(Unreachable, match="already exists"):
        await migrate(empty.dsn())
    await run(empty.dsn(), "drop table event_log_trimmed")
    assert await migrate(empty.dsn()) == ALL


async def test_a_role_that_may_not_is_told_so(empty: Database) -> None:
    if empty.server.foreign:
        pytest.skip("never: another server has one login for everything")
    with pytest.raises(AccessRefused, match="as the owner"):
        await migrate(empty.dsn("obverse_api"))
