"""The text of a query that was checked: what it names, and where in what somebody wrote a part of it stands."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token

from obverse.core.queries import BadQuery
from obverse.core.queries.tables import COLUMNS


def named_columns(sql: str, engine: str) -> dict[str, list[str]]:
    """
    By table that a query names, the columns that it may read; rather one too many.

    Raises:
        BadQuery: it is none that was checked.

    >>> named_columns("SELECT user_id, COUNT(*) AS value FROM event_stream GROUP BY user_id", "duckdb")
    {'event_stream': ['user_id']}
    """
    try:
        tree = sqlglot.parse_one(sql, read=engine)
    except ParseError as error:
        raise BadQuery(f"it cannot be read as SQL: {error}") from error
    tables = [one for one in tree.find_all(exp.Table) if one.name.lower() in COLUMNS]
    said = {one.name.lower() for one in tree.find_all(exp.Identifier)}
    whole = {name.lower() for one in tables for name in (one.name, one.alias) if name}
    everything = (
        any(not isinstance(one.parent, exp.Count) for one in tree.find_all(exp.Star))
        or any(one.args.get("method") for one in tree.find_all(exp.Join))
        # Columns by their place, and a row as one value.
        or any(one.alias_column_names for one in tables)
        or tree.find(exp.PositionalColumn) is not None
        or any(not one.table and one.name.lower() in whole for one in tree.find_all(exp.Column))
    )
    found: dict[str, list[str]] = {}
    for table in sorted({one.name.lower() for one in tables}):
        columns = COLUMNS[table]
        # One at least: there is no table without columns.
        found[table] = [one for one in columns if everything or one in said] or [next(iter(columns))]
    return found


def place(written: str, sql: str, at: int, engine: str) -> tuple[int, int] | None:
    r"""
    The line and column, as somebody wrote it, of what stands in a query as it is run; None if that cannot be told.

    >>> place("select a,\\n  nope from t", "SELECT a, nope FROM t", 10, "postgres")
    (2, 3)
    """
    run, own = sqlglot.tokenize(sql, read=engine), sqlglot.tokenize(written, read=engine)
    meant = next((one for one in run if one.start <= at <= one.end), None)
    if meant is None:
        return None
    alike, theirs = _alike(run, meant), _alike(own, meant)
    if len(alike) != len(theirs):
        return None
    found = theirs[next(number for number, one in enumerate(alike) if one is meant)]
    before = written[: found.start]
    return before.count("\n") + 1, found.start - (before.rfind("\n") + 1) + 1


def _alike(tokens: list[Token], meant: Token) -> list[Token]:
    return [one for one in tokens if one.text.lower() == meant.text.lower()]
