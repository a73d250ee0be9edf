"""Messages: one person's copy of a template, from the moment it is wanted to what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from obverse.core.identity import id_text
from obverse.core.outgoing import Template

Status = Literal["queued", "waiting", "sending", "sent", "refused", "unknown"]
"""
`waiting`: its person has no address yet; `sending`: given to the mail service, which has not answered; `unknown`: it
never did, and cannot be asked.
"""

MOST_ATTEMPTS: Final = 20
"""Attempts that are kept of one message, the latest ones."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery: what the mail service said."""

    at: int
    """Microseconds since 1970."""
    outcome: str
    """`sent`, `refused`, `deferred`, `unknown`, or `asked` when the service was asked afterwards."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One person's copy."""

    id: bytes
    """16 bytes of a UUID."""
    message_id: str
    """RFC 5322, with its angle brackets: the same for each attempt, whatever becomes of the template."""
    template: str
    to: str | None = None
    """An address; None until it is known."""
    profile: bytes | None = None
    campaign: str | None = None
    number: int = 0
    """Of a campaign's: the how-manieth entry of this profile it is for."""
    data: bytes = b"{}"
    """What the caller gave to fill the template in with: a JSON object."""
    status: Status = "queued"
    subject: str | None = None
    """Once it is filled in."""
    reason: str | None = None
    """Why it is where it is, if that needs one."""
    created_at: int
    """Microseconds since 1970, as are all times here."""
    due_at: int
    sent_at: int | None = None
    attempts: tuple[Attempt, ...] = ()


def message_id(id_: bytes, sender: str) -> str:
    """
    The Message-ID of a message, in its sender's domain.

    >>> message_id(bytes(16), "shop@example.com")
    '<00000000-0000-0000-0000-000000000000@example.com>'
    """
    return f"<{id_text(id_)}@{sender.rpartition('@')[2]}>"


def campaign_message(campaign: str, template: Template, profile: bytes, number: int, *, now: int) -> Message:
    """The message of one entry into a campaign's audience: the same id however often the entry is told."""
    digest = bytearray(blake2b(f"{campaign}\0{number}\0".encode() + profile, digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8: "vendor-specific"
    digest[8] = digest[8] & 0x3F | 0x80
    return Message(
        id=bytes(digest),
        message_id=message_id(bytes(digest), template.sender),
        template=template.name,
        campaign=campaign,
        profile=profile,
        number=number,
        created_at=now,
        due_at=now,
    )
