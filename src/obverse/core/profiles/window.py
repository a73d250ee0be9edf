"""The window of recent message ids, by which a profile knows an event that comes again."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from obverse.core.events import Event

SECONDS: Final = 24 * 3600
"""Message ids are remembered for this long after they arrived …"""
LEAST: Final = 4096
"""… and in any case the latest so many."""

_ENTRY: Final = 12
"""Packed bytes of a message id: 8 of its hash, 4 of the second of arrival."""


def message_key(event: Event) -> int:
    """64 bits that stand for an event's message id within its source."""
    name = f"{event.source}\0{event.message_id}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")


def recent(seen: dict[int, int]) -> dict[int, int]:
    """The window without what is older than `SECONDS` and not among the latest `LEAST`."""
    if len(seen) <= LEAST:
        return seen
    latest = sorted(((second, key) for key, second in seen.items()), reverse=True)
    horizon = latest[0][0] - SECONDS
    return {key: second for place, (second, key) in enumerate(latest) if place < LEAST or second >= horizon}


def pack(seen: Mapping[int, int]) -> bytes:
    """All hashes, then all seconds of arrival, each in little-endian order."""
    # Of lists, whose length an array knows beforehand: it takes half as long.
    hashes, seconds = array("Q", [*seen]), array("I", [*seen.values()])
    if sys.byteorder == "big":
        hashes.byteswap()
        seconds.byteswap()
    return hashes.tobytes() + seconds.tobytes()


def unpack(packed: bytes) -> dict[int, int]:
    """
    The window that was packed.

    Raises:
        ValueError: these bytes are none.
    """
    count, rest = divmod(len(packed), _ENTRY)
    if rest:
        raise ValueError(f"{len(packed)} bytes are no window of message ids, which has {_ENTRY} for each")
    hashes, seconds = array("Q", packed[: 8 * count]), array("I", packed[8 * count :])
    if sys.byteorder == "big":
        hashes.byteswap()
        seconds.byteswap()
    return dict(zip(hashes, seconds, strict=True))
