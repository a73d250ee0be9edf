"""What is kept of that which was refused: enough to see why, and to send it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from obverse.core import times
from obverse.core.events import Event, RejectedEvent, to_json
from obverse.core.wire.body import ABSENT, SAMPLE, Message, Raw, Unreadable, as_object, object_decoder, sample

_encode = msgspec.json.encode


def joined(shared: bytes, own: bytes) -> bytes:
    """The envelope's object with the item's own fields on top."""
    if shared in {b"null", b"{}"} or shared[:1] != b"{":
        return own
    if own == b"{}":
        return shared
    return _encode({**object_decoder.decode(shared), **object_decoder.decode(own)})


ENVELOPE: Final = "envelope"
"""Where an event keeps what its batch said and no event has a place for."""


def alone(body: bytes, message: Message, call: str | None) -> bytes:
    """An item with what its envelope and its path say of it, so that it can be sent again by itself."""
    shared = {"context": message.context, "integrations": message.integrations}
    told = {name: text for name, text in shared.items() if text[:1] == b"{"}
    shares = bool(told) or message.sent_at is not None or message.left is not None
    if not shares and call is None:
        return body
    try:
        fields = as_object(body)
        if not fields:
            return body
        fields.update([*_joined_with(fields, told)])
    except (msgspec.DecodeError, RecursionError):
        return body  # as deep as can just be read
    if call is not None and bytes(fields.get("type", ABSENT)) == _encode(call):
        call = None  # as it says itself
    if not shares and call is None:
        return body
    if message.left is not None:
        fields.setdefault(ENVELOPE, message.left)
    if call is not None:
        fields["type"] = Raw(_encode(call))
    if message.sent_at is not None and bytes(fields.get("sentAt", ABSENT)) == b"null":
        fields["sentAt"] = Raw(_encode(message.sent_at))
    return _encode(fields)


def _joined_with(fields: Mapping[str, Raw], told: Mapping[str, bytes]) -> Iterator[tuple[str, Raw]]:
    """What the envelope says, with the item's own on top; nothing where that is no object."""
    for name, text in told.items():
        own = bytes(fields.get(name, ABSENT))
        if own == b"null" or own[:1] == b"{":
            yield name, Raw(joined(text, b"{}" if own == b"null" else own))


def rejected(event: Event, code: str, field: str, reason: str) -> RejectedEvent:
    """The rejected event of one that could be read, with all of it, so that it can be sent again."""
    return RejectedEvent(
        source=event.source,
        received_at=event.received_at,
        code=code,
        reason=f"{field}: {reason}",
        field=field,
        message_id=event.message_id,
        type=event.type,
        body=to_json(event),
    )


def rejected_whole(body: bytes, unreadable: Unreadable, *, source: str, received_at: int) -> RejectedEvent:
    """The rejected event of a body that was refused as a whole: its first kilobyte and the reason."""
    return RejectedEvent(
        source=source,
        received_at=received_at,
        code=unreadable.code,
        reason=str(unreadable),
        field="$",
        body=sample(body, SAMPLE),
    )


def as_called(body: bytes, received_at: int) -> bytes:
    """What was kept of a rejected event, without what we put beside what was sent (`to_json`)."""
    try:
        fields = object_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    if fields.pop("receivedAt", None) is None:
        return body
    # The time is ours if it is made of another one, or of the arrival.
    ours = _encode(times.to_text(received_at))
    if "originalTimestamp" in fields or bytes(fields.get("timestamp", ABSENT)) == ours:
        fields.pop("timestamp", None)
    return _encode(fields)
