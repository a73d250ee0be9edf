"""
What is kept under a key: pure functions between profiles and bytes.

    prefix:workspace:p:ID          P1, tag, checksum, length and text of its first identifier, the packed profile
    prefix:workspace:i:IDENTIFIER  I1, tag, checksum, ID

Checksums (CRC-32) begin with the key, so what was copied to another key, or cut, is taken for damaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final
from zlib import crc32

from obverse.core.identity import id_named

LONGEST: Final = 60_000
"""Bytes of the longest identifier that is kept, or asked for."""

TAG: Final = 12
"""Characters of a tag."""

_PROFILE: Final = b"P1"
_OWNER: Final = b"I1"
_SUM: Final = 2 + TAG
_BODY: Final = _SUM + 4
_ID: Final = 16


class Absent(Enum):
    """Why there is no profile, though there is something."""

    STALE = "what an earlier writer left"
    DAMAGED = "nothing that we have written"


def coded(identifier: str) -> bytes:
    """An identifier in a key."""
    return identifier.encode("utf-8", "surrogatepass")


def asked(name: str) -> bytes | None:
    """What a name is asked by: `i:` and the identifier, or `p:` and the id; None if nobody can be called so."""
    one = id_named(name)
    if one is not None:
        return b"p:" + one
    identifier = coded(name)
    return b"i:" + identifier if 0 < len(identifier) <= LONGEST else None


def first_of(identifiers: Iterable[bytes]) -> bytes:
    """The first identifier that is kept, coded; empty if there is none."""
    return next((one for one in identifiers if len(one) <= LONGEST), b"")


def profile_value(key: bytes, tag: bytes, first: bytes, packed: bytes) -> bytes:
    """What is kept under a profile's key; `first` is the first of its identifiers, coded."""
    body = len(first).to_bytes(2) + first + packed
    return b"%b%b%b%b" % (_PROFILE, tag, crc32(body, crc32(key)).to_bytes(4), body)


def owner_value(key: bytes, tag: bytes, one: bytes) -> bytes:
    """What is kept under an identifier's key."""
    return b"%b%b%b%b" % (_OWNER, tag, crc32(one, crc32(key)).to_bytes(4), one)


def read_profile(key: bytes, tag: bytes, value: bytes) -> tuple[bytes, bytes] | Absent:
    """The first of its identifiers, coded, and the packed profile."""
    body = _body(_PROFILE, key, tag, value)
    if isinstance(body, Absent):
        return body
    end = 2 + int.from_bytes(body[:2])
    return body[2:end], body[end:]


def read_owner(key: bytes, tag: bytes, value: bytes) -> bytes | Absent:
    """The id of the profile that an identifier leads to."""
    body = _body(_OWNER, key, tag, value)
    return body if isinstance(body, Absent) or len(body) == _ID else Absent.DAMAGED


def _body(kind: bytes, key: bytes, tag: bytes, value: bytes) -> bytes | Absent:
    if value[:2] != kind or len(value) < _BODY:
        return Absent.DAMAGED
    body = value[_BODY:]
    if crc32(body, crc32(key)).to_bytes(4) != value[_SUM:_BODY]:
        return Absent.DAMAGED
    return body if value[2:_SUM] == tag else Absent.STALE


def profile_in(before: bytes, tag: bytes, name: bytes, once: bytes, twice: bytes | None) -> bytes | Absent | None:
    """
    The packed profile out of the two values that were found for one that was `asked` for.

    `before` is what keys begin with. None: the cache does not hold it.
    """
    if name.startswith(b"i:"):
        one = read_owner(before + name, tag, once)
        if isinstance(one, Absent):
            return one
        found = None if twice is None else read_profile(before + b"p:" + one, tag, twice)
        return found if found is None or isinstance(found, Absent) else found[1]
    found = read_profile(before + name, tag, once)
    if isinstance(found, Absent):
        return found
    first, packed = found
    if not first:
        return packed
    # Whoever was merged away has lost every identifier to the keeper.
    owner = None if twice is None else read_owner(before + b"i:" + first, tag, twice)
    return packed if owner == name[2:] else owner if isinstance(owner, Absent) else None
