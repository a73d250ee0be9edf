"""Events: immutable facts in the Segment spec, as the log keeps them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from obverse.core import times
from obverse.core.crdt.clock import Stamp

TYPES: Final = frozenset({"track", "identify", "page", "screen", "group", "alias"})
"""The six calls of the Segment spec."""


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """
    One call of an SDK, with what the collector added: source, arrival, corrected time.

    The order of the fields is the record format of the log (`core.codec`); new ones go to the end, with a default.
    Objects are JSON text, untouched.
    """

    type: str
    message_id: str
    source: str
    received_at: int
    """When it arrived, in microseconds since 1970."""
    timestamp: int
    """When it happened, in microseconds since 1970, corrected for the sender's clock."""
    user_id: str | None = None
    anonymous_id: str | None = None
    name: str | None = None
    """A track's event name, a page's or screen's name."""
    properties: bytes = b"{}"
    """The properties; the traits of identify and group."""
    context: bytes = b"{}"
    integrations: bytes = b"{}"
    original_timestamp: int | None = None
    sent_at: int | None = None
    group_id: str | None = None
    previous_id: str | None = None
    extra: bytes = b"{}"
    """Every other field of the call, as sent."""

    @property
    def event_type(self) -> str:
        """A track's event name, else the call's type."""
        return self.name or self.type if self.type == "track" else self.type

    @property
    def stamp(self) -> Stamp:
        """Orders what this event writes; an event from the future counts as of its arrival."""
        at, arrived = self.timestamp, self.received_at
        return Stamp(at if at < arrived else arrived, self.source, self.message_id)  # noqa: FURB136 - for each event


class RejectedEvent(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """What was refused on the way in, kept with its reason."""

    source: str
    received_at: int
    """Microseconds since 1970."""
    code: str
    """What was wrong, as a word: `invalid_json`, `event_too_large`, `missing_id` …"""
    reason: str
    """What was wrong, where, and what to do."""
    field: str | None = None
    """The offending field, as a JSON path."""
    message_id: str | None = None
    type: str | None = None
    body: bytes = b""
    """What was sent: the event whole, or the first 1 KB of what could not be read."""


FOREIGN: Final = "foreign_record"
"""The code of what others wrote into the log."""


def foreign_record(damage: str, received_at: int) -> RejectedEvent:
    """What others wrote into the log, as it is kept; `damage` says where it stands, so that it is kept once."""
    return RejectedEvent(
        source="log",
        received_at=received_at,
        code=FOREIGN,
        reason=f"{damage}; see who writes there, and have them send to the collector instead",
    )


DAMAGED: Final = "damaged_record"
"""The code of what stands in the log and cannot be read."""
STORED: Final = 32 * 1024
"""Bytes of it that are kept, at most: as many as an event may have."""


def damaged_record(where: str, damage: str, stored: bytes, received_at: int) -> RejectedEvent:
    """What cannot be read of the log, as it is kept: where it stands, why, and the stored bytes or their beginning."""
    told = damage if damage.startswith(where) else f"{where}: {damage}"
    return RejectedEvent(
        source="log",
        received_at=received_at,
        code=DAMAGED,
        reason=f"{told}; it stays in the log: see docs/logs.md for what to do",
        body=stored[:STORED],
    )


def to_json(event: Event) -> bytes:
    """The call as an SDK would send it, as JSON text; read again as of its arrival, it is the same event."""
    main = "traits" if event.type in {"identify", "group"} else "properties"
    fields: dict[str, Any] = {
        "type": event.type,
        "messageId": event.message_id,
        "userId": event.user_id,
        "anonymousId": event.anonymous_id,
        "groupId": event.group_id,
        "previousId": event.previous_id,
        "event" if event.type == "track" else "name": event.name,
        "timestamp": times.to_text(event.timestamp),
        "originalTimestamp": None if event.original_timestamp is None else times.to_text(event.original_timestamp),
        "sentAt": None if event.sent_at is None else times.to_text(event.sent_at),
        "receivedAt": times.to_text(event.received_at),
        main: msgspec.Raw(event.properties),
        "context": msgspec.Raw(event.context),
        "integrations": msgspec.Raw(event.integrations),
    }
    sent = {name: value for name, value in fields.items() if value is not None}
    return msgspec.json.encode({**msgspec.json.decode(event.extra, type=dict[str, msgspec.Raw]), **sent})


def corrected(received_at: int, original: int | None, sent_at: int | None) -> int:
    """
    When an event happened, by our clock (Segment's rule; all in microseconds since 1970).

    The sender's clock may be wrong, but the time between happening and sending is right. Without a
    `sentAt` the sender's time stands: that is how history is imported.
    """
    if original is None:
        return received_at
    return original if sent_at is None else received_at - (sent_at - original)


def unfoldable(event: Event, error: Exception) -> RejectedEvent:
    """The rejected event of one on which the fold failed, which is a fault of ours."""
    return RejectedEvent(
        source=event.source,
        received_at=event.received_at,
        code="unfoldable",
        reason=f"the fold failed on this event ({type(error).__name__}: {error}); please report it",
        message_id=event.message_id,
        type=event.type,
        body=to_json(event),
    )
