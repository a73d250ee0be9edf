"""
The process that runs one query: reads what is asked from its input, writes what came of it, and ends.

A process of its own can be killed, takes nothing with it that crashes, and holds nothing that a query could reach.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec

from obverse.adapters.duckdb.asking import Answered, Asked, Copied
from obverse.core import json_values
from obverse.core.queries import BadQuery
from obverse.ports.sql_values import as_json

_AT_ONCE: Final = 1000
_MOST_CHARACTERS: Final = 64 << 20
_LONGEST_ROW: Final = 64 << 20
_BESIDE: Final = 2 << 30
"""Bytes of addresses that Python and DuckDB take beside what a query holds."""
_BEFORE: Final = "select * from (\n"
_SELECT: Final = "SELECT"


def main() -> None:
    """Run what is asked."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    _bound(asked)
    try:
        answered = _run(asked)
    except BadQuery as error:
        answered = Answered(flaw=str(error), at=error.at)
    except MemoryError:
        answered = Answered(flaw=_too_much(asked))
    sys.stdout.buffer.write(json_values.encode(answered))


def _bound(asked: Asked) -> None:
    """What DuckDB does not keep within its own bounds, the system does."""
    most = (asked.most_megabytes << 20) + _BESIDE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # It ends too if nobody is there any more who would kill it.
    resource.setrlimit(resource.RLIMIT_CPU, (asked.most_seconds + 1, asked.most_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(asked: Asked) -> Answered:
    os.chdir(asked.files or asked.scratch)
    try:
        # A file, so that tables need not fit into memory.
        with duckdb.connect(str(Path(asked.scratch) / "tables.duckdb")) as connection:
            _prepare(connection, asked)
            return _ask(connection, asked)
    except duckdb.Error as error:
        raise _told(error, asked) from error


def _prepare(connection: duckdb.DuckDBPyConnection, asked: Asked) -> None:
    """Read the tables; then shut every door, and throw the key away."""
    memory = f"{asked.most_megabytes}MiB"
    connection.execute("set memory_limit = ?", [memory])
    connection.execute("set temp_directory = ?", [str(Path(asked.scratch) / "spilled")])
    connection.execute("set max_temp_directory_size = ?", [memory])
    connection.execute("set threads = 1")
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set preserve_insertion_order = false")
    for one in asked.tables:
        _load(connection, one)
    if asked.files:
        connection.execute("set allowed_directories = ?", [[asked.files]])
    connection.execute("set python_enable_replacements = false")
    connection.execute("set errors_as_json = true")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _load(connection: duckdb.DuckDBPyConnection, one: Copied) -> None:
    # A list comes as JSON: PostgreSQL's own spelling of it is none that DuckDB knows.
    types = {name: "json" if kind.endswith("[]") else kind for name, kind in one.columns.items()}
    told = ", ".join(f"{name}::{kind} as {name}" for name, kind in one.columns.items())
    # Names of `queries.tables`, and types.
    connection.execute(
        f"create table {one.table} as select {told} from read_csv($file, columns = $types, header = false, "  # noqa: S608
        "auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, "
        "max_line_size = $longest)",
        {"file": one.file, "types": types, "longest": _LONGEST_ROW},
    )


def _ask(connection: duckdb.DuckDBPyConnection, asked: Asked) -> Answered:
    whole = f"{_BEFORE}{asked.sql}\n) as given limit {asked.most_rows + 1}"
    # What is asked was checked; here again, for a folder that may be read could be written, too.
    statements = connection.extract_statements(whole)
    if [one.type.name for one in statements] != [_SELECT]:
        raise BadQuery("DuckDB says: it is no single SELECT")
    cursor = connection.execute(statements[0])
    described = cursor.description or []
    kinds = [str(one[1]).lower() for one in described]
    rows: list[list[Any]] = []
    size = 0
    while some := cursor.fetchmany(_AT_ONCE):
        for row in some:
            rows.append([as_json(value, kind) for value, kind in zip(row, kinds, strict=True)])
            size += sum(len(one) for one in row if isinstance(one, str | bytes))
        if size > _MOST_CHARACTERS:
            raise BadQuery(f"it gives more than {_MOST_CHARACTERS} characters; ask for less")
    if len(rows) > asked.most_rows:
        raise BadQuery(f"it gives more than {asked.most_rows} rows; ask for fewer people")
    return Answered(columns=tuple(one[0] for one in described), rows=rows)


def _told(error: duckdb.Error, asked: Asked) -> BadQuery:
    if isinstance(error, duckdb.OutOfMemoryException):
        return BadQuery(_too_much(asked))
    kind, _, text = str(error).partition(": ")
    try:
        said = msgspec.json.decode(text)
        text = str(said["exception_message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        said, text = {}, str(error)
    if isinstance(error, duckdb.PermissionException) and kind == "Permission Error":
        text += "; " + (
            "a query reads files of the folder that `folder` in [sql_runner.duckdb] names, and nothing else"
            if asked.files
            else "name a folder of files, which queries may read: `folder` in [sql_runner.duckdb]"
        )
    position = said.get("position", "") if isinstance(said, dict) else ""
    at = int(position) - len(_BEFORE) if str(position).isdecimal() else -1
    return BadQuery(f"DuckDB says: {text}", at=at if at >= 0 else None)


def _too_much(asked: Asked) -> str:
    return (
        f"it needs more than {asked.most_megabytes} MiB of memory; ask for less, or raise `most_megabytes` in "
        "[sql_runner.duckdb]"
    )


if __name__ == "__main__":
    main()
