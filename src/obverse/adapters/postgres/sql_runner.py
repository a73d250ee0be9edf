"""Queries of traits in PostgreSQL: over one workspace, in transactions that only read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import asyncpg

from obverse.adapters.postgres.connection import FAILURES, connect, hang_up, trouble
from obverse.core import json_values, times
from obverse.core.queries import BadQuery
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime
from obverse.ports.sql_runner import Rows, SqlRunner

_SETUP: Final = """
select set_config('default_transaction_read_only', 'on', false), set_config('statement_timeout', $1, false),
    set_config('idle_in_transaction_session_timeout', $1, false), set_config('search_path', 'pg_catalog', false),
    set_config('timezone', 'UTC', false), set_config('max_parallel_workers_per_gather', '0', false)
"""
"""The last one: a query may wait, and whoever folds may not."""

_WITHIN: Final = """
with audience_members as not materialized (
    select audience, profile_id, number, since from public.audience_members where workspace_id = $1
), customer_profiles as not materialized (
    select id, identity_graph, computed_traits, timestamp, merged_into, attributes, consents, groups
    from public.customer_profiles where workspace_id = $1
), event_stream as not materialized (
    select event_id, profile_id, event_type, properties, ingested_at, type, message_id, source, user_id, anonymous_id,
        name, context, integrations, extra, timestamp, original_timestamp, sent_at, group_id, previous_id
    from public.event_stream where workspace_id = $1 and type <> 'trait'
), groups as not materialized (
    select group_id, attributes, first_seen, changed_at from public.groups where workspace_id = $1
), person_events as not materialized (
    select event_id, profile_id, event_type, properties, ingested_at, type, message_id, source, user_id, anonymous_id,
        name, context, integrations, extra, timestamp, original_timestamp, sent_at, group_id, previous_id
    from public.person_events where workspace_id = $1 and type <> 'trait'
), profile_identifiers as not materialized (
    select identifier, profile_id from public.profile_identifiers where workspace_id = $1
)
select * from (
{query}
) as given limit $2
"""
"""The tables that a query names are these: of its workspace, and without what is ours."""

_AT_ONCE: Final = 1000
_MOST_CHARACTERS: Final = 64 << 20
_NAN: Final = "a value is no number that JSON can say (NaN or infinity); leave it out, or make it null"


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
            statement = await connection.prepare(_WITHIN.replace("{query}", sql))
            columns = tuple(one.name for one in statement.get_attributes())
            kinds = [one.type.name for one in statement.get_attributes()]
            rows: list[tuple[Any, ...]] = []
            size, limit = 0, settings.most_rows + 1
            cursor = statement.cursor(settings.workspace, limit, prefetch=_AT_ONCE, timeout=settings.most_seconds + 5)
            async for row in cursor:
                rows.append(tuple(map(_as_json, row, kinds)))
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
            return BadQuery(f"PostgreSQL says: {error}")
        return trouble(error, "PostgreSQL (runs queries of traits)")

    async def close(self) -> None:
        """See `SqlRunner.close`."""
        if self._connection is not None:
            self._connection.terminate()


def _as_json(value: Any, kind: str) -> Any:  # noqa: C901 - one line a type
    """A value of PostgreSQL as JSON says it."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return json_values.decode(value.encode()) if kind in {"json", "jsonb"} else value
        case float():
            if not math.isfinite(value):
                raise BadQuery(_NAN)
            return Decimal(repr(value))
        case Decimal():
            if not value.is_finite():
                raise BadQuery(_NAN)
            return int(value) if value == value.to_integral_value() and value.adjusted() < json_values.REACH else value
        case datetime():
            return times.to_text(round(value.timestamp() * 1_000_000)) if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return Decimal(value // timedelta(microseconds=1)) / 1_000_000
        case UUID():
            return str(value)
        case list():
            return [_as_json(one, kind.removesuffix("[]").removeprefix("_")) for one in value]
    raise BadQuery(f"it gives a value of type {kind}; make it a number, a text, true or false, such as by ::text")
