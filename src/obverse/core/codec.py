"""Record format of the log: MessagePack arrays, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

Record = TypeVar("Record")

_encoder = msgspec.msgpack.Encoder()

_SHORT, _MIDDLE = 16, 1 << 16


class UnreadableRecord(ValueError):
    """Bytes that are no records of this kind."""


def encode(records: Sequence[Any]) -> bytes:
    """Write records one after another, without a frame: two encodings joined are the encoding of both."""
    count = len(records)
    framed = _encoder.encode(records)
    return framed[1 if count < _SHORT else 3 if count < _MIDDLE else 5 :]


UNREADABLE: Final = b"\xc1"
"""A byte that MessagePack never uses: it stands for a record of which nothing is known."""

_split = msgspec.msgpack.Decoder(list[msgspec.Raw])


def split(count: int, body: bytes) -> list[bytes]:
    r"""
    Take records apart, of whatever kind they are.

    >>> split(2, encode(["a", 1]))
    [b'\xa1a', b'\x01']

    Raises:
        UnreadableRecord: the bytes are not that many records.
    """
    try:
        return [bytes(one) for one in _split.decode(_framed(count, body))]
    except msgspec.MsgspecError as error:
        raise UnreadableRecord(f"{count} records in {len(body)} bytes cannot be read: {error}") from error


def _framed(count: int, body: bytes) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + body


class Decoder(Generic[Record]):
    """Reads records of one type."""

    def __init__(self, record: type[Record]) -> None:
        self._decoder = msgspec.msgpack.Decoder(list[record])  # type: ignore[valid-type]  # a type made at run time

    def decode(self, count: int, body: bytes) -> list[Record]:
        """
        Read `count` records.

        Raises:
            UnreadableRecord: the bytes are not that many records of this type.
        """
        try:
            return self._decoder.decode(_framed(count, body))
        except msgspec.MsgspecError as error:
            raise UnreadableRecord(f"{count} records in {len(body)} bytes cannot be read: {error}") from error
