"""How a group of records becomes a row of the log, and how a row is proved sound: no I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from zlib import crc32

import zstandard

from obverse.adapters._postgres import from_micros, to_micros
from obverse.core.events import STORED
from obverse.ports.event_log import Batch

__all__ = ["Place", "Row", "from_micros", "seal", "to_micros", "unseal"]

FORMAT = 1
NO_KEY = 0
"""The key id of a body that is not encrypted. Others are for a later format of the same shape."""

MAX_BODY = 64 * 1024 * 1024
"""Most bytes that one row may hold unpacked; what claims more is damaged."""

_HEAD = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Which partition of which stream of whose log."""

    workspace: str
    stream: str
    partition: int

    def lock_key(self) -> int:
        """The advisory lock that its one appender holds: 64 bits, signed, as PostgreSQL wants it."""
        name = f"event_log\0{self.workspace}\0{self.stream}\0{self.partition}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `event_log`, beside its place."""

    first: int
    count: int
    appended_at: datetime
    checksum: int
    body: bytes

    @property
    def end(self) -> int:
        """Offset at which the next row begins."""
        return self.first + self.count


def seal(place: Place, first: int, count: int, appended_at: datetime, records: bytes) -> Row:
    """Pack records into a row."""
    # A compressor may not be shared by threads, and costs little to make.
    body = bytes([FORMAT]) + NO_KEY.to_bytes(4) + zstandard.ZstdCompressor(level=1).compress(records)
    return Row(first, count, appended_at, _checksum(place, first, count, appended_at, body), body)


def unseal(place: Place, row: Row) -> Batch:
    """Return the row as a batch; one that cannot be trusted says why, and has an empty body."""
    damage, records = _open(place, row)
    return Batch(
        partition=place.partition,
        first=row.first,
        count=row.count,
        body=records,
        appended_at=to_micros(row.appended_at),
        damage=damage,
        stored=row.body[:STORED] if damage else b"",
    )


def _open(place: Place, row: Row) -> tuple[str, bytes]:
    where = f"{place.stream} partition {place.partition}, offsets {row.first} to {row.end - 1}"
    if row.checksum != _checksum(place, row.first, row.count, row.appended_at, row.body):
        return f"{where}: the checksum does not fit the stored bytes", b""
    if len(row.body) <= _HEAD or row.body[0] != FORMAT or int.from_bytes(row.body[1:_HEAD]) != NO_KEY:
        return f"{where}: written in format {row.body[:_HEAD].hex()}, which this version cannot read", b""
    packed = row.body[_HEAD:]
    try:
        # The library trusts the length that a frame claims, so it is looked at first.
        if not 0 <= zstandard.frame_content_size(packed) <= MAX_BODY:
            return f"{where}: claims to hold more than {MAX_BODY} bytes", b""
        return "", zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY)
    except zstandard.ZstdError as error:
        return f"{where}: {error}", b""


def _checksum(place: Place, first: int, count: int, appended_at: datetime, body: bytes) -> int:
    # The row's place and offsets count too, so that a row that was moved or cut is seen.
    head = f"{place.workspace}\0{place.stream}\0{place.partition}\0{first}\0{count}\0{to_micros(appended_at)}\0"
    return crc32(body, crc32(head.encode()))
