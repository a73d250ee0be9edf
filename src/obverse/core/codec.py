"""Record format of the log: MessagePack arrays, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

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
            return self._decoder.decode(b"\xdd" + count.to_bytes(4, "big") + body)
        except msgspec.MsgspecError as error:
            raise UnreadableRecord(f"{count} records in {len(body)} bytes cannot be read: {error}") from error
