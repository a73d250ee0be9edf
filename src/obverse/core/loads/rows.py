"""Rows of a file, before anybody has said what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

Cell = str | msgspec.Raw
"""Text as it stands in the file, not yet of any type; or a value that had its type there, as JSON."""


@dataclass(slots=True)
class Refusal(Exception):
    """Why one row is not taken: where, and what to do."""

    column: str
    """The column's name; empty if it is the row as a whole."""
    reason: str


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row, or one line that is none."""

    line: int
    """Where it begins in the file, from 1; in a file without lines (Parquet), which row it is."""
    cells: Mapping[str, Cell]
    """By column."""
    original: Sequence[str] | bytes
    """What is written into the reject file: the fields as they stood, or the line as JSON text."""
    flaw: Refusal | None = None
    """Why it is no row."""
