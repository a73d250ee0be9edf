"""
A query as somebody wrote it, held against what may be asked.

It is one SELECT over the tables of `TABLES`, with functions that compute and reach for nothing. What is not known to be
harmless is refused. What is returned is written anew from what was checked: no other reading of the text is ever run.
"""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from obverse.core.conditions import did_you_mean
from obverse.core.queries import TABLES, BadQuery, check_columns
from obverse.core.queries.functions import FUNCTIONS

Node = exp.Expr
LONGEST: Final = 20_000
"""Characters."""
_FORBIDDEN: Final[tuple[type[Node], ...]] = (
    exp.DML,
    exp.DDL,
    exp.Command,
    exp.Into,
    exp.Lock,
    exp.Parameter,
    exp.Placeholder,
    exp.SessionParameter,
)


def read_query(text: str) -> str:
    """
    Return a query as it is run.

    Raises:
        BadQuery: with the line and column, and what may be asked.
    """
    tree = _parsed(text)
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise BadQuery(f"line 1, column 1: this is no SELECT; {_ADVICE}")
    for node in tree.walk():
        _check(node)
    names = tree.named_selects
    if not any(name in {"", "*"} for name in names):
        try:
            check_columns(tuple(names))
        except BadQuery as error:
            raise BadQuery(f"line 1, column 1: {error}") from error
    return tree.sql(dialect="postgres", comments=False)


def _parsed(text: str) -> Node:
    if len(text) > LONGEST:
        raise BadQuery(f"line 1, column 1: {len(text)} characters; {LONGEST} at most")
    try:
        parsed = [one for one in sqlglot.parse(text, read="postgres") if not isinstance(one, exp.Semicolon | None)]
    except ParseError as error:
        first = error.errors[0]
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        place = f"line {first['line']}, column {first['col']}"
        raise BadQuery(f"{place}: this is no SQL{near}; {_ADVICE}") from error
    except (TokenError, RecursionError) as error:
        raise BadQuery(f"line 1, column 1: this cannot be read as SQL ({type(error).__name__}); {_ADVICE}") from error
    if len(parsed) != 1:
        raise BadQuery(f"line 1, column 1: expected one statement, not {len(parsed)}; {_ADVICE}")
    return parsed[0]


_ADVICE: Final = "write one SELECT, which may have WITH and UNION, over " + ", ".join(TABLES)


def _check(node: Node) -> None:
    """Refuse a node that is not known to be harmless."""
    if isinstance(node, _FORBIDDEN):
        what = (
            "a parameter" if isinstance(node, exp.Parameter | exp.Placeholder) else "no part of a query that only reads"
        )
        raise BadQuery(f"{_place(node)}: `{_said(node)}` is {what}; {_ADVICE}")
    if isinstance(node, exp.Table):
        _check_table(node)
    elif isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        raise BadQuery(f"{_place(node)}: write functions without their schema, and not `{_said(node)}`")
    elif isinstance(node, exp.Func):
        names = {node.name.lower()} if isinstance(node, exp.Anonymous) else {one.lower() for one in node.sql_names()}
        if not names & FUNCTIONS:
            name = min(names)
            raise BadQuery(f"{_place(node)}: function {name!r} cannot be used here{did_you_mean(name, FUNCTIONS)}")


def _check_table(node: exp.Table) -> None:
    if not isinstance(node.this, exp.Identifier):
        return  # a function in the place of a table: it is looked at as one
    name = node.name if node.this.quoted else node.name.lower()
    if node.args.get("db") or node.args.get("catalog"):
        raise BadQuery(f"{_place(node)}: write tables without their schema, and not `{_said(node)}`")
    if name not in TABLES and name not in _named_above(node):
        hint = did_you_mean(name, TABLES)
        raise BadQuery(f"{_place(node)}: there is no table {name!r} to read{hint}; use {', '.join(TABLES)}")


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


def _said(node: Node) -> str:
    text = node.sql(dialect="postgres")
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - characters of a message


def _place(node: Node) -> str:
    for one in node.walk():
        if "line" in one.meta:
            return f"line {one.meta['line']}, column {one.meta['col'] - (one.meta['end'] - one.meta['start'])}"
    return "line 1, column 1"
