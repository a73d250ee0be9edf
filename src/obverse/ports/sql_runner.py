"""Port: who runs the query of a trait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query gives."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    """Values as JSON says them, numbers as int and Decimal; times are texts in ISO 8601, in UTC."""


class SqlRunner(Protocol):
    """
    Runs queries over one workspace.

    Promises, proved for every adapter by `obverse.contracts.sql_runner`:

    * nothing is written, whatever is asked;
    * a query ends: what takes too long, or gives too many rows, is a `BadQuery`, and others go on;
    * events that give traits their values are not seen, so that no query feeds on its own answers.

    It is asked only for what `queries.reading.read_query` returned.
    """

    async def run(self, sql: str) -> Rows:
        """
        Return what a query gives, all as of one moment.

        Raises:
            BadQuery: it fails, or is too much; the message says why, and what to do.
            Unreachable, AccessRefused: nothing can be asked now.
        """
        ...

    async def close(self) -> None:
        """Close what this opened; a query that runs is cut off."""
        ...
