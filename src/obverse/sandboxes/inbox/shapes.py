"""What the API tells, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from obverse.sandboxes.inbox.mime import Attachment, Content
from obverse.sandboxes.inbox.store import Kept

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A mail in a list."""

    id: str
    message_id: str | None
    sender: str
    to: tuple[str, ...]
    subject: str
    received_at: str
    bytes: int
    preview: str


class Whole(Summary, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A mail."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]
    envelope_from: str
    envelope_to: tuple[str, ...]


class Page(msgspec.Struct, frozen=True):
    """A part of a list. `total` and `distinct` count the whole of it."""

    messages: list[Summary]
    next: str | None
    total: int
    distinct: int


class Found(msgspec.Struct, frozen=True):
    """The mails with one Message-ID: all are counted, the newest are told."""

    count: int
    messages: list[Summary]


def summary(kept: Kept) -> Summary:
    """What a list shows of a mail."""
    return Summary(
        id=str(kept.id),
        message_id=kept.message_id,
        sender=kept.entry.sender,
        to=kept.entry.to,
        subject=kept.entry.subject,
        received_at=moment(kept.received_at),
        bytes=kept.bytes,
        preview=kept.entry.preview,
    )


def whole(kept: Kept, content: Content) -> Whole:
    """All that a mail says."""
    return Whole(
        **msgspec.structs.asdict(summary(kept)),
        headers=content.headers,
        text=content.text,
        html=content.html,
        attachments=content.attachments,
        envelope_from=kept.entry.envelope_from,
        envelope_to=kept.entry.envelope_to,
    )


def moment(milliseconds: int) -> str:
    """Milliseconds since 1970 as ISO 8601."""
    stamp = (_EPOCH + timedelta(milliseconds=milliseconds)).replace(tzinfo=None)
    return stamp.isoformat(timespec="milliseconds") + "Z"
