"""Queries of traits in PostgreSQL: over one workspace, in transactions that only read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from obverse.adapters.postgres.connection import FAILURES, connect, hang_up, trouble
from obverse.core.queries import BadQuery
from obverse.core.queries.tables import COLUMNS, rows_sql
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime
from obverse.ports.sql_runner import Rows, SqlRunner
from obverse.ports.sql_values import as_json

_SETUP: Final = """
select set_config('default_transaction_read_only', 'on', false), set_config('statement_timeout', $1, false),
    set_config('idle_in_transaction_session_timeout', $1, false), set_config('search_path', 'pg_catalog', false),
    set_config('timezone', 'UTC', false), set_config('max_parallel_workers_per_gather', '0', false)
"""
"""The last one: a query may wait, and whoever folds may not."""

_TABLES: Final = ", ".join(
    f"{table} as not materialized ({rows_sql(table, [*columns])})" for table, columns in COLUMNS.items()
)
"""The tables that a query names are these."""
_BEFORE: Final = f"with {_TABLES} select * from (\n"  # noqa: S608 - of names that `queries.tables` has

_AT_ONCE: Final = 1000
_MOST_CHARACTERS: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSqlSettings:
    """The `[sql_runner.postgres]` table of the settings file."""

    query_dsn: str = field(repr=False)
    """Of a login that may read, and no more."""
    workspace: str = "main"
    most_rows: int = 200_000
    most_seconds: int = 60


async def open_sql_runner(settings: PostgresSqlSettings, runtime: Runtime) -> SqlRunner:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.sql_runner:postgres`. Nothing is connected before it is needed."""
    return PostgresSqlRunner(settings)


class PostgresSqlRunner:
    """See `SqlRunner`. Each query has a connection of its own, and leaves nothing behind."""

    def __init__(self, settings: PostgresSqlSettings) -> None:
        self._settings = settings
        self._connection: asyncpg.Connection | None = None

    async def run(self, sql: str) -> Rows:
        """See `SqlRunner.run`."""
        try:
            connection = self._connection = await connect(self._settings.query_dsn, "runs the query of a trait")
        except FAILURES as error:
            raise trouble(error, "PostgreSQL (runs queries of traits)") from error
        try:
            return await self._run(connection, sql)
        except FAILURES as error:
            raise self._told(error) from error
        finally:
            self._connection = None
            await hang_up(connection)

    async def _run(self, connection: asyncpg.Connection, sql: str) -> Rows:
        settings = self._settings
        await connection.fetch(_SETUP, f"{settings.most_seconds}s")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # The text was written by us, of a tree that was checked: see `queries.reading`.
            statement = await connection.prepare(f"{_BEFORE}{sql}\n) as given limit $2")
            columns = tuple(one.name for one in statement.get_attributes())
            kinds = [one.type.name for one in statement.get_attributes()]
            rows: list[tuple[Any, ...]] = []
            size, limit = 0, settings.most_rows + 1
            cursor = statement.cursor(settings.workspace, limit, prefetch=_AT_ONCE, timeout=settings.most_seconds + 5)
            async for row in cursor:
                rows.append(tuple(map(as_json, row, kinds)))
                size += sum(len(one) for one in row if isinstance(one, str | bytes))
                if size > _MOST_CHARACTERS:
                    raise BadQuery(f"it gives more than {_MOST_CHARACTERS} characters; ask for less")
        if len(rows) == limit:
            raise BadQuery(f"it gives more than {settings.most_rows} rows; ask for fewer people")
        return Rows(columns, rows)

    def _told(self, error: BaseException) -> BadQuery | Unreachable | AccessRefused:
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
            return BadQuery(f"it takes longer than {self._settings.most_seconds} seconds; ask for less")
        ours = (
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,
            asyncpg.InvalidAuthorizationSpecificationError,
        )
        if isinstance(error, asyncpg.PostgresError) and not isinstance(error, ours):
            return BadQuery(f"PostgreSQL says: {error}", at=_at(error))
        return trouble(error, "PostgreSQL (runs queries of traits)")

    async def close(self) -> None:
        """See `SqlRunner.close`."""
        if self._connection is not None:
            self._connection.terminate()


def _at(error: asyncpg.PostgresError) -> int | None:
    """Which character of the query is meant; the server counts from 1, and ours in."""
    position = str(getattr(error, "position", None) or "")
    at = int(position) - 1 - len(_BEFORE) if position.isdecimal() else -1
    return at if at >= 0 else None
