"""What is said between the worker and the process that runs a query."""

from __future__ import annotations

from typing import Any

import msgspec


class Copied(msgspec.Struct, frozen=True):
    """A table that was copied."""

    table: str
    file: str
    """CSV: nulls are empty, and texts stand in quotes."""
    columns: dict[str, str]
    """Their types, in their order."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One query, and within which bounds it is run."""

    sql: str
    tables: list[Copied]
    scratch: str
    """A folder of its own."""
    files: str
    """The folder whose files it may read; empty: none."""
    most_rows: int
    most_seconds: int
    most_megabytes: int
    """Of memory, and as much again on the disk."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    columns: tuple[str, ...] = ()
    rows: list[list[Any]] = []
    flaw: str | None = None
    at: int | None = None
    """Of the flaw; see `BadQuery.at`."""
