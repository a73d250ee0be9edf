"""Texts that somebody who means harm writes into a condition, and conditions with a text in each place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg

from services import Database

NAUGHTY: Final[list[str]] = json.loads((Path(__file__).parent / "data/blns/blns.json").read_text(encoding="utf-8"))
EXPRESSIONS: Final = (
    "%{(#a=@java.lang.Runtime@getRuntime().exec('id'))}",
    "(#_memberAccess['allowStaticMethodAccess']=true)",
    'Runtime.getRuntime().exec("id")',
    "T(java.lang.Runtime).getRuntime().exec('id')",
    "#{T(java.lang.System).exit(1)}",
    "${jndi:ldap://x.example/a}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for x in (1..100000000) %}{{ x }}{% endfor %}",
    "{{ 'a' | append: 'b' }}",
    "this.constructor.constructor('return process')().exit()",
    "require('child_process').execSync('id')",
    "__import__('os').system('id')",
    "lambda: exit()",
    "$where: function() { while (true) {} }",
    '{"$gt": ""}',
    "<%= system('id') %>",
    "`id`; $(id)",
    "{0.__class__}%s%n$1$2",
)
SQL: Final = (
    "'; DROP TABLE customer_profiles; --",
    "' OR '1'='1",
    '"; DELETE FROM event_stream; --',
    "1); TRUNCATE audience_members CASCADE; --",
    "\\'; UPDATE customer_profiles SET attributes = '{}'; --",
    "x' UNION SELECT password FROM pg_shadow --",
    "$$; SELECT pg_sleep(100); $$",
    "$1::text",
    "E'\\x27'",
    "/* */ -- */",
    "') OR pg_read_file('/etc/passwd') IS NOT NULL --",
    "'||(SELECT version())||'",
    "%' ESCAPE '!",
    "a\0b",
)
EXPLOSIVE: Final = (
    "(a+)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(.*)*" * 100,
    "(?R)",
    ".*.*.*=.*",
    "a{1,1000}{1,1000}",
    "[[:alpha:]",
    "\\1(\\1)",
)
TEXTS: Final = tuple(dict.fromkeys((*NAUGHTY, *EXPRESSIONS, *SQL, *EXPLOSIVE)))

Tree = Mapping[str, Any]

TAKEN: Final[dict[str, Callable[[str], Any]]] = {
    **{
        op: lambda text, op=op: {"op": op, "attribute": "said", "value": text}  # type: ignore[misc]  # each its own
        for op in ("eq", "ne", "gt", "lte", "contains", "starts_with", "ends_with")
    },
    "in": lambda text: {"op": "in", "attribute": "said", "value": ["x", text, [text]]},
    "nested": lambda text: {"op": "eq", "attribute": "said", "value": [{text: [text]}]},
    "attribute": lambda text: {"op": "eq", "attribute": text, "value": 1},
    "trait's value": lambda text: {"op": "eq", "trait": "favourite_product", "value": text},
    "consent": lambda text: {"op": "eq", "consent": text, "value": True},
    "identifier's value": lambda text: {"op": "eq", "identifier": "user_id", "value": text},
    "group": lambda text: {"op": "member", "group": text},
    "event": lambda text: {"op": "did", "event": text},
    "page": lambda text: {"op": "did", "type": "page", "event": text, "times": {"at_most": 0}},
    "step": lambda text: {
        "op": "sequence",
        "steps": [{"event": text}, {"event": text, "not": True, "within": "1 day"}],
    },
    "event's value": lambda text: {
        "op": "did",
        "event": "Order Completed",
        "where": {"op": "eq", "property": "sku", "value": text},
    },
}
"""By place, a condition with a text that is plain data there."""
REFUSED: Final[dict[str, Callable[[str], Any]]] = {
    "operator": lambda text: {"op": text, "attribute": "said", "value": 1},
    "subject": lambda text: {"op": "eq", text: "said", "value": 1},
    "key": lambda text: {"op": "eq", "attribute": "said", "value": 1, text: 1},
    "trait": lambda text: {"op": "eq", "trait": text, "value": 1},
    "identifier": lambda text: {"op": "exists", "identifier": text},
    "audience": lambda text: {"op": "member", "audience": text},
    "consent's value": lambda text: {"op": "eq", "consent": "mail", "value": text},
    "span": lambda text: {"op": "within_last", "attribute": "said", "value": text},
    "of": lambda text: {"op": "not", "of": text},
    "parts": lambda text: {"op": "and", "of": [text]},
    "type": lambda text: {"op": "did", "type": text, "event": "Order Completed"},
    "times": lambda text: {"op": "did", "event": "Order Completed", "times": text},
    "at_least": lambda text: {"op": "did", "event": "Order Completed", "times": {"at_least": text}},
    "count": lambda text: {"op": "did", "event": "Order Completed", "times": {text: 1}},
    "within": lambda text: {"op": "did", "event": "Order Completed", "within": text},
    "where": lambda text: {"op": "did", "event": "Order Completed", "where": text},
    "steps": lambda text: {"op": "sequence", "steps": [text, text]},
    "not": lambda text: {"op": "sequence", "steps": [{"event": "a"}, {"event": "b", "not": text}]},
}
"""By place, a condition with a text that means nothing there."""


MARK: Final = "zq7mark"
"""Stands in every text of a test, and nowhere else in the server's log."""


async def log_everything(database: Database) -> None:
    """Have the server log each statement that comes over connections from now on."""
    connection = await asyncpg.connect(database.admin)
    try:
        await connection.execute(f"alter database {database.name} set log_statement = 'all'")
    finally:
        await connection.close()


async def server_log(database: Database) -> str:
    """What the server has logged, up to a statement of our own with the mark in it."""
    connection = await asyncpg.connect(database.admin)
    try:
        await connection.execute(f"select '{MARK} was here'")
        rows = await connection.fetch(
            "select pg_read_file(current_setting('log_directory') || '/' || name) as said from pg_ls_logdir() "
            "where name like 'server-%'"
        )
        return "".join(row["said"] for row in rows)
    finally:
        await connection.close()
