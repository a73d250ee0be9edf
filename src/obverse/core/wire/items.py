"""The items of a body, held against the rules: events, and rejected events with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from obverse.core import times
from obverse.core.events import TYPES, Event, RejectedEvent, corrected
from obverse.core.wire.body import (
    ABSENT,
    SAMPLE,
    Flaw,
    Item,
    Limits,
    Message,
    Raw,
    as_object,
    brackets,
    item_decoder,
    levels,
    loose_text,
    object_decoder,
    sample,
    scalar_decoder,
)
from obverse.core.wire.contexts import CONSENT_UPDATED, placed, tells_consent
from obverse.core.wire.reading import Reading
from obverse.core.wire.refusals import ENVELOPE, alone, joined

_encode = msgspec.json.encode
MISSING_CONSENT: Final = "missing_consent"
"""The code of an event that should tell a consent, and does not; alone in a request, it is answered 400."""
_EXTRAS: Final = ("category", "channel", "version", "receivedAt", "_metadata")


def read_events(
    message: Message,
    *,
    call: str | None,
    source: str,
    received_at: int,
    new_id: Callable[[], str],
    limits: Limits,
) -> Reading:
    """
    Hold each item of a body against the rules: an event, or a rejected event with the reason.

    `call` is the type that the path named, None for a batch. `new_id` gives the message ids that senders left out.
    """
    reading = Reading()
    sent_at = times.parse(message.sent_at) if message.sent_at else None
    # JSON writes NUL in one way alone, if bytes that it must not hold are none of it.
    odd_ids = not message.body or b"\\u0000" in message.body
    joins = not {message.context, message.integrations} <= _NOTHING
    shared = _Shared(
        source,
        received_at,
        sent_at,
        message,
        new_id,
        call,
        *_bounds(message, limits),
        limits,
        odd_ids=odd_ids,
        joins=joins,
    )
    if message.flaw is not None:
        reading.places.append(0)
        reading.rejected.append(_refused(message.flaw, message.flaw.field, shared, sample(message.body, SAMPLE)))
        return reading
    for place, sent in enumerate(message.items):
        try:
            reading.events.append(_event(*_read_item(sent, place, shared, limits), shared))
            reading.taken.append(place)
        except Flaw as flaw:
            where = ("$" if message.single else f"$.batch[{place}]") + flaw.field.removeprefix("$")
            body = alone(bytes(sent) if isinstance(sent, Raw) else _encode(sent), message, call)
            kept = len(body) if len(body) <= limits.event_bytes else SAMPLE
            reading.rejected.append(_refused(flaw, where, shared, sample(body, kept)))
            reading.places.append(place)
    return reading


def _refused(flaw: Flaw, where: str, shared: _Shared, body: bytes) -> RejectedEvent:
    try:
        fields = as_object(body)
    except (msgspec.DecodeError, RecursionError):
        fields = {}  # only its beginning was kept, or it is as deep as can just be read
    return RejectedEvent(
        source=shared.source,
        received_at=shared.received_at,
        code=flaw.code,
        reason=f"{where}: {flaw.reason}",
        field=where,
        message_id=loose_text(fields.get("messageId")),
        type=loose_text(fields.get("type")),
        body=body,
    )


_NOTHING: Final = frozenset({b"null", b"{}"})
_COPIED: Final = 8 << 20
"""Bytes to which the context and integrations of a batch may grow by being part of each of its events."""


def _bounds(message: Message, limits: Limits) -> tuple[int, tuple[str, str] | None]:
    """How many items of a batch can be accepted, and what is wrong with all of them: (code, reason)."""
    shared = (message.context, message.integrations)
    size = sum(map(len, shared))
    if size > limits.event_bytes:
        reason = f"with the context and integrations of the batch it has {size} bytes or more"
        return 0, ("event_too_large", f"{reason}; an event may have {limits.event_bytes}")
    if any(brackets(text) > limits.depth and levels(text) > limits.depth for text in shared):
        reason = f"the context or integrations of the batch are nested deeper than {limits.depth} levels"
        return 0, ("too_deep", f"{reason}; send flatter objects")
    return min(limits.batch_items, _COPIED // max(size, 1)), None


def _read_item(sent: Item | Raw, place: int, shared: _Shared, limits: Limits) -> tuple[Item, dict[str, Raw]]:
    if shared.flaw is not None:
        code, reason = shared.flaw
        raise Flaw(code, "$", reason)
    if place >= shared.most:
        raise Flaw("too_many_items", "$", f"only the first {shared.most} of a batch are accepted; send the rest apart")
    if isinstance(sent, Item):
        return sent, {}
    body = bytes(sent)
    if len(body) > limits.event_bytes:
        raise Flaw("event_too_large", "$", f"{len(body)} bytes; an event may have {limits.event_bytes}")
    if brackets(body) > limits.depth and levels(body) > limits.depth:
        raise Flaw("too_deep", "$", f"nested deeper than {limits.depth} levels; send flatter objects")
    try:
        return item_decoder.decode(body), {}
    except msgspec.ValidationError:
        return _patiently(body)


IDS: Final = frozenset({"userId", "anonymousId", "groupId", "previousId", "messageId"})
WORDS: Final = frozenset({"type", "event"})
FREE: Final = frozenset({"name", "timestamp", "originalTimestamp", "sentAt", "writeKey"})


def _patiently(body: bytes) -> tuple[Item, dict[str, Raw]]:
    """Read an item that is not as the SDKs send it: odd ids become text, unknown fields are kept aside."""
    try:
        fields = object_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Flaw("not_an_object", "$", "expected an object, such as {type, userId, event, properties}") from error
    known: dict[str, Any] = {}
    extra: dict[str, Raw] = {}
    for name, raw in fields.items():
        if name in IDS:
            known[name] = id_text(name, raw)
        elif name in WORDS:
            known[name] = loose_text(raw)
            if known[name] is None and bytes(raw) != b"null":
                raise Flaw("invalid_type", f"$.{name}", f"expected text, not {_glimpse(raw)}")
        elif name in FREE:
            known[name] = loose_text(raw)
            if known[name] is None and bytes(raw) != b"null":
                extra[name] = raw
        elif name in ITEM_FIELDS:
            known[name] = raw
        else:
            extra[name] = raw
    return Item(**known), extra


ITEM_FIELDS: Final = frozenset(Item.__struct_fields__)


def id_text(name: str, raw: Raw) -> str | None:
    """
    Read an id, which may be a number.

    Raises:
        Flaw: it is neither text nor a number.
    """
    text = bytes(raw)
    if text == b"null":
        return None
    if text[:1] == b'"':
        return scalar_decoder.decode(raw)  # type: ignore[no-any-return]  # it begins as text, so it is text
    if text[:1] in b"-0123456789":
        return text.decode()
    raise Flaw("invalid_type", f"$.{name}", f"an id is text or a number, not {_glimpse(raw)}")


def _glimpse(raw: Raw) -> str:
    return bytes(raw)[:40].decode(errors="replace")


class _Shared(msgspec.Struct, frozen=True, gc=False):
    """What all items of one body have in common."""

    source: str
    received_at: int
    sent_at: int | None
    message: Message
    new_id: Callable[[], str]
    call: str | None
    most: int
    """Items that can be accepted."""
    flaw: tuple[str, str] | None
    """What is wrong with every item: code and reason."""
    limits: Limits
    odd_ids: bool
    """Whether an id may hold the character NUL."""
    joins: bool
    """Whether the envelope has a context or integrations for its items."""


def _event(item: Item, extra: dict[str, Raw], shared: _Shared) -> Event:
    kind = shared.call or item.type
    merging = kind == _MERGE
    if merging:
        kind, item = "alias", _merging(item, extra)
    if kind not in TYPES:
        shown = "missing" if kind is None else repr(kind[:40])
        raise Flaw("unknown_type", "$.type", f"{shown}; use one of {', '.join(sorted(TYPES))}")
    text = _text if shared.odd_ids else _plain
    user, anonymous = text(item.userId, "userId"), text(item.anonymousId, "anonymousId")
    group, previous = text(item.groupId, "groupId"), text(item.previousId, "previousId")
    name = text(item.event, "event") if kind == "track" else text(item.name, "name")
    message_id = text(item.messageId, "messageId")
    if merging or not (user or anonymous) or kind in _MORE_IDS:
        _need_ids(_MERGE if merging else kind, user, anonymous, group, previous)
    if kind == "track" and not name:
        raise Flaw("missing_event", "$.event", "a track needs the name of its event")
    main, side = ("traits", "properties") if kind in {"identify", "group"} else ("properties", "traits")
    properties = _object_text(item.traits if main == "traits" else item.properties, main)
    _hold_to_limits(shared.limits, message_id, group, main, properties)
    kept = dict(extra) if extra else {}
    keep_aside(kept, item, kind, side)
    if shared.message.left is not None:
        kept.setdefault(ENVELOPE, shared.message.left)
    original = original_time(item, kept)
    sent_at = instant(item.sentAt, kept, "sentAt") if item.sentAt else shared.sent_at
    context, integrations = _object_text(item.context, "context"), _object_text(item.integrations, "integrations")
    message = shared.message
    if shared.joins:
        context, integrations = joined(message.context, context), joined(message.integrations, integrations)
    if name == CONSENT_UPDATED and kind == "track" and not tells_consent(context):
        raise Flaw(MISSING_CONSENT, "$.context.consent", "it tells a consent: send categoryPreferences in this object")
    return Event(
        type=kind,
        message_id=message_id or shared.new_id(),
        source=shared.source,
        received_at=shared.received_at,
        timestamp=times.clamp(corrected(shared.received_at, original, sent_at)),
        user_id=user,
        anonymous_id=anonymous,
        name=name,
        properties=properties,
        context=placed(context, message) if message.address else context,
        integrations=integrations,
        original_timestamp=original,
        sent_at=sent_at,
        group_id=group,
        previous_id=previous,
        extra=_encode(kept) if kept else b"{}",
    )


_MERGE: Final = "merge"
_MORE_IDS: Final = frozenset({"group", "alias"})
"""Calls that need more than the id of a person."""
_MERGED: Final = "mergeProperties"
_PAIR: Final = 2
_pair = msgspec.json.Decoder(list[dict[str, Raw]])


def _merging(item: Item, extra: dict[str, Raw]) -> Item:
    """RudderStack's merge, two identifiers of one person, as the alias that shows both."""
    try:
        told = [(loose_text(one["type"]), id_text("value", one["value"])) for one in _pair.decode(extra[_MERGED])]
    except (msgspec.MsgspecError, KeyError, Flaw) as error:
        raise Flaw("invalid_merge", f"$.{_MERGED}", "expected two objects, each {type, value}") from error
    kinds = [kind for kind, _ in told]
    if len(told) != _PAIR or len(set(kinds)) != _PAIR or not set(kinds) <= {"userId", "anonymousId", "email"}:
        raise Flaw(
            "invalid_merge",
            f"$.{_MERGED}",
            f"{kinds} cannot be merged; give two different ones of userId, anonymousId and email",
        )
    ids = dict(told)
    if not all(ids.values()):
        raise Flaw("invalid_merge", f"$.{_MERGED}", "an identifier is empty; give the value of each")
    properties = Raw(_encode({"email": ids["email"]})) if "email" in ids else item.properties
    user, anonymous = ids.get("userId", item.userId), ids.get("anonymousId", item.anonymousId)
    return msgspec.structs.replace(item, userId=user, anonymousId=anonymous, properties=properties)


def _need_ids(kind: str, user: str | None, anonymous: str | None, group: str | None, previous: str | None) -> None:
    if not user and not anonymous:
        raise Flaw("missing_id", "$.userId", "every call needs a userId or an anonymousId")
    if kind == "group" and not group:
        raise Flaw("missing_id", "$.groupId", "a group call needs a groupId")
    if kind == "alias" and not (user and previous):
        missing = "previousId" if user else "userId"
        raise Flaw("missing_id", f"$.{missing}", "an alias needs a userId and a previousId")


_SHORTEST: Final = 5
"""Bytes of the shortest property, with its comma."""


def _hold_to_limits(limits: Limits, message_id: str | None, group: str | None, main: str, properties: bytes) -> None:
    if message_id is not None and len(message_id) > limits.message_id_characters:
        reason = f"{len(message_id)} characters; a message id may have {limits.message_id_characters}"
        raise Flaw("message_id_too_long", "$.messageId", reason)
    if group is not None and len(group) > limits.group_id_characters:
        reason = f"{len(group)} characters; the id of a group may have {limits.group_id_characters}"
        raise Flaw("group_id_too_long", "$.groupId", reason)
    if len(properties) > _SHORTEST * limits.properties:
        count = len(object_decoder.decode(properties))
        if count > limits.properties:
            reason = f"{count} of them; an event may have {limits.properties}"
            raise Flaw("too_many_properties", f"$.{main}", reason)


def _plain(value: str | int | None, _: str) -> str | None:
    return str(value) if type(value) is int else value  # type: ignore[return-value]  # else it is text, or None


def _text(value: str | int | None, name: str) -> str | None:
    if value is None:
        return None
    text = value if type(value) is str else str(value)
    if "\0" in text:
        raise Flaw("invalid_id", f"$.{name}", "contains the character NUL, which no database keeps; remove it")
    return text


def keep_aside(kept: dict[str, Raw], item: Item, kind: str, side: str) -> None:
    """Note what the event has no field for."""
    if (
        item.category is not ABSENT
        or item.channel is not ABSENT
        or item.version is not ABSENT
        or item.receivedAt is not ABSENT
        or item._metadata is not ABSENT  # noqa: SLF001 - the wire's own name
    ):
        for name in _EXTRAS:
            raw = getattr(item, name)
            if raw is not ABSENT:
                kept[name] = raw
    beside = item.properties if side == "properties" else item.traits
    if beside is not ABSENT:
        kept[side] = beside
    if kind == "track" and item.name is not None:
        kept["name"] = Raw(_encode(item.name))
    if kind != "track" and item.event is not None:
        kept["event"] = Raw(_encode(item.event))
    if item.originalTimestamp is not None and item.timestamp is not None:
        kept["timestamp"] = Raw(_encode(item.timestamp))


def original_time(item: Item, kept: dict[str, Raw]) -> int | None:
    """Read when it happened by the sender's clock, as far as it says so."""
    original = instant(item.originalTimestamp, kept, "originalTimestamp")
    return instant(item.timestamp, kept, "timestamp") if original is None else original


def instant(text: str | None, kept: dict[str, Raw], name: str) -> int | None:
    """Read a time; what is none is kept aside."""
    if text is None:
        return None
    moment = times.parse(text)
    if moment is None:
        kept[name] = Raw(_encode(text))  # it is no time, and says nothing: but it was sent
    return moment


def _object_text(raw: Raw, name: str) -> bytes:
    text = bytes(raw)
    if text[:1] == b"{":
        return text
    if text == b"null":
        return b"{}"
    raise Flaw("invalid_type", f"$.{name}", f"expected an object, not {_glimpse(raw)}")
