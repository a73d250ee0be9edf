"""
A query as somebody wrote it, held against what may be asked.

It is one SELECT over the tables of `TABLES`, with functions that compute and reach for nothing. What is not known to be
harmless is refused. What is returned is written anew from what was checked: no other reading of the text is ever run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from obverse.core.conditions import did_you_mean
from obverse.core.queries import DUCKDB, POSTGRES, TABLES, BadQuery, check_columns
from obverse.core.queries.functions import FUNCTIONS, OF_DUCKDB

Node = exp.Expr
LONGEST: Final = 20_000
"""Characters."""
_FILES: Final = "files are read by read_parquet('NAME') and read_csv('NAME')"
_ELSEWHERE: Final = re.compile(r"^[/~]|://|(^|[/\\])\.\.([/\\]|$)")
"""In the name of a file: the adapter keeps a query in its folder; this tells what is wrong, and where."""
_FORBIDDEN: Final[tuple[type[Node], ...]] = (
    exp.DML,
    exp.DDL,
    exp.Command,
    exp.Describe,
    exp.Into,
    exp.Lock,
    exp.Parameter,
    exp.Placeholder,
    exp.SessionParameter,
)


def read_query(text: str, engine: str = POSTGRES) -> str:
    """
    Return a query as it is run; it is written in the SQL of this engine.

    Raises:
        BadQuery: with the line and column, and what may be asked.
    """
    return _Reading(engine).read(text)


@dataclass(frozen=True, slots=True)
class _Reading:
    engine: str
    """As sqlglot calls its SQL, too."""

    def read(self, text: str) -> str:
        tree = self._parsed(text)
        if not isinstance(tree, exp.Select | exp.SetOperation):
            raise BadQuery(f"line 1, column 1: this is no SELECT; {self._advice}")
        for node in tree.walk():
            self._check(node)
        names = tree.named_selects
        if not any(name in {"", "*"} for name in names):
            try:
                check_columns(tuple(names))
            except BadQuery as error:
                raise BadQuery(f"line 1, column 1: {error}") from error
        return tree.sql(dialect=self.engine, comments=False)

    @property
    def _advice(self) -> str:
        files = f"; {_FILES}" if self.engine == DUCKDB else ""
        return f"write one SELECT, which may have WITH and UNION, over {', '.join(TABLES)}{files}"

    def _parsed(self, text: str) -> Node:
        if len(text) > LONGEST:
            raise BadQuery(f"line 1, column 1: {len(text)} characters; {LONGEST} at most")
        try:
            parsed = [one for one in sqlglot.parse(text, read=self.engine) if not isinstance(one, exp.Semicolon | None)]
        except ParseError as error:
            first = error.errors[0]
            near = f" near {first['highlight']!r}" if first.get("highlight") else ""
            place = f"line {first['line']}, column {first['col']}"
            raise BadQuery(f"{place}: this is no SQL{near}; {self._advice}") from error
        except (TokenError, RecursionError) as error:
            raise BadQuery(
                f"line 1, column 1: this cannot be read as SQL ({type(error).__name__}); {self._advice}"
            ) from error
        if len(parsed) != 1:
            raise BadQuery(f"line 1, column 1: expected one statement, not {len(parsed)}; {self._advice}")
        return parsed[0]

    def _check(self, node: Node) -> None:
        """Refuse a node that is not known to be harmless."""
        if isinstance(node, _FORBIDDEN):
            parameter = isinstance(node, exp.Parameter | exp.Placeholder)
            what = "a parameter" if parameter else "no part of a query that only reads"
            raise BadQuery(f"{_place(node)}: `{self._said(node)}` is {what}; {self._advice}")
        if isinstance(node, exp.Table):
            self._check_table(node)
        elif isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            raise BadQuery(f"{_place(node)}: write functions without their schema, and not `{self._said(node)}`")
        elif isinstance(node, exp.Func):
            functions = OF_DUCKDB if self.engine == DUCKDB else FUNCTIONS
            names = (
                {node.name.lower()} if isinstance(node, exp.Anonymous) else {one.lower() for one in node.sql_names()}
            )
            if not names & functions:
                name = min(names)
                raise BadQuery(f"{_place(node)}: function {name!r} cannot be used here{did_you_mean(name, functions)}")
            if isinstance(node, exp.ReadCSV | exp.ReadParquet):
                self._check_file(node)

    def _check_file(self, node: Node) -> None:
        files = node.args.get("this") or node.expressions[0]
        for one in files.expressions if isinstance(files, exp.Array) else [files]:
            if not (isinstance(one, exp.Literal) and one.is_string):
                raise BadQuery(f"{_place(node)}: name a file as a text, and not `{self._said(one)}`; {_FILES}")
            if _ELSEWHERE.search(one.name):
                raise BadQuery(f"{_place(node)}: {one.name!r} is not in the folder of files; {_FILES}")

    def _check_table(self, node: exp.Table) -> None:
        if not isinstance(node.this, exp.Identifier):
            return  # a function in the place of a table: it is looked at as one
        name = node.name if node.this.quoted else node.name.lower()
        if node.args.get("db") or node.args.get("catalog"):
            raise BadQuery(f"{_place(node)}: write tables without their schema, and not `{self._said(node)}`")
        if name not in TABLES and name not in _named_above(node):
            files = f"; {_FILES}" if self.engine == DUCKDB else ""
            hint = did_you_mean(name, TABLES)
            raise BadQuery(f"{_place(node)}: there is no table {name!r} to read{hint}; use {', '.join(TABLES)}{files}")

    def _said(self, node: Node) -> str:
        text = node.sql(dialect=self.engine)
        return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - characters of a message


def _named_above(node: Node) -> set[str]:
    """The names that WITH gives to queries where a node stands: a query does not see its own, nor those after it."""
    found: set[str] = set()
    child, parent = node, node.parent
    while parent is not None:
        if isinstance(parent, exp.With):
            ones = parent.expressions
            within = next(place for place, one in enumerate(ones) if one is child)
            found.update(map(_name, ones if parent.args.get("recursive") else ones[:within]))
        elif isinstance(parent, exp.Query) and not isinstance(child, exp.With):
            found.update(map(_name, parent.ctes))
        child, parent = parent, parent.parent
    return found


def _name(node: Node) -> str:
    named = node.args["alias"].this
    name: str = named.name
    return name if named.quoted else name.lower()


def _place(node: Node) -> str:
    for one in node.walk():
        if "line" in one.meta:
            return f"line {one.meta['line']}, column {one.meta['col'] - (one.meta['end'] - one.meta['start'])}"
    return "line 1, column 1"
