"""Every runner of queries keeps its promises; PostgreSQL's keeps others out of what is not theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import pytest

from obverse.adapters.memory.sql_runner import MemorySqlRunner, MemorySqlSettings
from obverse.adapters.memory.sql_runner import open_sql_runner as open_memory
from obverse.adapters.postgres.sql_runner import PostgresSqlSettings, open_sql_runner
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.sql_runner import ANSWERS, MOST, TWO, SqlRunnerContract
from obverse.core.queries import BadQuery
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.sql_runner import SqlRunner
from services import Database


class TestMemorySqlRunner(SqlRunnerContract):
    @pytest.fixture
    async def runner(self) -> SqlRunner:
        runner = await open_memory(MemorySqlSettings(most_rows=MOST), open_runtime())
        assert isinstance(runner, MemorySqlRunner)
        runner.answers.update(ANSWERS)
        return runner


@pytest.mark.service
class TestPostgresSqlRunner(SqlRunnerContract):
    @pytest.fixture
    async def runner(self, database: Database) -> AsyncIterator[SqlRunner]:
        # As the login that may read alone, whose grants are tested too.
        settings = PostgresSqlSettings(query_dsn=database.dsn("obverse_query"), most_rows=MOST, most_seconds=1)
        runner = await open_sql_runner(settings, open_runtime())
        yield runner
        await runner.close()

    async def test_what_takes_too_long_ends(self, runner: SqlRunner) -> None:
        with pytest.raises(BadQuery, match="longer than 1 seconds; ask for less"):
            await runner.run("SELECT 'ada' AS user_id, CAST(PG_SLEEP(30) AS TEXT) AS value")

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM public.sessions",
            "SELECT * FROM public.definitions",
            "SELECT * FROM pg_catalog.pg_authid",
            "SELECT PG_READ_FILE('/etc/passwd') AS value",
            "SELECT LO_CREATE(0) AS value",
            "SELECT NEXTVAL('public.event_stream_event_id_seq') AS value",
            "SELECT 1 AS value) AS x; DELETE FROM public.customer_profiles; SELECT * FROM (SELECT 1 AS value",
        ],
    )
    async def test_the_login_reaches_nothing_else_even_if_a_query_would(
        self, runner: SqlRunner, database: Database, sql: str
    ) -> None:
        if database.server.foreign:
            pytest.skip("one login for everything")
        with pytest.raises(BadQuery, match=r"PostgreSQL says: (permission denied|cannot )"):
            await runner.run(sql)

    async def test_a_query_sees_its_workspace_and_no_event_of_ours(self, runner: SqlRunner, database: Database) -> None:
        owner = await asyncpg.connect(database.dsn())
        await owner.execute(
            "insert into event_stream (workspace_id, type, event_type, user_id) values "
            "('main', 'track', 'Order', 'ada'), ('other', 'track', 'Order', 'bob'), ('main', 'trait', 'trait', 'ada')"
        )
        await owner.execute(
            "insert into customer_profiles (id, workspace_id, attributes) values (gen_random_uuid(), 'other', '{}')"
        )
        await owner.close()

        for table in ("event_stream", "person_events"):
            found = await runner.run(f"SELECT user_id, COUNT(*) AS value FROM {table} GROUP BY user_id")
            assert found.rows == [("ada", 1)]
        assert (await runner.run("SELECT id AS profile_id, attributes AS value FROM customer_profiles")).rows == []

    async def test_odd_types_are_json_or_told(self, runner: SqlRunner) -> None:
        found = await runner.run(
            "SELECT CAST('2026-01-31 12:00:00+02' AS TIMESTAMPTZ) AS a, CAST('2026-01-31' AS DATE) AS b, "
            "CAST('00000000-0000-0000-0000-00000000000a' AS UUID) AS c, INTERVAL '90 seconds' AS d, 0.5::float8 AS e, "
            "ARRAY[1.0, 2.5] AS f, 12.00 AS g"
        )
        assert found.rows == [
            (
                "2026-01-31T10:00:00Z",
                "2026-01-31",
                "00000000-0000-0000-0000-00000000000a",
                90,
                Decimal("0.5"),
                [1, Decimal("2.5")],
                12,
            )
        ]
        with pytest.raises(BadQuery, match="NaN or infinity"):
            await runner.run("SELECT 'ada' AS user_id, CAST('NaN' AS NUMERIC) AS value")
        with pytest.raises(BadQuery, match="type bytea; make it a number, a text"):
            await runner.run("SELECT 'ada' AS user_id, CAST('x' AS BYTEA) AS value")

    async def test_a_database_that_is_away_says_nothing_of_the_query(self, database: Database) -> None:
        dsn = database.dsn("obverse_query").replace(database.name, "nowhere")
        runner = await open_sql_runner(PostgresSqlSettings(query_dsn=dsn), open_runtime())
        with pytest.raises((Unreachable, AccessRefused)):
            await runner.run(TWO)
