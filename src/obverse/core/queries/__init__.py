"""
Queries: SQL whose answer gives the values of a trait; what may be asked, and what an answer says.

`reading.read_query` reads one, by sqlglot, which takes a third of a second to import; whoever has none need not wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import msgspec

from obverse.core.events import Event
from obverse.core.identity import ID

TYPE: Final = "trait"
"""The type of an event that gives a trait's value. It is none of the six calls, so nobody outside can send one."""
SOURCE: Final = "obverse"
PROPERTY: Final = "values"
"""The property that holds the value: a list of it alone, or an empty one if there is none any more."""
PROFILE: Final = "profile_id"
"""The column of a profile's own id, where an identifier may stand."""
VALUE: Final = "value"
COLUMNS: Final = 2

TABLES: Final = (
    "audience_members",
    "customer_profiles",
    "event_stream",
    "groups",
    "person_events",
    "profile_identifiers",
)
"""What a query may read, by its name alone."""


POSTGRES: Final = "postgres"
DUCKDB: Final = "duckdb"
ENGINES: Final = (POSTGRES, DUCKDB)
"""Who can run queries, each in its own SQL."""


class BadQuery(ValueError):
    """A query that cannot be asked, or whose answer cannot be used; the message says what is wrong and what to do."""

    def __init__(self, message: str, *, at: int | None = None) -> None:
        super().__init__(message)
        self.at = at
        """Which character of what was run is meant, from 0; None if that is not known, or said in the message."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and how often."""

    sql: str
    """One SELECT, written anew from what was checked, so that nothing else is run."""
    every: int
    """Microseconds."""
    engine: str = POSTGRES
    """Who is asked; one of `ENGINES`."""
    written: str = field(default="", compare=False, repr=False)
    """As somebody wrote it."""

    @property
    def digest(self) -> str:
        """Stands for what is asked and of whom, and not for how often."""
        asked = self.sql if self.engine == POSTGRES else f"{self.engine}\0{self.sql}"
        return blake2b(asked.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event says: a trait's value for the person of an identifier."""

    trait: str
    run: int
    """Which run of the query, from 1."""
    at: int
    """Microseconds since 1970."""
    identifier: str
    """As `kind:value`."""
    value: bytes | None
    """JSON text; None if there is none any more."""


def check_columns(columns: tuple[str, ...]) -> None:
    """Raise `BadQuery` unless these are an identifier's kind and `value`."""
    if len(columns) != COLUMNS or columns.count(VALUE) != 1:
        raise BadQuery(
            f"it gives {_listed(columns)}; it must give two columns: a kind of identifier, such as user_id or email, "
            f"or {PROFILE}; and {VALUE}"
        )


def kind_of(columns: tuple[str, ...], kinds: tuple[str, ...]) -> str:
    """
    The kind of identifier that an answer's column is of, `ID` for a profile's own id.

    Raises:
        BadQuery: the columns are not an identifier and a value.
    """
    check_columns(columns)
    (kind,) = (one for one in columns if one != VALUE)
    if kind == PROFILE:
        return ID
    if kind not in kinds:
        raise BadQuery(f"column {kind!r} is no kind of identifier; use {PROFILE}, {', '.join(kinds)}")
    return kind


def event_of(told: Told) -> Event:
    """The event that gives a trait its value; its message id is the same however often it is made."""
    kind, _, value = told.identifier.partition(":")
    values = b"" if told.value is None else told.value
    # With the value: a run that was cut off is done again under its number, and may find another one.
    what = blake2b(told.identifier.encode() + b"\0" + values, digest_size=8).hexdigest()
    return Event(
        type=TYPE,
        message_id=f"{TYPE}:{told.trait}:{told.run}:{what}",
        source=SOURCE,
        received_at=told.at,
        timestamp=told.at,
        name=told.trait,
        user_id=value if kind == "user_id" else None,
        anonymous_id=value if kind == "anonymous_id" else None,
        properties=b'{"values":[' + values + b"]}",
        # Where they say whose this is, and tell no attribute.
        context=msgspec.json.encode(_context(kind, value)),
    )


def _context(kind: str, value: str) -> Mapping[str, Any]:
    if kind in {"user_id", "anonymous_id"}:
        return {}
    if kind == "email":
        return {"traits": {"email": value}}
    return {"externalIds": [{"id": value, "type": kind, "collection": "users", "encoding": "none"}]}


def _listed(columns: tuple[str, ...]) -> str:
    return "no column" if not columns else ", ".join(columns)
