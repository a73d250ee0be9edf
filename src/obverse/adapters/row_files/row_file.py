"""What every file of rows has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from obverse.core.loads import Row

SAMPLE_ROWS: Final = 1000
"""Rows that names and types are guessed from."""
MOST: Final = 1 << 20
"""Bytes or characters of one line, or of one field; an event has 32 KB at most."""
RULED: Final = ("line", "column", "reason")
"""The last three columns of a reject file, which are no one's data; in JSON, an object `rejected` that has them."""


class UnreadableFile(ValueError):
    """The file, or the rest of it, cannot be read; the message says where and what to do."""


class RowFile(ABC):
    """A file of rows."""

    path: Path
    format: str
    """csv, jsonl or parquet."""
    columns: Sequence[str]
    """In the order of the file; of JSON lines, those of its first rows."""
    notes: Sequence[str] = ()
    """What was found out of it and is worth telling."""
    rejects_suffix: str = ".rejects.jsonl"
    """What a reject file of it is called, after its own name."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """
        Every row from the first, flawed ones too. A stream: what has gone by is not kept.

        Raises:
            UnreadableFile: the rest of it cannot be read.
        """

    @property
    @abstractmethod
    def position(self) -> float:
        """How much of the file has been read, from 0 to 1."""

    def sample(self) -> list[Row]:
        """Its first rows."""
        found: list[Row] = []
        rows = self.rows()
        for row in rows:
            found.append(row)
            if len(found) == SAMPLE_ROWS:
                break
        return found
