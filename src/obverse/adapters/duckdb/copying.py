"""Copies of the tables that a query names, out of PostgreSQL: their rows as of one moment, as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import asyncpg

from obverse.adapters.duckdb.asking import Copied
from obverse.core.queries import BadQuery
from obverse.core.queries.tables import COLUMNS, rows_sql
from obverse.ports.outcomes import AccessRefused, Unreachable

FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""All that can be raised here, beside `BadQuery`; `trouble` says what it means."""
_DOING: Final = "PostgreSQL (copies tables for a query)"
_PATIENCE: Final = 5.0
"""Seconds to connect."""


async def copy_tables(
    dsn: str, workspace: str, wanted: Mapping[str, Sequence[str]], folder: Path, *, most_megabytes: int
) -> list[Copied]:
    """
    Copy these columns of these tables into files of the folder.

    Raises:
        BadQuery: they hold more than `most_megabytes`.
        one of FAILURES: the database is away, or says no.
    """
    if not wanted:
        return []
    connection = await asyncpg.connect(
        dsn,
        timeout=_PATIENCE,
        server_settings={"application_name": "obverse copies tables for a query", "jit": "off", "timezone": "UTC"},
    )
    copied: list[Copied] = []
    left = most_megabytes << 20
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for table, columns in wanted.items():
                path = folder / f"{table}.csv"
                with path.open("wb") as file:
                    sink = _Sink(file, left, most_megabytes)
                    query = rows_sql(table, [_column_sql(table, one) for one in columns])
                    await connection.copy_from_query(query, workspace, output=sink.write, format="csv")
                left = sink.left
                copied.append(Copied(table, str(path), {one: COLUMNS[table][one] for one in columns}))
    finally:
        # Cut off, and not asked to end: what was not copied may be long.
        connection.terminate()
    return copied


def _column_sql(table: str, column: str) -> str:
    return f"to_json({column})" if COLUMNS[table][column].endswith("[]") else column


class _Sink:
    """A file of so many bytes at most."""

    def __init__(self, file: BinaryIO, left: int, most_megabytes: int) -> None:
        self._file = file
        self._most = most_megabytes
        self.left = left

    async def write(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            raise BadQuery(
                f"the columns that it names hold more than {self._most} MiB; name fewer, leave `engine: duckdb` out, "
                "or raise `most_copied_megabytes` in [sql_runner.duckdb]"
            )
        self._file.write(data)


def trouble(error: BaseException) -> Unreachable | AccessRefused:
    """Say one of FAILURES in the words of the ports."""
    said = f"{_DOING}: {str(error) or type(error).__name__}"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InsufficientPrivilegeError):
        return AccessRefused(f"{said}; check DATABASE_URL, and run `obverse migrate` as the owner")
    return Unreachable(said)
