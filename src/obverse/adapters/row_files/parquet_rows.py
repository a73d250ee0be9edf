"""Parquet, by way of pyarrow: the extra `warehouse`."""

from __future__ import annotations

import importlib.util
import math
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from obverse.adapters.row_files.bytes_of import PARQUET
from obverse.adapters.row_files.row_file import RowFile, UnreadableFile
from obverse.core import times
from obverse.core.loads import Cell, Refusal, Row

_AT_ONCE: Final = 1000
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class ParquetRows(RowFile):
    """A Parquet file; nested values become JSON."""

    format = "parquet"

    def __init__(self, path: Path) -> None:
        """
        Read its schema.

        Raises:
            UnreadableFile: it is no Parquet, or pyarrow is not installed.
        """
        self.path = path
        with path.open("rb") as file:
            if file.read(len(PARQUET)) != PARQUET:
                raise UnreadableFile(f"{path} is no Parquet file: it does not begin with {PARQUET.decode()}")
        if importlib.util.find_spec("pyarrow") is None:
            raise UnreadableFile(
                "reading Parquet needs pyarrow, which is not installed here: pip install 'obverse[warehouse]'"
            )
        with self._opened() as file:
            self._total = file.metadata.num_rows
            self.columns = list(file.schema_arrow.names)
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise UnreadableFile(f"{path} has no columns, or two of one name; write it anew with a name for each")
        self._read = 0

    def _opened(self) -> Any:
        from pyarrow import ArrowException  # noqa: PLC0415 - an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415

        try:
            # Page by page: a row group may have more rows than memory.
            return ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False)
        except (ArrowException, OSError) as error:
            raise UnreadableFile(f"{self.path} is no whole Parquet file: {error}") from error

    def rows(self) -> Iterator[Row]:
        """See `RowFile.rows`."""
        from pyarrow import ArrowException  # noqa: PLC0415 - an extra

        self._read = 0
        with self._opened() as file:
            try:
                for batch in file.iter_batches(_AT_ONCE):
                    values = [column.to_pylist() for column in batch.columns]
                    for place in range(batch.num_rows):
                        self._read += 1
                        yield self._row(self._read, [column[place] for column in values])
            except (ArrowException, OSError, OverflowError, ValueError) as error:
                raise UnreadableFile(f"{self.path}, after row {self._read}: {error}") from error

    def _row(self, number: int, values: list[Any]) -> Row:
        cells: dict[str, Cell] = {}
        flaw = None
        for name, value in zip(self.columns, values, strict=True):
            if value is None:
                continue
            try:
                cells[name] = msgspec.Raw(_encode(_plain(value)))
            except (TypeError, ValueError, RecursionError) as error:
                flaw = Refusal(name, f"cannot be written as JSON: {error}")
        original = _encode(cells)
        return Row(number, cells, original, flaw)

    @property
    def position(self) -> float:
        """See `RowFile.position`."""
        return self._read / self._total if self._total else 1.0


def _plain(value: Any) -> Any:
    """The value in JSON's own types: times as ISO 8601, decimals exact, bytes as text or base64."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, date | time | timedelta):
        return _moment(value)
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, tuple) and len(one) == _PAIR for one in value):
            return {str(_plain(name)): _plain(one) for name, one in value}  # a map
        return [_plain(one) for one in value]
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _moment(value: date | time | timedelta) -> Any:
    if isinstance(value, datetime):
        since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
        return times.to_text((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    return value.total_seconds() if isinstance(value, timedelta) else value.isoformat()


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAIR: Final = 2


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()
