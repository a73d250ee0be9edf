"""JSON lines: one object a line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from obverse.adapters.row_files.bytes_of import PARQUET, Bytes, beginning_of
from obverse.adapters.row_files.row_file import MOST, RowFile, UnreadableFile
from obverse.core.loads import Refusal, Row

_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
REJECTED: Final = "rejected"
"""The field of a reject file's lines that we have added."""
_rejected: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RULED: Final = frozenset({"line", "column", "reason"})
_SHOWN: Final = 1024


class JsonRows(RowFile):
    """A file with one JSON object a line."""

    format = "jsonl"

    def __init__(self, path: Path) -> None:
        """
        Look at its beginning.

        Raises:
            UnreadableFile: it is empty, or holds something else than lines of JSON.
        """
        self.path = path
        self._bytes = Bytes(path)
        beginning = beginning_of(path).removeprefix(codecs.BOM_UTF8).lstrip()
        if not beginning:
            raise UnreadableFile(f"{path} is empty: it should have one JSON object a line")
        if beginning[:1] == b"[":
            raise UnreadableFile(f"{path} is one JSON list; write one object a line, as `jq -c '.[]'` does")
        if beginning[:1] != b"{":
            kind = "Parquet: name it so" if beginning.startswith(PARQUET) else "no JSON"
            raise UnreadableFile(f"{path} is {kind}; it should have one JSON object a line, each beginning with {{")
        names: dict[str, None] = {}
        for row in self.sample():
            names.update(dict.fromkeys(row.cells))
        if not names:
            raise UnreadableFile(f"{path}: none of its first lines is a JSON object; write one object a line")
        self.columns = list(names)

    def rows(self) -> Iterator[Row]:
        """See `RowFile.rows`."""
        with self._bytes.open() as file:
            number = 0
            while line := file.readline(MOST + 1):
                number += 1
                if len(line) > MOST and not line.endswith(b"\n"):
                    while (rest := file.readline(MOST)) and not rest.endswith(b"\n"):
                        pass
                    yield Row(
                        number, {}, _quoted(line), Refusal("", f"more than {MOST} bytes; a line may have so many")
                    )
                    continue
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                line = line.strip()
                if line:
                    yield _row(number, line)

    @property
    def position(self) -> float:
        """See `RowFile.position`."""
        return self._bytes.position


def _row(number: int, line: bytes) -> Row:
    try:
        line.decode()  # what is taken over as it stands is not read again
        cells = _object.decode(line)
    except UnicodeDecodeError as error:
        return Row(number, {}, _quoted(line), Refusal("", f"byte {error.start + 1} is not UTF-8"))
    except RecursionError:
        return Row(number, {}, _quoted(line), Refusal("", "nested too deep; send flatter objects"))
    except msgspec.ValidationError:
        return Row(number, {}, _quoted(line), Refusal("", 'expected one JSON object, such as {"email": …}'))
    except msgspec.DecodeError as error:
        return Row(number, {}, _quoted(line), Refusal("", f"no JSON: {error}"))
    if REJECTED in cells and _is_ours(cells[REJECTED]):
        del cells[REJECTED]
    return Row(number, cells, line)


def _is_ours(told: msgspec.Raw) -> bool:
    """Whether it is what a reject file says of a line, and not data."""
    try:
        return _rejected.decode(told).keys() >= _RULED
    except (msgspec.MsgspecError, RecursionError):
        return False


def _quoted(line: bytes) -> bytes:
    """A line that is no object, as one that shows it."""
    return msgspec.json.encode({"text": line[:_SHOWN].decode(errors="replace")})
