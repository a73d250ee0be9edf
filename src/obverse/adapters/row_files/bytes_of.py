"""The bytes of a file: whether they are packed, text or not, in which encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, cast

from obverse.adapters.row_files.row_file import UnreadableFile

SAMPLE: Final = 1 << 18
"""Bytes at the beginning that encoding and delimiter are found out from."""
_GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
_ODD: Final = 0.01
"""Share of control characters from which something is no text."""
_CONTROLS: Final = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f\v\x1b")
_HALF: Final = 0.4


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody says of a file."""

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None


_BY_SUFFIX: Final = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), Format.CSV),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), Format.JSONL),
    ".parquet": Format.PARQUET,
}


def sniff_format(path: Path) -> Format:
    """What a file holds, by its name, else by its beginning."""
    suffixes = [one.lower() for one in path.suffixes if one.lower() != ".gz"]
    found = _BY_SUFFIX.get(suffixes[-1]) if suffixes else None
    if found is not None:
        return found
    beginning = beginning_of(path)
    if beginning.startswith(PARQUET):
        return Format.PARQUET
    return Format.JSONL if beginning.lstrip(codecs.BOM_UTF8 + b" \t\r\n")[:1] == b"{" else Format.CSV


class Bytes:
    """A file's bytes, unpacked if they are packed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._file: BinaryIO | None = None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """
        Open it from its beginning.

        Raises:
            UnreadableFile: what is packed is broken, while the block reads.
        """
        with self.path.open("rb") as file:
            self._file = file
            packed = file.peek(2)[:2] == _GZIP
            try:
                unpacked = gzip.GzipFile(fileobj=file, mode="rb") if packed else None
                yield file if unpacked is None else cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", unpacked)))
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise UnreadableFile(
                    f"{self.path} is packed with gzip, and broken: {error}. What could be unpacked was read; "
                    "bring the whole file here"
                ) from error
            finally:
                self._file = None

    @property
    def position(self) -> float:
        """How much of it has been read, from 0 to 1."""
        if self._file is None or not self.size:
            return 1.0
        return min(1.0, self._file.tell() / self.size)


def beginning_of(path: Path) -> bytes:
    """The first bytes of a file, unpacked."""
    with Bytes(path).open() as file:
        return file.read(SAMPLE)


def encoding_of(path: Path, beginning: bytes) -> tuple[str, str]:
    """
    Return the encoding of a text, by how it begins, and what is to be told of it (nothing for UTF-8).

    Raises:
        UnreadableFile: it is no text.
    """
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, note = "utf-16", "its encoding is UTF-16"
    elif beginning.startswith(codecs.BOM_UTF8):
        encoding, note = "utf-8-sig", ""
    elif beginning[1:400:2].count(0) > _HALF * len(beginning[1:400:2]):
        encoding, note = "utf-16-le", "its encoding is UTF-16, though nothing at its beginning says so"
    elif beginning[0:400:2].count(0) > _HALF * len(beginning[0:400:2]):
        encoding, note = "utf-16-be", "its encoding is UTF-16, though nothing at its beginning says so"
    elif _is_utf8(beginning):
        encoding, note = "utf-8", ""
    else:
        encoding = "cp1252"
        note = "it is not UTF-8: read as Latin-1 (Windows-1252); if letters look wrong, say --encoding NAME"
    _refuse_binary(path, beginning, encoding)
    return encoding, note


def _is_utf8(beginning: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8: a few broken rows make no other encoding."""
    text = beginning.decode("utf-8", "surrogateescape")
    odd = [one for one in text[:-4] if not one.isascii()]
    broken = sum("\udc80" <= one <= "\udcff" for one in odd)
    return broken * 2 <= len(odd)


def _refuse_binary(path: Path, beginning: bytes, encoding: str) -> None:
    text = beginning[: len(beginning) - len(beginning) % 2].decode(encoding, "replace")
    # Of UTF-8 what cannot be read is refused row by row; half a character of UTF-16 is one of nothing.
    odd = _CONTROLS | {"\ufffd"} if encoding.startswith("utf-16") else _CONTROLS
    controls = sum(one in odd for one in text)
    if text and controls > max(4, _ODD * len(text)):
        raise UnreadableFile(
            f"{path} is no text: {controls} of its first {len(text)} characters are control characters. "
            "Save it as CSV (UTF-8), JSON lines or Parquet"
        )
