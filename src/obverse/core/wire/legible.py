"""What can be read of a rejected event, though it was no event: so that it is found as events are found."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from obverse.core import times
from obverse.core.events import RejectedEvent, corrected
from obverse.core.wire.body import Flaw, Item, Raw, loose_text, object_decoder
from obverse.core.wire.items import FREE, IDS, ITEM_FIELDS, WORDS, id_text, instant, keep_aside, original_time
from obverse.core.wire.refusals import as_called

_encode = msgspec.json.encode
_OBJECTS: Final = frozenset({"properties", "traits", "context", "integrations"})


class Legible(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    The fields of an `Event`, as far as a rejected one says them; None is what cannot be read, or is not there.

    What stands in the place of another kind of value, such as an id that is an object, is in `extra`.
    """

    event_type: str | None = None
    """A track's event name, else the call's type."""
    name: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    group_id: str | None = None
    previous_id: str | None = None
    timestamp: int | None = None
    original_timestamp: int | None = None
    sent_at: int | None = None
    properties: bytes | None = None
    context: bytes | None = None
    integrations: bytes | None = None
    extra: bytes | None = None


def legible(rejected: RejectedEvent) -> Legible:
    """
    Read as much as there is of what was sent; of one that was read and then refused, all that the event said.

    Of a body that is no JSON object, such as the beginning of one, nothing is read.
    """
    try:
        rejected.body.decode()
        fields = object_decoder.decode(as_called(rejected.body, rejected.received_at))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        fields = {}
    if not fields:
        return Legible(event_type=rejected.type)
    item, kept = _loosely(fields)
    kind = rejected.type or item.type
    main, side = ("traits", "properties") if kind in {"identify", "group"} else ("properties", "traits")
    name = item.event if kind == "track" else item.name
    keep_aside(kept, item, kind or "", side)
    original = original_time(item, kept)
    sent_at = instant(item.sentAt, kept, "sentAt") if item.sentAt else None
    return Legible(
        event_type=name or kind if kind == "track" else kind,
        name=name,
        user_id=_text(item.userId),
        anonymous_id=_text(item.anonymousId),
        group_id=_text(item.groupId),
        previous_id=_text(item.previousId),
        timestamp=times.clamp(corrected(rejected.received_at, original, sent_at)),
        original_timestamp=original,
        sent_at=sent_at,
        properties=None if main in kept else _object(item.traits if main == "traits" else item.properties),
        context=None if "context" in kept else _object(item.context),
        integrations=None if "integrations" in kept else _object(item.integrations),
        extra=_encode(kept),
    )


def _loosely(fields: dict[str, Raw]) -> tuple[Item, dict[str, Raw]]:
    """What stands in its place as what it should be, and all else."""
    known: dict[str, Any] = {}
    kept: dict[str, Raw] = {}
    for name, raw in fields.items():
        sent = bytes(raw)
        if name in IDS:
            try:
                known[name] = id_text(name, raw)
            except Flaw:
                kept[name] = raw
        elif name in WORDS or name in FREE:
            known[name] = loose_text(raw)
            if known[name] is None and sent != b"null":
                kept[name] = raw
        elif name not in ITEM_FIELDS or (name in _OBJECTS and sent[:1] != b"{" and sent != b"null"):
            kept[name] = raw
        else:
            known[name] = raw
    return Item(**known), kept


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def _object(raw: Raw) -> bytes:
    sent = bytes(raw)
    return b"{}" if sent == b"null" else sent
