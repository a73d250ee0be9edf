"""The reject file: rows that were not taken, as they stood, with where and why; mended, it can be loaded itself."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import msgspec

from obverse.adapters.row_files import RowFile
from obverse.adapters.row_files.csv_rows import CsvRows
from obverse.adapters.row_files.row_file import RULED
from obverse.core.loads import Refusal, Row


class RejectFile:
    """
    See `flows.load.Rejects`. There is no file until there is a row for it.

    A cell is written as it was read, even if a spreadsheet would take it for a formula: else a mended row would be
    another one.
    """

    def __init__(self, path: Path, rows: RowFile, *, size: int) -> None:
        """`size`: bytes that are settled; what was written after them is forgotten."""
        self.path = path
        self._header = list(rows.header) if isinstance(rows, CsvRows) else None
        self._delimiter = rows.delimiter if isinstance(rows, CsvRows) else ","
        self._size = size
        self._file: Any = None
        self._writer: Any = None
        if path.exists():
            if size:
                os.truncate(path, size)
            else:
                path.unlink()

    def add(self, row: Row, refusal: Refusal) -> None:
        """See `Rejects.add`."""
        if self._file is None:
            self._open()
        if self._header is None:
            self._file.write(_line(row, refusal))
        else:
            fields = _fitted(row.original, len(self._header), self._delimiter)
            self._writer.writerow([*fields, str(row.line), refusal.column, refusal.reason])

    def settle(self) -> int:
        """See `Rejects.settle`."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._size = os.fstat(self._file.fileno()).st_size
        return self._size

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        if self._header is None:
            self._file = self.path.open("ab")
            return
        # What is no UTF-8 goes out as the bytes that came in.
        self._file = self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
        self._writer = csv.writer(self._file, delimiter=self._delimiter, lineterminator="\n")
        if not self._size:
            self._writer.writerow([*self._header, *RULED])


def _fitted(fields: Any, width: int, delimiter: str) -> list[str]:
    """As many fields as there are columns; what is too much stands in the last one."""
    found = list(fields) if not isinstance(fields, bytes) else []
    if len(found) > width:
        found[width - 1 :] = [delimiter.join(found[width - 1 :])]
    return found + [""] * (width - len(found))


def _line(row: Row, refusal: Refusal) -> bytes:
    told = msgspec.json.encode({"line": row.line, "column": refusal.column, "reason": refusal.reason})
    original = row.original if isinstance(row.original, bytes) else b"{}"
    body = original.strip()[1:-1].strip()
    return b"{" + body + (b"," if body else b"") + b'"rejected":' + told + b"}\n"
