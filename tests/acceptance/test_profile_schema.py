"""The tables of profiles in PostgreSQL: what plain SQL finds there, and what writing them survives."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import asyncpg
import pytest

from obverse.adapters.postgres import jsonb_text, profile_queries
from obverse.adapters.postgres.schema import migrate
from obverse.adapters.postgres.server import DATABASE
from obverse.contracts.profile_store_steps import (
    NOON,
    a_profile,
    a_rejected,
    an_event,
    an_id,
    done_by,
    found,
    latest,
    up_to,
    write,
    writing,
)
from obverse.ports.outcomes import AccessRefused
from obverse.ports.profile_store import Checkpoint, ProfileStore
from older_postgres import older_postgres
from services import Database, PostgresServer
from stores import store_at

pytestmark = pytest.mark.service

ADA, BEA, CLEO = (UUID(bytes=an_id(name)) for name in ("ada", "bea", "cleo"))

ODD = (
    rb'{"nul": "a\u0000b", "half": "\ud83d!", "whole": "\ud83d\ude00", "huge": -1e400, "endless": 1e5000, "\u0000": 1}'
)

MISSION: dict[str, list[tuple[str, str, int | None, str | None, str]]] = {
    "customer_profiles": [
        ("id", "uuid", None, None, "NO"),
        ("identity_graph", "jsonb", None, None, "YES"),
        ("computed_traits", "jsonb", None, None, "YES"),
        ("timestamp", "timestamp with time zone", None, "now()", "YES"),
    ],
    "event_stream": [
        ("event_id", "bigint", None, "nextval('event_stream_event_id_seq'::regclass)", "NO"),
        ("profile_id", "uuid", None, None, "YES"),
        ("event_type", "character varying", 255, None, "YES"),
        ("properties", "jsonb", None, None, "YES"),
        ("ingested_at", "timestamp with time zone", None, "now()", "YES"),
    ],
}


@pytest.fixture
async def store(database: Database) -> AsyncIterator[ProfileStore]:
    async with store_at(database.dsn("obverse_worker")) as store:
        yield store


@pytest.fixture
async def sql(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def older() -> Iterator[str]:
    with older_postgres() as dsn:
        asyncio.run(migrate(dsn))
        yield dsn


# The mission's tables.


async def the_missions_columns_and_keys(sql: asyncpg.Connection) -> None:
    for table, wanted in MISSION.items():
        columns = await sql.fetch(
            "select column_name, data_type, character_maximum_length, column_default, is_nullable"
            " from information_schema.columns where table_schema = 'public' and table_name = $1"
            " order by ordinal_position",
            table,
        )
        assert [tuple(column) for column in columns[: len(wanted)]] == wanted
        keys = await sql.fetch(
            "select column_name from information_schema.key_column_usage"
            " join information_schema.table_constraints using (constraint_name, table_schema, table_name)"
            " where constraint_type = 'PRIMARY KEY' and table_schema = 'public' and table_name = $1",
            table,
        )
        assert [key["column_name"] for key in keys] == [wanted[0][0]]


async def foreign_keys(sql: asyncpg.Connection) -> list[str]:
    rows = await sql.fetch(
        "select pg_get_constraintdef(oid) as said from pg_constraint"
        " where contype = 'f' and conrelid = 'public.event_stream'::regclass"
    )
    return [row["said"] for row in rows]


async def test_the_missions_tables_are_exactly_as_the_mission_has_them(sql: asyncpg.Connection) -> None:
    await the_missions_columns_and_keys(sql)
    checked = "" if sql.get_server_version().major < 18 else " NOT ENFORCED"
    assert await foreign_keys(sql) == [f"FOREIGN KEY (profile_id) REFERENCES customer_profiles(id){checked}"]


async def test_the_missions_inserts_work(sql: asyncpg.Connection) -> None:
    await sql.execute("insert into customer_profiles (id, computed_traits) values ($1, '{\"orders\": 1}')", ADA)
    await sql.execute(
        "insert into event_stream (profile_id, event_type, properties) values ($1, 'Order', '{\"a\": 1}')", ADA
    )
    row = await sql.fetchrow("select event_id, ingested_at > now() - interval '1 minute' as fresh from event_stream")
    assert tuple(row) == (1, True)
    assert await sql.fetchval("select count(*) from person_events where profile_id = $1", ADA) == 1


async def test_before_18_the_foreign_key_is_enforced_and_all_else_is_the_same(older: str) -> None:
    sql = await asyncpg.connect(older)
    await the_missions_columns_and_keys(sql)
    assert await foreign_keys(sql) == ["FOREIGN KEY (profile_id) REFERENCES customer_profiles(id)"]
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await sql.execute("insert into event_stream (profile_id) values ($1)", ADA)
    async with store_at(older) as store:
        await write(
            store,
            profiles=[a_profile("ada", vip=1)],
            absorbed={an_id("bea"): an_id("ada")},
            events=[*done_by("ada", an_event("a1", properties=ODD)), *done_by("bea", an_event("b1"))],
            rejected=[a_rejected(1)],
        )
        assert await latest(store, "ada") == ["b1", "a1"]
        assert await found(store, ids=[an_id("bea")]) == [b"state of ada"]
        overview = await store.overview()
        assert (overview.profiles, overview.merges, overview.events, overview.rejected) == (1, 1, 2, 1)
    assert await sql.fetchval("select count(*) from person_events where profile_id = $1", ADA) == 2
    await sql.close()


# What plain SQL reads.


async def test_person_events_has_every_column_and_follows_merges(store: ProfileStore, sql: asyncpg.Connection) -> None:
    await write(store, profiles=[a_profile(name) for name in ("ada", "bea", "cleo")])
    await write(
        store,
        events=[*done_by("ada", an_event("a1", properties=b'{"revenue": 1.25}')), *done_by("bea", an_event("b1"))],
        absorbed={an_id("ada"): an_id("bea")},
    )
    await write(store, absorbed={an_id("bea"): an_id("cleo")}, events=done_by("cleo", an_event("c1")))

    rows = await sql.fetch("select * from person_events order by event_id")
    assert [(row["message_id"], row["profile_id"], row["recorded_profile_id"]) for row in rows] == [
        ("a1", CLEO, ADA),
        ("b1", CLEO, BEA),
        ("c1", CLEO, CLEO),
    ]
    own = [row["message_id"] for row in await sql.fetch("select * from event_stream where profile_id = $1", ADA)]
    assert own == ["a1"]
    columns = "select column_name from information_schema.columns where table_name = $1 order by ordinal_position"
    stream, view = [[row[0] for row in await sql.fetch(columns, name)] for name in ("event_stream", "person_events")]
    assert view == [*stream, "recorded_profile_id"]


async def test_the_events_of_one_person_are_found_by_index(store: ProfileStore, sql: asyncpg.Connection) -> None:
    rows = [a_profile(f"p{number}") for number in range(500)]
    events = [stored for row in range(500) for stored in done_by(f"p{row}", *(an_event(f"m{n}") for n in range(20)))]
    await write(store, profiles=rows, events=events, absorbed={rows[0].id: rows[1].id})
    await sql.execute("analyze")

    for query in (
        "select * from person_events where profile_id = $1",
        "select * from event_stream where profile_id = $1",
    ):
        plan = await sql.fetch(f"explain {query}", UUID(bytes=rows[1].id))
        assert "Seq Scan on event_stream_0" not in "\n".join(line[0] for line in plan)
    assert await sql.fetchval("select count(*) from person_events where profile_id = $1", UUID(bytes=rows[1].id)) == 40


async def test_a_long_event_type_is_cut_and_its_name_is_whole(store: ProfileStore, sql: asyncpg.Connection) -> None:
    calls = [
        an_event("long", name="ü" * 300),
        an_event("track"),
        an_event("page", type="page", name="Home"),
        an_event("identify", type="identify", name=None),
    ]
    await write(store, profiles=[a_profile("ada")], events=done_by("ada", *calls))

    rows = await sql.fetch("select event_type, type, name from event_stream order by event_id")
    assert [tuple(row) for row in rows] == [
        ("ü" * 255, "track", "ü" * 300),
        ("Order Completed", "track", "Order Completed"),
        ("page", "page", "Home"),
        ("identify", "identify", None),
    ]


async def test_what_jsonb_cannot_hold_is_said_as_nearly_as_it_can(store: ProfileStore, sql: asyncpg.Connection) -> None:
    calls = [an_event("odd", properties=ODD, context=ODD), an_event("fine", properties=b'{"x": "\\\\u0000"}')]
    await write(store, profiles=[a_profile("ada")], events=done_by("ada", *calls))

    odd, fine = await sql.fetch("select * from event_stream order by event_id")
    said = {"nul": "a\ufffdb", "half": "\ufffd!", "whole": "😀", "huge": -(10**400), "endless": "1e5000", "\ufffd": 1}
    assert json.loads(odd["properties"]) == json.loads(odd["context"]) == said
    assert (odd["properties_as_sent"], odd["context_as_sent"], odd["extra_as_sent"]) == (ODD, ODD, None)
    assert json.loads(fine["properties"]) == {"x": "\\u0000"}
    assert fine["properties_as_sent"] is None


async def test_jsonb_takes_every_text_that_was_not_suspected_and_every_clean_one(sql: asyncpg.Connection) -> None:
    dice = random.Random(7)
    texts = [odd_json(dice) for _ in range(4000)]
    unsuspected = [text for text in texts if not jsonb_text.suspicious(text)]
    assert 500 < len(unsuspected) < 3500

    await sql.fetch("select given::jsonb from unnest($1::text[]) as given", [text.decode() for text in unsuspected])
    clean = [jsonb_text.clean(text).decode() for text in texts]
    await sql.fetch("select given::jsonb from unnest($1::text[]) as given", clean)
    assert all(jsonb_text.clean(text) == text for text in unsuspected)
    forced = [jsonb_text.force(text[: dice.randrange(len(text))] + b"\xff").decode() for text in texts]
    await sql.fetch("select given::jsonb from unnest($1::text[]) as given", forced)


def odd_json(dice: random.Random) -> bytes:
    """An object of what is hard for jsonb, and of what only looks so."""
    escapes = [
        r"\u0000",
        r"\ud83d",
        r"\uDE00",
        r"\ud83d\ude00",
        r"\\",
        r"\"",
        r"\u00e9",
        "e12345",
        " e ",
        "u0000",
        ",e,",
    ]
    numbers = ["1e400000", "0e-99999", "-2.5E+99999999999", "1e-5", "1.0", "-0", "12e3", "0.001E2", "1e0000000001"]

    def text() -> str:
        return '"' + "".join(dice.choices(escapes, k=dice.randrange(4))) + '"'

    def value(depth: int) -> str:
        kind = dice.randrange(8)
        if kind == 0 and depth:
            return "{" + ", ".join(f"{text()}: {value(depth - 1)}" for _ in range(dice.randrange(3))) + "}"
        if kind == 1 and depth:
            return "[ " + " ,".join(value(depth - 1) for _ in range(dice.randrange(3))) + "]"
        return dice.choice(numbers) if kind == 2 else dice.choice(["1", "2.5", "true", "null", text()])

    return ("{" + f"{text()}: {value(3)}" + "}").encode()


# Partitions.


async def partitions(sql: asyncpg.Connection) -> list[tuple[str, int, int]]:
    return [tuple(row) for row in await sql.fetch("select * from event_stream_partitions() order by first_id")]


async def narrow_partitions(sql: asyncpg.Connection, width: int) -> None:
    """Begin anew with partitions of so many ids, and have writers go on with them."""
    for name, _, _ in await partitions(sql):
        await sql.execute(f"drop table {name}")
    await sql.execute("alter function event_stream_prepare(bigint, bigint) rename to prepare_of_any_width")
    await sql.execute(
        "create function event_stream_prepare(events bigint) returns bigint language sql security definer"
        f" as 'select public.prepare_of_any_width(events, {width})'"
    )


async def test_partitions_are_made_ahead_and_old_ones_dropped_whole(
    store: ProfileStore, sql: asyncpg.Connection
) -> None:
    assert await partitions(sql) == [
        ("event_stream_0", 0, 10_000_000),
        ("event_stream_10000000", 10_000_000, 20_000_000),
    ]
    await narrow_partitions(sql, 100)
    await write(store, profiles=[a_profile("ada")])
    for turn in range(4):
        events = [an_event(f"m{turn} {number}", received_at=NOON + turn) for number in range(90)]
        await write(store, events=done_by("ada", *events))

    made = await partitions(sql)
    assert made == [(f"event_stream_{start}", start, start + 100) for start in range(0, 500, 100)]
    assert await sql.fetchval("select count(*) from event_stream") == 360
    assert len(await latest(store, "ada", limit=1000)) == 360
    assert [row[0] for row in await sql.fetch("select count(*) from only event_stream_300")] == [61]

    trim = "select event_stream_trim(to_timestamp($1 / 1000000.0))"
    assert await sql.fetchval(trim, NOON + 1) is None, "its last events arrived later"
    assert await sql.fetchval(trim, NOON + 2) == "event_stream_0"
    assert [await sql.fetchval(trim, NOON + 10**9) for _ in range(3)] == ["event_stream_100", "event_stream_200", None]
    assert len(await latest(store, "ada", limit=1000)) == 61


async def test_a_writer_needs_no_right_to_make_tables(store: ProfileStore, sql: asyncpg.Connection) -> None:
    if await sql.fetchval("select not exists (select from pg_roles where rolname = 'obverse_worker')"):
        pytest.skip("never: this server has one login for everything")
    await narrow_partitions(sql, 10)
    assert not await sql.fetchval("select has_schema_privilege('obverse_worker', 'public', 'create')")
    await write(store, profiles=[a_profile("ada")], events=done_by("ada", *(an_event(f"m{n}") for n in range(95))))
    assert len(await partitions(sql)) == 11


# Who may do what, and what it costs.


async def test_each_role_may_do_its_own_work_and_no_more(postgres_server: PostgresServer) -> None:
    if postgres_server.foreign:
        pytest.skip("never: that server has none of our roles")
    # The real database, where nothing is everybody's.
    await migrate(postgres_server.dsn(DATABASE, "obverse_owner"))
    async with store_at(postgres_server.dsn(DATABASE, "obverse_worker"), "roles") as store:
        row, absorbed = a_profile("ada", vip=1), {an_id("bea"): an_id("ada")}
        events = done_by("ada", an_event("m1"))
        await write(store, profiles=[row], absorbed=absorbed, events=events, rejected=[a_rejected(1)])
        async with store_at(postgres_server.dsn(DATABASE, "obverse_api"), "roles") as reading:
            assert await found(reading, "user_id:ada", ids=[an_id("bea")]) == [b"state of ada"]
            assert await latest(reading, "ada") == ["m1"]
            assert len(await reading.rejected(limit=2)) == 1
            assert (await reading.overview()).profiles == 1
            with pytest.raises(AccessRefused):
                await reading.open_writer("unify")
    async with store_at(postgres_server.dsn(DATABASE, "obverse_collector"), "roles") as collector:
        with pytest.raises(AccessRefused):
            await collector.overview()


async def test_the_overview_does_not_look_at_events(sql: asyncpg.Connection) -> None:
    plan = await sql.fetch(f"explain {profile_queries.OVERVIEW}", "main")
    assert "event_stream" not in "\n".join(line[0] for line in plan)


async def test_every_table_has_its_workspace(sql: asyncpg.Connection) -> None:
    rows = await sql.fetch(
        "select relname,"
        " exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'workspace_id') as has"
        " from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')"
        " and relname <> 'schema_migrations'"
    )
    assert rows
    assert [row["relname"] for row in rows if not row["has"]] == []


async def test_a_profile_of_another_workspace_is_left_alone(store: ProfileStore, database: Database) -> None:
    await write(store, profiles=[a_profile("ada")])
    async with store_at(database.dsn("obverse_worker"), "other") as other, writing(other) as writer:
        with pytest.raises(ValueError, match="another workspace"):
            await writer.commit(Checkpoint(marks=up_to(1), profiles=[a_profile("ada", state=b"stolen")]))
    assert await found(store, "user_id:ada") == [b"state of ada"]
