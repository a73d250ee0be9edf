"""The tables that a query may read, with their columns: of its workspace, and without what is ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from obverse.core.queries import TYPE

_EVENT: Final[Mapping[str, str]] = {
    "event_id": "bigint",
    "profile_id": "uuid",
    "event_type": "text",
    "properties": "json",
    "ingested_at": "timestamptz",
    "type": "text",
    "message_id": "text",
    "source": "text",
    "user_id": "text",
    "anonymous_id": "text",
    "name": "text",
    "context": "json",
    "integrations": "json",
    "extra": "json",
    "timestamp": "timestamptz",
    "original_timestamp": "timestamptz",
    "sent_at": "timestamptz",
    "group_id": "text",
    "previous_id": "text",
}
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "audience_members": {"audience": "text", "profile_id": "uuid", "number": "integer", "since": "timestamptz"},
    "customer_profiles": {
        "id": "uuid",
        "identity_graph": "json",
        "computed_traits": "json",
        "timestamp": "timestamptz",
        "merged_into": "uuid",
        "attributes": "json",
        "consents": "json",
        "groups": "text[]",
    },
    "event_stream": _EVENT,
    "groups": {"group_id": "text", "attributes": "json", "first_seen": "timestamptz", "changed_at": "timestamptz"},
    "person_events": _EVENT,
    "profile_identifiers": {"identifier": "text", "profile_id": "uuid"},
}
"""By table, its columns in their order, each with its type as any engine knows it."""


def rows_sql(table: str, columns: Sequence[str]) -> str:
    """
    What gives a table's rows, each column as PostgreSQL has it; `$1` is the workspace.

    >>> rows_sql("groups", ["group_id"])
    'select group_id from public.groups where workspace_id = $1'
    """
    theirs = f" and type <> '{TYPE}'" if "type" in COLUMNS[table] else ""
    # Of names that stand above, and nowhere else.
    return f"select {', '.join(columns)} from public.{table} where workspace_id = $1{theirs}"  # noqa: S608
