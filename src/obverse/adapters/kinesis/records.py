"""What a record of Kinesis holds of ours, and how it is proved sound: no I/O here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import blake2b
from struct import Struct
from typing import Final
from zlib import crc32

import zstandard

MAGIC: Final = b"OBVL"
FORMAT: Final = 1
NO_KEY: Final = 0
"""The key id of a body that is not encrypted. Others are for a later format of the same shape."""

RECORD_BYTES: Final = 1_048_576
"""Most bytes that Kinesis takes in one record, its partition key included."""

MOST_PARTITIONS: Final = 256
MAX_BODY: Final = 64 * 1024 * 1024
"""Most bytes that a group may hold unpacked; what claims more is damaged."""

_BITS: Final = 8
_HEAD: Final = Struct(">4sBBHIQQIHHqI")
_CHECK: Final = Struct(">I")
HEAD_BYTES: Final = _HEAD.size + _CHECK.size
PART_BYTES: Final = RECORD_BYTES - HEAD_BYTES - 1024
"""Of a group's packed bytes in one record: with its head and key, safely below what Kinesis takes."""


class Kind(IntEnum):
    """What a record says."""

    PART = 1
    """A part of a group of records of ours that were appended together."""

    CLAIM = 2
    """From here on a new appender writes: what an older one still sends counts for nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which partition of which stream of whose log."""

    workspace: str
    stream: str
    partition: int

    def lock_key(self) -> int:
        """The advisory lock that its one appender holds: 64 bits, signed, as PostgreSQL wants it."""
        name = f"event_log elsewhere\0{self.workspace}\0{self.stream}\0{self.partition}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)

    @property
    def hash_key(self) -> int:
        """
        The place among Kinesis' 2^128 hash keys: whichever shard covers it holds the partition.

        The bits of the partition's number in reverse, so the first 2, 4, 8 … partitions are evenly spaced and none
        moves when there are more.
        """
        turned = int(f"{self.partition:0{_BITS}b}"[::-1], 2)
        return (2 * turned + 1) << (127 - _BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One record of ours as it stands in Kinesis."""

    kind: Kind
    partition: int
    epoch: int
    """Of the appender that wrote it; each has a greater one than all before it."""
    first: int = 0
    """Offset of the group's first record."""
    count: int = 0
    """Records in the whole group."""
    number: int = 0
    of: int = 1
    """How many parts the group has."""
    appended_at: int = 0
    """Microseconds since 1970."""
    body: bytes = b""
    """This part's share of the packed records."""
    damage: str = ""
    """Why the body cannot be trusted, though the head can."""

    @property
    def end(self) -> int:
        """Offset after the group."""
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record that is not ours, or whose head cannot be trusted."""

    reason: str


def claim(place: Place, epoch: int) -> bytes:
    """The record with which an appender begins."""
    return _sealed(place, Part(kind=Kind.CLAIM, partition=place.partition, epoch=epoch))


def pack(place: Place, group: Part, records: bytes, *, part_bytes: int = PART_BYTES) -> list[bytes]:
    """Pack records that are appended together, whose head is given, into as many records of Kinesis as they need."""
    # A compressor may not be shared by threads, and costs little to make.
    packed = zstandard.ZstdCompressor(level=1).compress(records)
    pieces = [packed[start : start + part_bytes] for start in range(0, len(packed), part_bytes)]
    return [
        _sealed(place, replace(group, number=number, of=len(pieces), body=piece)) for number, piece in enumerate(pieces)
    ]


def read(workspace: str, stream: str, data: bytes) -> Part | Foreign:
    """Read a record of Kinesis; one of ours whose body was changed comes with its damage."""
    if data[: len(MAGIC)] != MAGIC:
        return Foreign(f"{len(data)} bytes that were not written by a log of ours")
    if data[len(MAGIC) : len(MAGIC) + 1] != bytes([FORMAT]):
        return Foreign(f"written in format {data[len(MAGIC) : len(MAGIC) + 1].hex()}, which this version cannot read")
    if len(data) < HEAD_BYTES:
        return Foreign(f"its {len(data)} bytes are less than a head has")
    (check,) = _CHECK.unpack_from(data, _HEAD.size)
    if check != _check(workspace, stream, data[: _HEAD.size]):
        return Foreign("the checksum does not fit its head, or it belongs to another log")
    _, _, kind, partition, key, epoch, first, count, number, of, appended_at, body_check = _HEAD.unpack_from(data)
    if kind not in list(Kind) or key != NO_KEY or not number < of:
        return Foreign(f"its head makes no sense: kind {kind}, key {key}, part {number} of {of}")
    body = data[HEAD_BYTES:]
    return Part(
        kind=Kind(kind),
        partition=partition,
        epoch=epoch,
        first=first,
        count=count,
        number=number,
        of=of,
        appended_at=appended_at,
        body=body,
        damage="" if crc32(body) == body_check else "the checksum does not fit the stored bytes",
    )


def unpack(parts: Sequence[bytes]) -> tuple[str, bytes]:
    """Put the parts of a group together; returns why that cannot be, or the records."""
    packed = b"".join(parts)
    try:
        # The library trusts the length that a frame claims, so it is looked at first.
        if not 0 <= zstandard.frame_content_size(packed) <= MAX_BODY:
            return f"claims to hold more than {MAX_BODY} bytes", b""
        return "", zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY)
    except zstandard.ZstdError as error:
        return str(error), b""


def _sealed(place: Place, part: Part) -> bytes:
    head = _HEAD.pack(
        MAGIC,
        FORMAT,
        part.kind,
        part.partition,
        NO_KEY,
        part.epoch,
        part.first,
        part.count,
        part.number,
        part.of,
        part.appended_at,
        crc32(part.body),
    )
    return head + _CHECK.pack(_check(place.workspace, place.stream, head)) + part.body


def _check(workspace: str, stream: str, head: bytes) -> int:
    # Whose log it is counts too, so that a record that was copied from another one is seen.
    return crc32(head, crc32(f"{workspace}\0{stream}\0".encode()))
