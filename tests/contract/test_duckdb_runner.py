"""DuckDB's runner of queries keeps the promises of all, gives what PostgreSQL gives, and reaches for nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import asyncpg
import duckdb
import pytest

from obverse.adapters.duckdb import DuckDbSqlSettings, open_sql_runner
from obverse.adapters.duckdb.scratch import scratch_folder
from obverse.adapters.postgres.sql_runner import PostgresSqlSettings
from obverse.adapters.postgres.sql_runner import open_sql_runner as open_postgres
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.sql_runner import MOST, TWO, SqlRunnerContract
from obverse.core.queries import DUCKDB, BadQuery
from obverse.core.queries.reading import read_query
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.sql_runner import Rows, SqlRunner
from services import Database

pytestmark = pytest.mark.service

EVENTS = """
insert into event_stream (workspace_id, type, event_type, user_id, name, properties, timestamp)
select 'main', 'track', kind, who, 'a "quoted", name' || chr(10) || 'of two lines',
    jsonb_build_object('revenue', n, 'plan', case when n % 2 = 0 then 'pro' end, 'nested', jsonb_build_object('a', '')),
    '2026-01-01T00:00:00.123456Z'::timestamptz + n * interval '1 day'
from (values ('ada', 5), ('bob', 3)) as people (who, times), generate_series(1, times) as n,
    (values ('Order Completed'), ('Order Refunded')) as kinds (kind)
where kind = 'Order Completed' or n % 2 = 0
"""
OTHERS = """
insert into event_stream (workspace_id, type, event_type, user_id) values
    ('other', 'track', 'Order Completed', 'eve'), ('main', 'trait', 'trait', 'eve')
"""
PEOPLE = """
insert into customer_profiles (id, workspace_id, attributes, groups) values
    ('00000000-0000-0000-0000-00000000000a', 'main', '{"plan": "pro", "spent": 12.5}', array['acme', 'a "b", {c}']),
    ('00000000-0000-0000-0000-00000000000b', 'main', '{}', array[]::text[]),
    ('00000000-0000-0000-0000-00000000000c', 'main', null, null),
    ('00000000-0000-0000-0000-00000000000d', 'other', '{"plan": "none"}', null)
"""
ALIKE = [
    "select user_id, count(*) as value from event_stream group by user_id",
    """
    select user_id, round(count(*) filter (where event_type = 'Order Refunded')::numeric
        / nullif(count(*) filter (where event_type = 'Order Completed'), 0), 2) as value
    from person_events group by user_id
    """,
    """
    select user_id, sum((properties ->> 'revenue')::decimal(18, 2)) as value from event_stream
    where event_type = 'Order Completed' group by user_id
    """,
    "select user_id, max(timestamp) as value from event_stream group by user_id",
    "select distinct user_id, name as value from event_stream",
    "select user_id, properties -> 'nested' as value from event_stream where (properties ->> 'revenue')::int = 1",
    """
    with big as (select * from event_stream where (properties ->> 'plan') = 'pro')
    select user_id, count(*) > 1 as value from big group by user_id
    """,
    "select id as profile_id, attributes as value from customer_profiles",
    "select id as profile_id, groups as value from customer_profiles",
    """
    select id as profile_id, attributes ->> 'spent' as value from customer_profiles
    union all select id, null from customer_profiles where attributes is null
    """,
    """
    with recursive counted(n) as (select 1 union all select n + 1 from counted where n < 20)
    select 'ada' as user_id, sum(n) as value from counted
    """,
]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[DuckDbSqlSettings]:
    """Those of a runner without a database, which may read the folder `files`; of what it copies nothing is left."""
    for name in ("files", "scratch"):
        (tmp_path / name).mkdir()
    dsn = "postgresql://obverse_query@127.0.0.1:1/nowhere"
    yield DuckDbSqlSettings(query_dsn=dsn, folder=str(tmp_path / "files"), scratch=str(tmp_path / "scratch"))
    assert [*(tmp_path / "scratch").iterdir()] == []


@pytest.fixture
def with_tables(settings: DuckDbSqlSettings, database: Database) -> DuckDbSqlSettings:
    """The same with one, as the login that may read alone."""
    return replace(settings, query_dsn=database.dsn("obverse_query"))


async def run(settings: DuckDbSqlSettings, sql: str) -> Rows:
    """What a query gives, by a runner of its own."""
    runner = await open_sql_runner(settings, open_runtime())
    try:
        return await runner.run(sql)
    finally:
        await runner.close()


class TestDuckDbSqlRunner(SqlRunnerContract):
    @pytest.fixture
    async def runner(self, settings: DuckDbSqlSettings) -> SqlRunner:
        return await open_sql_runner(replace(settings, most_rows=MOST), open_runtime())


async def test_a_query_that_both_can_read_gives_the_same(with_tables: DuckDbSqlSettings, database: Database) -> None:
    owner = await asyncpg.connect(database.dsn())
    for statement in (EVENTS, OTHERS, PEOPLE):
        await owner.execute(statement)
    await owner.close()
    other = await open_postgres(PostgresSqlSettings(query_dsn=with_tables.query_dsn), open_runtime())

    for sql in ALIKE:
        theirs = await other.run(read_query(sql))
        ours = await run(with_tables, read_query(sql, DUCKDB))
        assert ours.columns == theirs.columns
        assert sorted(ours.rows, key=repr) == sorted(theirs.rows, key=repr), sql
        assert ours.rows, sql


async def test_files_of_the_folder_are_read(settings: DuckDbSqlSettings) -> None:
    folder = Path(settings.folder)
    (folder / "deep").mkdir()
    (folder / "scores.csv").write_text("user_id,value\nada,1.50\nbob,2\n", encoding="utf-8")
    duckdb.sql(f"copy (select 'ada' as user_id, 7 as value) to '{folder}/deep/a.parquet'")

    from_csv = read_query(
        "select user_id, value::decimal(9, 2) as value from read_csv('scores.csv') order by 1", DUCKDB
    )
    assert (await run(settings, from_csv)).rows == [("ada", Decimal("1.50")), ("bob", 2)]
    from_parquet = read_query("select user_id, value from read_parquet('deep/*.parquet')", DUCKDB)
    assert (await run(settings, from_parquet)).rows == [("ada", 7)]
    with pytest.raises(BadQuery, match=r"name a folder of files, .* `folder` in \[sql_runner.duckdb\]"):
        await run(replace(settings, folder=""), from_csv)
    with pytest.raises(BadQuery, match=r"there is no folder .*nowhere; make it"):
        await run(replace(settings, folder=settings.folder + "/nowhere"), from_csv)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM READ_TEXT('/etc/passwd')",
        "SELECT * FROM READ_CSV('../secret.csv')",
        "SELECT * FROM READ_CSV('link.csv')",
        "SELECT * FROM READ_TEXT('/proc/self/environ')",
        "SELECT * FROM GLOB('/etc/*')",
        "SELECT * FROM READ_CSV('http://127.0.0.1:1/x.csv')",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'out.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET memory_limit = '1TB'",
        "CREATE TABLE x AS SELECT 1",
        "EXPORT DATABASE 'out'",
        "CALL force_checkpoint()",
        "SELECT 1 AS value) AS x; COPY (SELECT 1) TO 'out.csv'; SELECT * FROM (SELECT 1 AS value",
        "SELECT GETENV('HOME') AS value",
        "SELECT * FROM DUCKDB_SECRETS()",
    ],
)
async def test_nothing_else_is_reached_even_if_a_query_would(settings: DuckDbSqlSettings, sql: str) -> None:
    folder = Path(settings.folder)
    (folder.parent / "secret.csv").write_text("a\nb\n", encoding="utf-8")
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")

    with pytest.raises(BadQuery, match=r"^(DuckDB says: |it cannot be read as SQL)"):
        await run(settings, sql)
    assert os.listdir(folder) == ["link.csv"]  # noqa: PTH208 - pathlib's own way is refused in async functions


@pytest.mark.parametrize(
    "sql",
    [
        "select user_id, content as value from read_text('/etc/passwd')",
        "select user_id, value from read_csv('/etc/passwd')",
        "select user_id, value from read_csv('../secret.csv')",
        "select user_id, value from read_parquet(['a.parquet', 's3://bucket/b.parquet'])",
        "select user_id, value from read_csv(concat('/etc', '/passwd'))",
        "select user_id, value from '/etc/passwd'",
        "copy event_stream to 'out.csv'",
        "attach 'out.duckdb'",
        "install httpfs",
        "pragma database_list",
        "set memory_limit = '1TB'",
        "select 'ada' as user_id, getenv('HOME') as value",
        "select 'ada' as user_id, query('select 1') as value",
        "select * from duckdb_secrets()",
        "select * from information_schema.tables",
    ],
)
def test_what_would_reach_for_more_is_a_flaw_with_its_place(sql: str) -> None:
    with pytest.raises(BadQuery, match=r"^line 1, column \d+: "):
        read_query(sql, DUCKDB)


async def test_what_has_no_end_and_what_is_too_large_are_told(settings: DuckDbSqlSettings) -> None:
    endless = (
        "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SELECT n AS user_id, n AS value FROM a "
        "WHERE n < 0"
    )
    with pytest.raises(BadQuery, match=r"longer than 3 seconds; ask for less|more than 200 MiB of memory"):
        await run(replace(settings, most_seconds=3, most_megabytes=200), endless)
    vast = "SELECT 'ada' AS user_id, LENGTH(REPEAT('x', 4000000000)) AS value"
    with pytest.raises(BadQuery, match=r"more than 200 MiB of memory; ask for less|ended by itself"):
        await run(replace(settings, most_megabytes=200), vast)


async def test_what_is_too_much_to_copy_is_told(with_tables: DuckDbSqlSettings, database: Database) -> None:
    owner = await asyncpg.connect(database.dsn())
    await owner.execute(
        "insert into event_stream (workspace_id, type, user_id, name) "
        "select 'main', 'track', n::text, repeat('x', 1000) from generate_series(1, 2000) as n"
    )
    await owner.close()
    small = replace(with_tables, most_copied_megabytes=1)
    counted = "SELECT user_id, COUNT(*) AS value FROM event_stream GROUP BY user_id"
    assert len((await run(small, counted)).rows) == 2000
    with pytest.raises(BadQuery, match="more than 1 MiB; name fewer, leave `engine: duckdb` out, or raise"):
        await run(small, counted.replace("COUNT(*)", "MAX(name)"))


async def test_a_mistake_that_shows_when_it_runs_has_its_place(settings: DuckDbSqlSettings) -> None:
    sql = "SELECT user_id, nope AS value FROM (SELECT 'ada' AS user_id)"
    with pytest.raises(BadQuery, match='Referenced column "nope" not found') as told:
        await run(settings, sql)
    assert told.value.at == sql.index("nope")


async def test_what_a_killed_worker_left_is_removed_and_what_is_in_use_is_not(settings: DuckDbSqlSettings) -> None:
    left = Path(settings.scratch) / "obverse-query-left"
    left.mkdir()
    (left / "event_stream.csv").write_text("ada", encoding="utf-8")
    with scratch_folder(settings.scratch) as used:
        assert len((await run(settings, TWO)).rows) == 2
        assert (used.exists(), left.exists()) == (True, False)


LACKING = """
import asyncio, sys
sys.modules["duckdb"] = None
import obverse.adapters.duckdb as adapter
from obverse.core.queries import BadQuery
runner = asyncio.run(adapter.open_sql_runner(adapter.DuckDbSqlSettings(query_dsn=""), None))
try:
    asyncio.run(runner.run("SELECT 1"))
except BadQuery as error:
    print(error)
"""


def test_without_duckdb_it_is_said_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, check=True, timeout=60)
    assert "not installed where the worker runs: pip install 'obverse[er]'" in done.stdout


async def test_a_database_that_is_away_says_nothing_of_the_query(settings: DuckDbSqlSettings) -> None:
    with pytest.raises((Unreachable, AccessRefused)):
        await run(settings, "SELECT user_id, COUNT(*) AS value FROM event_stream GROUP BY user_id")
    assert len((await run(settings, TWO)).rows) == 2  # which names no table
