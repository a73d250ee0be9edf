"""Names: the ids of profiles, and how a profile is asked for by its own."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

ID: Final = "id"
"""Stands before a profile's own id where an identifier may stand. No event shows one."""


def profile_id(workspace: str, identifier: str) -> bytes:
    """The id of the profile that an identifier makes: 16 bytes, the same wherever it is computed."""
    digest = bytearray(blake2b(f"{workspace}\0{identifier}".encode(), digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8: "vendor-specific"
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def id_text(profile: bytes) -> str:
    """A profile's id as a UUID is written."""
    digits = profile.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def id_name(profile: bytes) -> str:
    """
    The name by which a profile is asked for by its own id.

    >>> id_name(bytes(16))
    'id:00000000-0000-0000-0000-000000000000'
    """
    return f"{ID}:{id_text(profile)}"


def id_named(name: str) -> bytes | None:
    """
    The profile's id that `id_name` made a name of; None if it is no such name.

    >>> id_named("user_id:42"), id_named("id:42"), id_named(id_name(bytes(16))) == bytes(16)
    (None, None, True)
    """
    kind, _, text = name.partition(":")
    if kind != ID:
        return None
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return found if len(found) == 16 and id_text(found) == text.lower() else None  # noqa: PLR2004 - a UUID's bytes


def edge_key(one: str, other: str) -> tuple[str, str]:
    """The two ends of an edge in their one order."""
    return (one, other) if one < other else (other, one)
