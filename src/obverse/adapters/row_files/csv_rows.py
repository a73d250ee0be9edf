"""CSV, as spreadsheets and databases write it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Final

from obverse.adapters.row_files.bytes_of import Bytes, Told, beginning_of, encoding_of
from obverse.adapters.row_files.row_file import MOST, RULED, RowFile, UnreadableFile
from obverse.core.loads import Refusal, Row

_DELIMITERS: Final = (",", ";", "\t", "|")
_LOOKED_AT: Final = 50
"""Rows that a delimiter is found out from."""
_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
csv.field_size_limit(MOST)


class CsvRows(RowFile):
    """A CSV file whose first line names its columns."""

    format = "csv"
    rejects_suffix = ".rejects.csv"

    def __init__(self, path: Path, told: Told) -> None:
        """
        Find out how it is written.

        Raises:
            UnreadableFile: it is empty or no text, or its first line does not name columns.
        """
        self.path = path
        self._bytes = Bytes(path)
        beginning = beginning_of(path)
        if not beginning.strip():
            raise UnreadableFile(f"{path} is empty: its first line should name the columns")
        self.encoding, note = (told.encoding, "") if told.encoding else encoding_of(path, beginning)
        text = _decoded(path, beginning, self.encoding)
        if told.delimiter and len(told.delimiter) > 1:
            raise UnreadableFile(f"{path}: the delimiter {told.delimiter!r} is more than one character; write one")
        self.delimiter = told.delimiter or _delimiter(text)
        self.notes = [one for one in (note, self._of_delimiter()) if one]
        with self._bytes.open() as file:
            fields = self._first_line(file)
        self._ruled = tuple(fields[-len(RULED) :]) == RULED and len(fields) > len(RULED)
        """Whether it is a reject file, mended."""
        self.header = fields[: -len(RULED)] if self._ruled else fields
        self.columns = _named(path, self.header)

    def _of_delimiter(self) -> str:
        return (
            "" if self.delimiter == "," else f"its columns are parted by {_NAMES.get(self.delimiter, self.delimiter)}s"
        )

    def _first_line(self, file: BinaryIO) -> list[str]:
        with closing(self._records(file)) as records:
            _, fields, flaw = next(records, (1, [], None))
        if flaw is not None or not fields:
            reason = flaw.reason if flaw is not None else "is empty"
            raise UnreadableFile(f"{self.path}, line 1: {reason}. Its first line should name the columns")
        return fields

    def rows(self) -> Iterator[Row]:
        """See `RowFile.rows`."""
        columns, width = self.columns, len(self.columns)
        with self._bytes.open() as file, closing(self._records(file)) as records:
            next(records)
            for line, fields, flaw in records:
                if self._ruled and len(fields) == width + len(RULED):
                    fields = fields[:width]  # noqa: PLW2901 - what we have said of it
                if flaw is None and len(fields) != width:
                    flaw = _ragged(fields, width)  # noqa: PLW2901 - found out here
                if flaw is None:
                    yield Row(line, dict(zip(columns, fields, strict=True)), fields)
                else:
                    yield Row(line, {}, fields, flaw)

    def _records(self, file: BinaryIO) -> Generator[tuple[int, list[str], Refusal | None], None, None]:
        """Each record: the line that it begins in, its fields, and why it is none."""
        # UTF-16 knows no way to keep what it cannot read.
        errors = "replace" if self.encoding.lower().startswith("utf-16") else "surrogateescape"
        try:
            text = io.TextIOWrapper(file, self.encoding, errors, newline="")
        except LookupError as error:
            raise UnreadableFile(f"there is no encoding {self.encoding!r}: write it as in utf-8 or latin-1") from error
        try:
            yield from self._parsed(_Lines(text, self.encoding))
        except UnicodeError as error:
            raise UnreadableFile(
                f"{self.path} cannot be read as {self.encoding} ({error}); say its encoding as in utf-8 or latin-1"
            ) from error
        finally:
            text.detach()  # who opened the file closes it

    def _parsed(self, lines: _Lines) -> Iterator[tuple[int, list[str], Refusal | None]]:
        reader = csv.reader(lines, delimiter=self.delimiter)
        while True:
            began = lines.number + 1
            lines.flaw = None
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                ended = "" if lines.number == began else f"lines {began} to {lines.number} are one record: "
                yield began, [], Refusal("", f"{ended}{error}; is there a quote that is never closed?")
                continue
            except _TooLong:
                yield began, [], Refusal("", f"more than {MOST} characters; a line may have so many")
                continue
            if lines.ended:  # csv takes what was open for closed there
                swallowed = "" if lines.number == began else f"lines {began} to {lines.number} are one record: "
                reason = f"{swallowed}the file ends within quotes; is there a quote that is never closed?"
                yield began, fields, Refusal("", reason)
            elif fields:
                yield began, fields, lines.flaw

    @property
    def position(self) -> float:
        """See `RowFile.position`."""
        return self._bytes.position


class _TooLong(Exception):
    """A line that nobody would hold in memory; the next one can be read."""


class _Lines:
    """Lines of a text, none of them longer than `MOST`."""

    def __init__(self, text: io.TextIOWrapper[Any], encoding: str) -> None:
        self._readline = text.readline
        self._encoding = encoding
        self.number = 0
        self.flaw: Refusal | None = None
        """What is wrong with one of the lines since this was emptied."""
        self.ended = False
        """Whether one more was asked for than there is."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._readline(MOST + 2)
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        if len(line) > MOST and line[-1] not in "\r\n":
            while (rest := self._readline(MOST)) and rest[-1] not in "\r\n":
                pass
            raise _TooLong
        if "\0" in line:
            self.flaw = Refusal("", "holds the character NUL, which no text has; take it out")
        elif not line.isascii():
            self._look(line)
        return line

    def _look(self, line: str) -> None:
        try:
            line.encode()
        except UnicodeEncodeError as error:
            encoding = self._encoding.removesuffix("-sig").upper()
            self.flaw = Refusal(
                "",
                f"character {error.start + 1} of the line is not {encoding}; save the file in one encoding, or say "
                "which it is, --encoding latin-1",
            )


def _ragged(fields: list[str], width: int) -> Refusal:
    many = "is 1 field" if len(fields) == 1 else f"are {len(fields)} fields"
    return Refusal("", f"there {many}, and {width} columns; is a delimiter or a quote missing or left over?")


def _decoded(path: Path, beginning: bytes, encoding: str) -> str:
    try:
        return beginning.decode(encoding, "replace")
    except LookupError as error:
        raise UnreadableFile(f"{path}: there is no encoding {encoding!r}; write it as in utf-8 or latin-1") from error
    except UnicodeError as error:
        raise UnreadableFile(
            f"{path} cannot be read as {encoding} ({error}); say its encoding as in utf-8 or latin-1"
        ) from error


def _delimiter(text: str) -> str:
    """The delimiter by which most rows have as many fields as the first."""
    best, score = ",", (0.0, 0)
    for one in _DELIMITERS:
        widths: list[int] = []
        try:
            for fields in csv.reader(io.StringIO(text, newline=""), delimiter=one):
                if fields:
                    widths.append(len(fields))
                if len(widths) == _LOOKED_AT:
                    break
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            found = (Counter(widths)[widths[0]] / len(widths), widths[0])
            if found > score:
                best, score = one, found
    return best


def _named(path: Path, fields: list[str]) -> list[str]:
    """The names of the columns, each a name of its own."""
    names = [field.strip() or f"column_{place}" for place, field in enumerate(fields, 1)]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise UnreadableFile(
                f"{path}, line 1: columns {names.index(name) + 1} and {place + 1} are both called {name!r}; rename one"
            )
        if "@" in name:
            raise UnreadableFile(
                f"{path}, line 1: {name!r} looks like a value, not like the name of a column; "
                "let the first line name the columns"
            )
    return names
