"""Files of rows: CSV in any of its dialects, JSON lines, Parquet; each read as a stream, whatever its size."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from obverse.adapters.row_files.bytes_of import Format, Told, sniff_format
from obverse.adapters.row_files.row_file import RowFile, UnreadableFile

__all__ = ["Format", "RowFile", "Told", "UnreadableFile", "digest_of_file", "open_rows"]

_AT_ONCE: Final = 1 << 20


def open_rows(path: Path, told: Told | None = None) -> RowFile:
    """
    Open a file of rows; what nobody told of it is found out from its name and its beginning.

    Raises:
        UnreadableFile: it cannot be read, or holds no rows; the message says what to do.
    """
    told = told or Told()
    try:
        form = told.format or sniff_format(path)
        match form:
            case Format.CSV:
                from obverse.adapters.row_files.csv_rows import CsvRows  # noqa: PLC0415 - only what is needed

                return CsvRows(path, told)
            case Format.JSONL:
                from obverse.adapters.row_files.json_rows import JsonRows  # noqa: PLC0415

                return JsonRows(path)
            case Format.PARQUET:
                from obverse.adapters.row_files.parquet_rows import ParquetRows  # noqa: PLC0415 - an extra

                return ParquetRows(path)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error


def digest_of_file(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """
    Digest of the file's bytes, as 32 hexadecimal digits; `progress` is told after each mebibyte how many were read.

    Raises:
        UnreadableFile: it cannot be read.
    """
    digest, size = blake2b(digest_size=16), 0
    try:
        with path.open("rb") as file:
            while part := file.read(_AT_ONCE):
                digest.update(part)
                size += len(part)
                progress(size)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
