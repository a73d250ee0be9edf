"""Rows in PostgreSQL's binary COPY format: fields that are joined into rows, rows into one stream."""

from __future__ import annotations

from collections.abc import Callable, Collection
from struct import Struct
from typing import Final, TypeVar

from obverse.core import times

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
NULL: Final = b"\xff\xff\xff\xff"

_EPOCH: Final = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: PostgreSQL counts from there."""

_MOST_KNOWN: Final = 10_000
_TEXT: Final = 25
"""The type of an array's elements."""

_LENGTHS: Final = [length.to_bytes(4) for length in range(4096)]
_pack_integer: Final = Struct(">ii").pack
_pack_bigint: Final = Struct(">iq").pack


def row_head(fields: int) -> bytes:
    """What begins each row of so many fields."""
    return fields.to_bytes(2)


def blob(value: bytes) -> bytes:
    """Return a field of bytes: a bytea, or a uuid of 16 bytes."""
    length = len(value)
    return (_LENGTHS[length] if length < 4096 else length.to_bytes(4)) + value  # noqa: PLR2004 - the table's end


def text(value: str) -> bytes:
    """Return a field of text. NUL, which PostgreSQL keeps nowhere, and halves of characters become U+FFFD."""
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        encoded = tidy(value).encode()
    if 0 in encoded:
        encoded = tidy(value).encode()
    length = len(encoded)
    return (_LENGTHS[length] if length < 4096 else length.to_bytes(4)) + encoded  # noqa: PLR2004 - as above


def array(kind: int, fields: Collection[bytes]) -> bytes:
    """Return a field of an array: its dimensions, no null in it, its elements' type, how many from 1, and each."""
    dimensions = [1, 0, kind, len(fields), 1] if fields else [0, 0, kind]
    return blob(b"".join(number.to_bytes(4) for number in dimensions) + b"".join(fields))


def texts(values: Collection[str]) -> bytes:
    """Return a field of an array of text."""
    return array(_TEXT, [text(one) for one in values])


def tidy(value: str) -> str:
    """Return text as PostgreSQL can keep it: as it is, but for NUL and halves of characters."""
    whole = value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def jsonb(value: bytes) -> bytes:
    """Return a field of jsonb, given as text."""
    length = len(value) + 1
    return (_LENGTHS[length] if length < 4096 else length.to_bytes(4)) + b"\x01" + value  # noqa: PLR2004 - as above


def integer(value: int) -> bytes:
    """Return a field of integer."""
    return _pack_integer(4, value)


def bigint(value: int) -> bytes:
    """Return a field of bigint."""
    return _pack_bigint(8, value)


def moment(value: int) -> bytes:
    """Return a field of timestamptz, given in microseconds since 1970."""
    return _pack_bigint(8, since_2000(value))


def since_2000(value: int) -> int:
    """Return a time, given in microseconds since 1970, as PostgreSQL counts it."""
    return (value if times.EARLIEST <= value <= times.LATEST else times.clamp(value)) - _EPOCH


def from_bigint(value: bytes) -> int:
    """Return a time of PostgreSQL's in microseconds since 1970."""
    return int.from_bytes(value, signed=True) + _EPOCH


def unpack_row(rows: bytes, at: int) -> tuple[list[bytes | None], int]:
    """Return the fields of the row that begins there, and where the next one begins."""
    fields: list[bytes | None] = []
    count = int.from_bytes(rows[at : at + 2])
    at += 2
    for _ in range(count):
        length = int.from_bytes(rows[at : at + 4], signed=True)
        at += 4
        fields.append(rows[at : at + length] if length >= 0 else None)
        at += max(length, 0)
    return fields, at


Value = TypeVar("Value", str, bytes)


class Known(dict[Value, bytes]):
    """Fields of values that come again and again, each packed once."""

    def __init__(self, pack: Callable[[Value], bytes]) -> None:
        super().__init__()
        self._pack: Callable[[Value], bytes] = pack

    def __missing__(self, value: Value) -> bytes:
        packed = self[value] = self._pack(value)
        return packed

    def bound(self) -> None:
        """Forget all if it has become too much. Called from time to time."""
        if len(self) > _MOST_KNOWN:
            self.clear()
