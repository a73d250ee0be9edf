"""Queries of traits in DuckDB: each over copies of the tables that it names, in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from obverse.adapters.duckdb.asking import Answered, Asked, Copied
from obverse.adapters.duckdb.copying import FAILURES, copy_tables, trouble
from obverse.adapters.duckdb.scratch import scratch_folder
from obverse.core import json_values
from obverse.core.queries import DUCKDB, BadQuery
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime
from obverse.ports.sql_runner import Rows, SqlRunner

_CHILD: Final = "obverse.adapters.duckdb.child"
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of our variables, what a process needs to start: the others hold secrets."""
_LACKING: Final = (
    "`engine: duckdb` needs duckdb, which is not installed where the worker runs: pip install 'obverse[er]', or leave "
    "`engine` out"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckDbSqlSettings:
    """The `[sql_runner.duckdb]` table of the settings file."""

    query_dsn: str = field(repr=False)
    """Of a login that may read, and no more."""
    workspace: str = "main"
    folder: str = ""
    """Whose Parquet and CSV files queries may read, with the folders in it; empty: no files."""
    scratch: str = ""
    """Where tables are copied to while a query runs; empty: where the system has its temporary files."""
    most_rows: int = 200_000
    most_seconds: int = 300
    """For all of it: copying, reading and running."""
    most_megabytes: int = 1024
    """MiB of memory."""
    most_copied_megabytes: int = 4096
    """MiB of tables, as text."""


async def open_sql_runner(settings: DuckDbSqlSettings, runtime: Runtime) -> SqlRunner:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.sql_runner:duckdb`. Nothing is needed before a query is run, DuckDB neither."""
    return DuckDbSqlRunner(settings)


class DuckDbSqlRunner:
    """See `SqlRunner`. A query of `engine: duckdb` is written in DuckDB's SQL, and sees copies made for it alone."""

    def __init__(self, settings: DuckDbSqlSettings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, sql: str) -> Rows:
        """See `SqlRunner.run`."""
        settings = self._settings
        if importlib.util.find_spec("duckdb") is None:
            raise BadQuery(_LACKING)
        try:
            async with asyncio.timeout(settings.most_seconds):
                with scratch_folder(settings.scratch) as scratch:
                    return await self._run(sql, scratch)
        except TimeoutError:
            raise BadQuery(f"it takes longer than {settings.most_seconds} seconds; ask for less") from None
        except FAILURES as error:
            raise trouble(error) from error

    async def _run(self, sql: str, scratch: Path) -> Rows:
        # Imported where there is a query: sqlglot takes a third of a second.
        from obverse.core.queries.texts import named_columns  # noqa: PLC0415

        settings = self._settings
        files = await asyncio.to_thread(_folder, settings.folder)
        tables = await copy_tables(
            settings.query_dsn,
            settings.workspace,
            named_columns(sql, DUCKDB),
            scratch,
            most_megabytes=settings.most_copied_megabytes,
        )
        answered = await self._ask(self._asked(sql, tables, scratch, files))
        if answered.flaw is not None:
            raise BadQuery(answered.flaw, at=answered.at)
        return Rows(answered.columns, [tuple(one) for one in answered.rows])

    def _asked(self, sql: str, tables: list[Copied], scratch: Path, files: str) -> Asked:
        settings = self._settings
        return Asked(
            sql=sql,
            tables=tables,
            scratch=str(scratch),
            files=files,
            most_rows=settings.most_rows,
            most_seconds=settings.most_seconds,
            most_megabytes=settings.most_megabytes,
        )

    async def _ask(self, asked: Asked) -> Answered:
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            _CHILD,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=asked.scratch,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"HOME": asked.scratch},
        )
        try:
            said, _ = await process.communicate(msgspec.json.encode(asked))
        finally:
            self._process = None
            await _end(process)
        if not said:
            raise BadQuery(
                f"DuckDB ended by itself ({process.returncode}), for it needed too much memory or time; ask for less"
            )
        try:
            tree: Any = json_values.decode(said)
            return msgspec.convert(tree, Answered)
        except (ValueError, msgspec.ValidationError) as error:
            raise Unreachable(f"DuckDB's answer cannot be read: {error}") from error

    async def close(self) -> None:
        """See `SqlRunner.close`."""
        if self._process is not None:
            await _end(self._process)


def _folder(named: str) -> str:
    """The folder of files, as DuckDB compares it: from the root, and without links."""
    if not named:
        return ""
    folder = Path(named).resolve()
    if not folder.is_dir():
        raise BadQuery(f"there is no folder {folder}; make it, or correct `folder` in [sql_runner.duckdb]")
    return str(folder)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
