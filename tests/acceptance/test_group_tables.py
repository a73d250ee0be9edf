"""Groups in PostgreSQL: what plain SQL finds of them, who may read them, and by which index members are found."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from obverse.adapters.postgres import group_queries
from obverse.adapters.postgres.schema import migrate
from obverse.adapters.postgres.server import DATABASE
from obverse.contracts.profile_store_groups import a_group, of_groups
from obverse.contracts.profile_store_steps import a_profile, an_id, write
from obverse.ports.profile_store import ProfileStore
from services import Database, PostgresServer
from stores import store_at

pytestmark = pytest.mark.service

MEMBERS = "select id from customer_profiles where groups @> array['acme'] and cardinality(groups) > 0"
"""As docs/identity.md has it."""


@pytest.fixture
async def store(database: Database) -> AsyncIterator[ProfileStore]:
    async with store_at(database.dsn("obverse_worker")) as store:
        yield store


@pytest.fixture
async def sql(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin)
    yield connection
    await connection.close()


async def test_plain_sql_finds_groups_and_members(store: ProfileStore, sql: asyncpg.Connection) -> None:
    people = [
        of_groups("ada", "acme", "x, {y}"),
        of_groups("bea", "acme"),
        of_groups("cleo"),
        of_groups("dora", "acme"),
    ]
    await write(store, profiles=people, groups=[a_group("acme")], absorbed={an_id("dora"): an_id("ada")})

    assert {row["id"] for row in await sql.fetch(MEMBERS)} == {UUID(bytes=an_id(name)) for name in ("ada", "bea")}
    theirs = await sql.fetch("select groups from customer_profiles order by groups nulls last")
    assert [row["groups"] for row in theirs] == [[], ["acme"], ["acme", "x, {y}"], None]
    attributes = await sql.fetchval("select attributes from groups where group_id = 'acme'")
    assert json.loads(attributes) == {"name": "acme"}


async def test_members_are_found_by_index(store: ProfileStore, sql: asyncpg.Connection) -> None:
    few = {3, 1500, 2999}
    people = [
        of_groups(f"p{number}", "acme", f"g{number % 7}") if number in few else a_profile(f"p{number}")
        for number in range(3000)
    ]
    await write(store, profiles=people)
    await sql.execute("analyze")

    for query, args in (
        (MEMBERS, ()),
        (group_queries.MEMBERS, ("main", "acme", UUID(int=0), 50)),
        (group_queries.SIZE, ("main", "acme")),
    ):
        plan = "\n".join(line[0] for line in await sql.fetch(f"explain {query}", *args))
        assert "customer_profiles_groups" in plan
        assert "Seq Scan" not in plan
    assert await store.group_size("acme") == len(few)


async def test_the_api_reads_groups_and_may_not_write_them(postgres_server: PostgresServer) -> None:
    if postgres_server.foreign:
        pytest.skip("never: that server has none of our roles")
    await migrate(postgres_server.dsn(DATABASE, "obverse_owner"))
    async with store_at(postgres_server.dsn(DATABASE, "obverse_worker"), "group roles") as store:
        await write(store, profiles=[of_groups("gerda", "acme")], groups=[a_group("acme")])
    async with store_at(postgres_server.dsn(DATABASE, "obverse_api"), "group roles") as reading:
        assert list(await reading.groups("", limit=5)) == [b"packed acme"]
        assert await reading.group_size("acme") == 1
    connection = await asyncpg.connect(postgres_server.dsn(DATABASE, "obverse_api"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("delete from groups")
    finally:
        await connection.close()
