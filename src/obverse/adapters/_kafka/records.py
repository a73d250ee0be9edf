"""What we write into a topic, and how it is told from what others write there: no I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final
from zlib import crc32

import zstandard

from obverse.core.events import STORED

MAGIC: Final = b"OBVL"
VERSION: Final = 1
"""Of the body. The head stays as it is for ever, so that every release knows which offsets a record holds."""
NO_KEY: Final = 0
"""The key id of a body that is not encrypted. Others are for a later version."""

MAX_BODY: Final = 64 * 1024 * 1024
"""Most bytes that one record may hold unpacked; what claims more is damaged."""

_HEAD: Final = Struct(">4sBBIqqIqI")
"""Magic, version, kind, key id, epoch, first, count, appended at, checksum of the body; then that of all this."""
_SUM: Final = Struct(">I")
_BEGINS: Final = _HEAD.size + _SUM.size


class Kind(IntEnum):
    """What a record is for."""

    DATA = 1
    """A group of records of the stream."""
    CLAIM = 2
    """Whoever wrote this is the appender from here on, and all before it no longer."""
    BASE = 3
    """Nothing before this is needed: it says with which offset the partition goes on, and whose turn it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which partition of which stream of whose log."""

    workspace: str
    stream: str
    partition: int

    def seed(self) -> int:
        """Begins every checksum, so that what was copied here from elsewhere is not taken for ours."""
        return crc32(f"{self.workspace}\0{self.stream}\0{self.partition}\0".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One of ours."""

    kind: Kind
    epoch: int
    """The Kafka offset of the claim that it was written under; of a claim the one that it is meant to get."""
    first: int
    """Offset of the first of its events, or of the next one."""
    count: int = 0
    appended_at: int = 0
    """Microseconds since 1970."""
    body: bytes = b""
    """As it is stored."""
    damage: str = ""
    """Why the body cannot be trusted; empty if it can. All else can."""
    stored: bytes = b""
    """Of a body that cannot be trusted what is stored, or its beginning."""

    @property
    def end(self) -> int:
        """Offset of the event after its last."""
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Foreign:
    """What is no record that we can read."""

    reason: str
    ours: bool = False
    """Whether it looks like one of ours that was damaged: it may have held events."""


def pack(records: bytes) -> bytes:
    """Compress the body of a group."""
    # A compressor may not be shared by threads, and costs little to make.
    return zstandard.ZstdCompressor(level=1).compress(records)


def unpack(body: bytes) -> tuple[str, bytes]:
    """The body of a group as it was, or why it cannot be had."""
    try:
        # The library trusts the length that a frame claims, so it is looked at first.
        if not 0 <= zstandard.frame_content_size(body) <= MAX_BODY:
            return f"it claims to hold more than {MAX_BODY} bytes", b""
        return "", zstandard.ZstdDecompressor().decompress(body, max_output_size=MAX_BODY)
    except zstandard.ZstdError as error:
        return str(error), b""


def write(place: Place, record: Record, *, version: int = VERSION) -> bytes:
    """The value of a Kafka record."""
    seed = place.seed()
    head = _HEAD.pack(
        *(MAGIC, version, record.kind, NO_KEY, record.epoch, record.first, record.count, record.appended_at),
        crc32(record.body, seed),
    )
    return b"".join((head, _SUM.pack(crc32(head, seed)), record.body))


def read(place: Place, value: bytes | None) -> Record | Foreign:
    """What the value of a Kafka record is."""
    if not value:
        return Foreign("it has no value")
    if not value.startswith(MAGIC):
        return Foreign(f"it begins with {value[:8].hex()}, and records of ours with {MAGIC.hex()}")
    if len(value) < _BEGINS:
        return Foreign(f"it is cut off after {len(value)} bytes", ours=True)
    head, seed = value[: _HEAD.size], place.seed()
    _, version, kind, key, epoch, first, count, appended_at, body_sum = _HEAD.unpack(head)
    if _SUM.unpack_from(value, _HEAD.size)[0] != crc32(head, seed):
        return Foreign("the checksum of its head does not fit: it was damaged, or copied here", ours=True)
    if kind not in {one.value for one in Kind}:
        return Foreign(f"it is of kind {kind}, which this release does not know", ours=True)
    body = value[_BEGINS:]
    damage = ""
    if version != VERSION or key != NO_KEY:
        damage = f"written in version {version} with key {key}, which this release cannot read"
    elif body_sum != crc32(body, seed):
        damage = "the checksum does not fit the stored bytes"
    return Record(
        kind=Kind(kind),
        epoch=epoch,
        first=first,
        count=count,
        appended_at=appended_at,
        body=b"" if damage else body,
        damage=damage,
        stored=body[:STORED] if damage else b"",
    )
