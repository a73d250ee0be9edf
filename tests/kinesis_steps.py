"""Steps that the proofs of the log in Kinesis take."""

from __future__ import annotations

from typing import Any

from obverse.adapters.kinesis import KinesisLogSettings
from obverse.adapters.kinesis.records import HEAD_BYTES, Kind, Part, read


def settings_for(url: str, dsn: str, **more: Any) -> KinesisLogSettings:
    """Settings for a server on loopback, at which one may look as often as one likes."""
    given = {"poll_ms": 5.0, "region": "eu-central-1", "access_key_id": "key", "secret_access_key": "secret"}
    return KinesisLogSettings(dsn=dsn, endpoint_url=url, **(given | more))


def group_at(data: bytes, stream: str, partition: int, first: int) -> bool:
    """Whether a record holds the group that begins at an offset."""
    part = read("main", stream, data)
    return isinstance(part, Part) and (part.kind, part.partition, part.first) == (Kind.PART, partition, first)


def bit_flipped(data: bytes) -> bytes:
    """Return a record with one bit of its body changed."""
    changed = bytearray(data)
    changed[HEAD_BYTES + 5] ^= 1
    return bytes(changed)
