"""
A SQL condition as a tree. It is parsed by sqlglot and never run.

What is not in this list of forms is refused with its place: no sub-query, no function but ours, no column but
`trait.NAME`, `attribute.NAME` and the like, nothing behind a semicolon.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from obverse.core import json_values
from obverse.core.conditions.parsing import SUBJECTS, BadCondition, parse, parse_event
from obverse.core.conditions.tree import AUDIENCE, GROUP, PROPERTY, Condition, Every, Not, Some, as_tree

Node = exp.Expr
LONGEST: Final = 20_000
"""Characters."""
_WHERE: Final = re.compile(r"\A\s*where\b", re.IGNORECASE)
_TABLES: Final = (*SUBJECTS, AUDIENCE, GROUP)
_FORMS: Final = (
    "write conditions on trait.NAME, attribute.NAME, identifier.KIND, consent.PURPOSE, audience.NAME or group.ID, "
    "joined by AND, OR and NOT, with =, <>, <, <=, >, >=, IN, BETWEEN, LIKE, IS NULL, contains(), starts_with(), "
    "ends_with(), did() or sequence()"
)
_LIKE: Final = re.compile(r"(%?)((?:[^%_\\]|\\.)*)(%?)", re.DOTALL)
_LIKES: Final = {"%…%": "contains", "…%": "starts_with", "%…": "ends_with", "…": "eq"}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def parse_sql(text: str) -> Condition:
    """
    Read a condition on people, as it stands after WHERE.

    Raises:
        BadCondition: with the line and column, and what may stand there.
    """
    if len(text) > LONGEST:
        raise BadCondition(f"line 1, column 1: {len(text)} characters; {LONGEST} at most")
    # As many characters, so that columns stay what they are.
    text = _WHERE.sub(lambda found: " " * len(found[0]), text, count=1)
    try:
        parsed = sqlglot.parse(text, read="postgres")
    except ParseError as error:
        first = error.errors[0]
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        place = f"line {first['line']}, column {first['col']}"
        raise BadCondition(f"{place}: this is no SQL condition{near}; {_FORMS}") from error
    except (TokenError, RecursionError, ValueError) as error:
        raise BadCondition(
            f"line 1, column 1: this cannot be read as SQL ({type(error).__name__}); {_FORMS}"
        ) from error
    if len(parsed) != 1 or parsed[0] is None:
        raise BadCondition(f"line 1, column 1: expected one condition, not {len(parsed)} statements; {_FORMS}")
    try:
        return _Reader(parse).condition(parsed[0])
    except RecursionError as error:
        raise BadCondition("line 1, column 1: nested too deep; use fewer levels") from error


class _Reader:
    """Reads the parsed nodes; `make` reads a leaf from the tree that it is written as."""

    def __init__(self, make: Callable[[Any, str], Condition], tables: tuple[str, ...] = _TABLES) -> None:
        self._make = make
        self._tables = tables
        self._kinds: Mapping[type[Node], Callable[[Any], Condition]] = {
            exp.Paren: lambda node: self.condition(node.this),
            exp.And: lambda node: Every(tuple(map(self.condition, _joined(node)))),
            exp.Or: lambda node: Some(tuple(map(self.condition, _joined(node)))),
            exp.Not: lambda node: Not(self.condition(node.this)),
            exp.Column: self._alone,
            exp.EQ: lambda node: self._compared(node, "eq", "eq"),
            exp.NEQ: lambda node: self._compared(node, "ne", "ne"),
            exp.GT: lambda node: self._compared(node, "gt", "lt"),
            exp.GTE: lambda node: self._compared(node, "gte", "lte"),
            exp.LT: lambda node: self._compared(node, "lt", "gt"),
            exp.LTE: lambda node: self._compared(node, "lte", "gte"),
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: self._like,
            exp.Is: self._is,
            exp.Contains: lambda node: self._textual(node, "contains"),
            exp.StartsWith: lambda node: self._textual(node, "starts_with"),
            exp.EndsWith: lambda node: self._textual(node, "ends_with"),
            exp.Anonymous: self._function,
        }

    def condition(self, node: Node) -> Condition:
        read = self._kinds.get(type(node))
        if read is None:
            raise _refused(node, f"`{_said(node)}` is no condition")
        return read(node)

    def _leaf(self, node: Node, tree: dict[str, Any]) -> Condition:
        try:
            return self._make(tree, "")
        except BadCondition as error:
            where, _, flaw = str(error).partition(": ")
            raise BadCondition(f"{_place(node)}: {where.removeprefix('.') + ': ' if where else ''}{flaw}") from error

    def _column(self, node: Node) -> dict[str, Any]:
        """What a column looks at, as a tree says it."""
        table, name = (node.table, node.name) if isinstance(node, exp.Column) else ("", "")
        if table.lower() not in self._tables or not name or node.args.get("db"):
            known = ", ".join(f"{one}.NAME" for one in self._tables)
            raise _refused(node, f"`{_said(node)}` is nothing to look at; use {known} (odd names in double quotes)")
        return {table.lower(): name}

    def _alone(self, node: Node) -> Condition:
        """A column by itself: a membership, or something that is true."""
        of = self._column(node)
        if AUDIENCE in of or GROUP in of:
            return self._leaf(node, {"op": "member", **of})
        return self._leaf(node, {"op": "eq", **of, "value": True})

    def _compared(self, node: Node, op: str, turned: str) -> Condition:
        left, right = node.this, node.expression
        if isinstance(right, exp.Column) and not isinstance(left, exp.Column):
            left, right, op = right, left, turned
        of = self._column(left)
        if isinstance(right, exp.Sub) and isinstance(right.this, exp.CurrentTimestamp):
            return self._aged(node, op, of, right.expression)
        if AUDIENCE in of or GROUP in of:
            value = self._value(right)
            if op not in {"eq", "ne"} or not isinstance(value, bool):
                raise _refused(
                    node,
                    "one is in an audience or a group, or not: write `audience.NAME` or `NOT audience.NAME`",
                )
            is_in = self._leaf(node, {"op": "member", **of})
            return is_in if value is (op == "eq") else Not(is_in)
        return self._leaf(node, {"op": op, **of, "value": self._value(right)})

    def _aged(self, node: Node, op: str, of: dict[str, Any], interval: Node) -> Condition:
        unit = interval.args.get("unit")
        if (
            not isinstance(interval, exp.Interval)
            or op not in {"gt", "gte", "lt", "lte"}
            or not isinstance(interval.this, exp.Literal)
            or not isinstance(unit, (exp.Var, NoneType))
        ):
            raise _refused(node, "compare a time with `now() - INTERVAL '7 days'`, by < or >")
        span = f"{interval.this.name} {unit.name.lower()}" if unit is not None else interval.this.name
        lately = op in {"gt", "gte"}
        return self._leaf(node, {"op": "within_last" if lately else "longer_ago", **of, "value": span})

    def _in(self, node: exp.In) -> Condition:
        if node.args.get("query") or node.args.get("unnest") or node.args.get("field"):
            raise _refused(node, "IN wants a list of values, such as ('a', 'b')")
        values = [self._value(one) for one in node.expressions]
        return self._leaf(
            node, {"op": "in", **self._column(node.this), "value": [one for one in values if one is not None]}
        )

    def _between(self, node: exp.Between) -> Condition:
        of = self._column(node.this)
        ends = (("gte", node.args["low"]), ("lte", node.args["high"]))
        return Every(tuple(self._leaf(node, {"op": op, **of, "value": self._value(end)}) for op, end in ends))

    def _like(self, node: exp.Like) -> Condition:
        pattern = self._value(node.expression)
        found = _LIKE.fullmatch(pattern) if isinstance(pattern, str) else None
        if found is None or node.args.get("escape"):
            raise _refused(node, "LIKE knows 'text%', '%text' and '%text%' (and \\% for a percent sign)")
        op = {("%", "%"): "contains", ("", "%"): "starts_with", ("%", ""): "ends_with", ("", ""): "eq"}[
            found[1], found[3]
        ]
        leaf = self._leaf(node, {"op": op, **self._column(node.this), "value": _ESCAPED.sub(r"\1", found[2])})
        return Not(leaf) if node.args.get("negate") else leaf

    def _is(self, node: exp.Is) -> Condition:
        of, right, negated = self._column(node.this), node.expression, bool(node.args.get("negate"))
        if isinstance(right, exp.Null):
            exists = self._leaf(node, {"op": "exists", **of})
            return exists if negated else Not(exists)
        if isinstance(right, exp.Boolean):
            leaf = self._leaf(node, {"op": "eq", **of, "value": bool(right.this)})
            return Not(leaf) if negated else leaf
        raise _refused(node, "IS wants NULL, NOT NULL, TRUE or FALSE")

    def _textual(self, node: Node, op: str) -> Condition:
        return self._leaf(node, {"op": op, **self._column(node.this), "value": self._value(node.expression)})

    def _value(self, node: Node) -> Any:
        """A value as JSON says it."""
        match node:
            case exp.Literal() if node.is_string:
                return node.this
            case exp.Literal():
                return _number(node, node.this)
            case exp.Neg(this=exp.Literal(is_string=False) as literal):
                return _number(node, f"-{literal.this}")
            case exp.Boolean():
                return bool(node.this)
            case exp.Null():
                return None
            case exp.Paren():
                return self._value(node.this)
            case exp.Anonymous() if node.name.lower() == "as_json" and len(node.expressions) == 1:
                text = node.expressions[0]
                if isinstance(text, exp.Literal) and text.is_string:
                    try:
                        return json_values.decode(text.this.encode())
                    except ValueError as error:
                        raise _refused(node, str(error)) from error
        raise _refused(node, f"`{_said(node)}` is no value; write a number, a 'text', TRUE or FALSE")

    def _function(self, node: exp.Anonymous) -> Condition:
        name = node.name.lower()
        if self._tables == (PROPERTY,) or name not in {"did", "sequence"}:
            raise _refused(node, f"there is no function {node.name}()")
        if name == "did":
            return self._leaf(node, {"op": "did", **self._events(node, ("at_least", "at_most", "exactly"))})
        steps, more = self._arguments(node)
        read = []
        for step in steps:
            kind = step.name.lower()
            if kind not in {"step", "absence"}:
                raise _refused(step, "a sequence is made of step() and absence()")
            read.append(self._events(step, ()) | ({"not": True} if kind == "absence" else {}))
        return self._leaf(
            node, {"op": "sequence", "steps": read, **{key: self._value(one) for key, one in more.items()}}
        )

    def _events(self, node: Node, counts: tuple[str, ...]) -> dict[str, Any]:
        """Which events a function is about, and how often and when."""
        positional, named = self._arguments(node)
        said: dict[str, Any] = {}
        if len(positional) > 1:
            raise _refused(node, "name the event first, and the rest as `within => '7 days'`")
        if positional:
            said["event"] = self._value(positional[0])
        times = {}
        for key, one in named.items():
            if key == "where":
                condition = _Reader(parse_event, (PROPERTY,)).condition(one)
                said["where"] = as_tree(condition)
            elif key in counts:
                times[key] = self._count(one)
            else:
                said[key] = self._count(one) if key == "times" else self._value(one)
        return said | ({"times": times} if times else {})

    def _count(self, node: Node) -> Any:
        value = self._value(node)
        # Bounded first: the digits of 1e999999999 would fill the memory.
        number = json_values.number(value) if isinstance(value, Decimal) else None
        return int(number) if number is not None and number == number.to_integral_value() else value

    @staticmethod
    def _arguments(node: Node) -> tuple[list[Node], dict[str, Node]]:
        positional: list[Node] = []
        named: dict[str, Node] = {}
        for one in node.expressions:
            if isinstance(one, exp.Kwarg):
                if one.name.lower() in named:
                    raise _refused(node, f"`{one.name}` is given twice")
                named[one.name.lower()] = one.expression
            else:
                positional.append(one)
        return positional, named


def _joined(node: Node) -> list[Node]:
    """The operands of a chain of one operator: it is parsed two by two."""
    kind, waiting, found = type(node), [node], []
    while waiting:
        one = waiting.pop()
        if type(one) is kind:
            waiting += (one.expression, one.this)
        else:
            found.append(one)
    return found


def _number(node: Node, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise _refused(node, f"{text!r} is no number") from error


def _said(node: Node) -> str:
    text = node.sql(dialect="postgres")
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - characters of a message


def _place(node: Node) -> str:
    for one in node.walk():
        if "line" in one.meta:
            return f"line {one.meta['line']}, column {one.meta['col'] - (one.meta['end'] - one.meta['start'])}"
    return "line 1, column 1"


def _refused(node: Node, flaw: str) -> BadCondition:
    return BadCondition(f"{_place(node)}: {flaw}; {_FORMS}")
