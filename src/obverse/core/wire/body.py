"""The body of a call: JSON that is opened as far as is needed to know its key and its items."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from obverse.core import times

SAMPLE: Final = 1024
"""Bytes of an unreadable body that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may bring."""

    event_bytes: int = 32 * 1024
    batch_bytes: int = 500 * 1024
    """Of the request as JSON, after unpacking."""
    batch_items: int = 2500
    depth: int = 400
    """Levels of nesting of one event."""
    message_id_characters: int = 99
    group_id_characters: int = 500
    properties: int = 10_000
    """Of one event, or its traits, not counting those within others."""


class Unreadable(ValueError):
    """The body as a whole is refused. `code` is a word for programs; the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


Raw = msgspec.Raw
ABSENT: Final = Raw(b"null")


class Item(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One call as the SDKs send it. What does not fit here is read field by field (`_patiently`)."""

    type: str | None = None
    userId: str | int | None = None  # noqa: N815 - the wire's own names, here and below
    anonymousId: str | int | None = None  # noqa: N815
    messageId: str | None = None  # noqa: N815
    event: str | None = None
    name: str | None = None
    groupId: str | int | None = None  # noqa: N815
    previousId: str | int | None = None  # noqa: N815
    timestamp: str | None = None
    originalTimestamp: str | None = None  # noqa: N815
    sentAt: str | None = None  # noqa: N815
    writeKey: str | None = None  # noqa: N815
    properties: Raw = ABSENT
    traits: Raw = ABSENT
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    category: Raw = ABSENT
    channel: Raw = ABSENT
    version: Raw = ABSENT
    receivedAt: Raw = ABSENT  # noqa: N815
    _metadata: Raw = ABSENT


class _Envelope(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    batch: list[Item]
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    sentAt: str | None = None  # noqa: N815
    writeKey: str | None = None  # noqa: N815
    timestamp: Raw = ABSENT
    """Some SDKs for Node give the time of sending twice."""


_envelope = msgspec.json.Decoder(_Envelope)
item_decoder = msgspec.json.Decoder(Item)
object_decoder = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_anything = msgspec.json.Decoder(Raw)
scalar_decoder = msgspec.json.Decoder()
_encode = msgspec.json.encode

_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# An escaped backslash comes first, so that the text \\ud83d is left alone; a whole pair comes before its halves.
_SURROGATES: Final = re.compile(rb"\\\\|" + _HIGH + _LOW + b"|(" + _HIGH + b"|" + _LOW + b")")


@dataclass(slots=True)
class Flaw(Exception):
    """Why one item is no event: a word for programs, the field as a JSON path, and what to do."""

    code: str
    field: str
    reason: str


@dataclass(slots=True)
class Message:
    """A readable body, not yet held against the rules."""

    items: Sequence[Item | Raw]
    write_key: str | None = None
    context: bytes = b"null"
    integrations: bytes = b"null"
    sent_at: str | None = None
    left: Raw | None = None
    """What the envelope says and no event has a place for (`_left`)."""
    flaw: Flaw | None = None
    """Set if it is JSON but holds no events at all."""
    body: bytes = b""
    address: str = ""
    """IP address that it came from, if that is to be known."""
    single: bool = False
    """Whether the body is one item, without an envelope."""
    browser: bool = False
    """Whether a browser's page sent it, and not a server."""


def open_body(body: bytes, *, batch: bool, limits: Limits) -> Message:
    """
    Read a body as JSON, as far as is needed to know its key and its items.

    Raises:
        Unreadable: too large (`batch_too_large`, `event_too_large`), or no JSON (`invalid_json`).
    """
    most, code = (limits.batch_bytes, "batch_too_large") if batch else (limits.event_bytes, "event_too_large")
    if len(body) > most:
        raise Unreadable(code, f"the body has more than the {most} bytes that are accepted; send less at a time")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("invalid_json", f"byte {error.start} of the body is not UTF-8; encode it as UTF-8") from error
    try:
        return _open(body, batch=batch, limits=limits)
    except msgspec.DecodeError as error:
        if b"\\ud" in body.lower():
            repaired = _SURROGATES.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
            if repaired != body:
                # Half of a character, as JavaScript's substring leaves it: read it as what it is, an unknown one.
                return open_body(repaired, batch=batch, limits=limits)
        raise Unreadable("invalid_json", f"the body is not JSON: {error}; send one JSON object") from error
    except RecursionError as error:
        # One item nested too deep must not spoil its neighbours. What is left of it is still too deep to be accepted.
        pruned = _pruned(body, limits.depth + _AROUND) if brackets(body) <= _PATIENCE else body
        if pruned != body:
            return open_body(pruned, batch=batch, limits=limits)
        raise Unreadable("invalid_json", "the body is nested too deep to read; send flatter objects") from error


def _open(body: bytes, *, batch: bool, limits: Limits) -> Message:
    if not batch:
        _anything.decode(body)
        try:
            write_key = item_decoder.decode(body).writeKey
        except msgspec.ValidationError:
            write_key = loose_text(as_object(body).get("writeKey"))
        return Message([Raw(body)], write_key, body=body, single=True)
    if (
        len(body) <= limits.event_bytes and brackets(body) <= limits.depth
    ):  # so no item can be too large or too deep, and all can be read at one go
        try:
            read = _envelope.decode(body)
        except msgspec.ValidationError:
            pass
        else:
            key = read.writeKey or next((item.writeKey for item in read.batch if item.writeKey), None)
            context, integrations = bytes(read.context), bytes(read.integrations)
            left = _left(context, integrations, read.sentAt, {"timestamp": read.timestamp})
            return Message(read.batch, key, context, integrations, read.sentAt, left, body=body)
    return _open_patiently(body)


def _open_patiently(body: bytes) -> Message:
    _anything.decode(body)
    fields = as_object(body)
    if not fields:
        return Message((), flaw=Flaw("not_an_object", "$", "expected an object with a `batch`"), body=body)
    write_key = loose_text(fields.get("writeKey"))
    try:
        items = _list.decode(fields["batch"])
    except (KeyError, msgspec.ValidationError):
        return Message((), write_key, flaw=Flaw("missing_batch", "$.batch", "expected a list of events"), body=body)
    context, integrations = bytes(fields.get("context", ABSENT)), bytes(fields.get("integrations", ABSENT))
    sent_at = loose_text(fields.get("sentAt"))
    others = {name: raw for name, raw in fields.items() if name not in _UNDERSTOOD}
    if sent_at is None:
        others["sentAt"] = fields.get("sentAt", ABSENT)
    left = _left(context, integrations, sent_at, others)
    key = write_key or next((key for key in map(_key_of, items) if key), None)
    return Message(items, key, context, integrations, sent_at, left, body=body)


_UNDERSTOOD: Final = frozenset({"batch", "context", "integrations", "sentAt", "writeKey"})
_FLAT: Final = 100
"""Brackets in what is left of an envelope, beyond which it is kept as text."""


def _left(context: bytes, integrations: bytes, sent_at: str | None, others: Mapping[str, Raw]) -> Raw | None:
    """
    What an envelope says and no event has a place for, as one JSON object; None if there is nothing.

    That is what nobody knows, and what is not what it should be. It is kept with each event, so of a large one only the
    beginning is, as text. A `timestamp` beside a good `sentAt` says the same, and is passed over.
    """
    timed = bool(sent_at) and times.parse(sent_at or "") is not None
    found = {
        name: raw
        for name, raw in others.items()
        if bytes(raw) != b"null" and not (timed and name == "timestamp" and bytes(raw)[:1] == b'"')
    }
    for name, text in (("context", context), ("integrations", integrations)):
        if text != b"null" and text[:1] != b"{":
            found[name] = Raw(text)
    if sent_at and not timed:
        found["sentAt"] = Raw(_encode(sent_at))
    if not found:
        return None
    told = _encode(found)
    if len(told) <= SAMPLE and brackets(told) <= _FLAT:
        return Raw(told)
    return Raw(_encode(sample(told, SAMPLE).decode(errors="replace")))


def is_batch(body: bytes) -> bool:
    """Whether a body is an envelope of events, and no event itself."""
    try:
        return "batch" in as_object(body)
    except (msgspec.DecodeError, RecursionError):
        return False


_KEY: Final = re.compile(rb'"writeKey"\s*:\s*"([^"\\]{1,200})"')
_KEYS: Final = 5
"""Keys that are tried for one unreadable body."""
_AROUND: Final = 3
"""Levels around an item, the envelope's and the list's, and one to be beyond the limit by."""
_PATIENCE: Final = 50_000
"""Brackets in a body nested too deep, beyond which it is not searched for what can be saved: 25 ms of work."""
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]+|[\]}]+')


def _pruned(body: bytes, deepest: int) -> bytes:
    """The same JSON with null in place of what nests deeper; read without recursion, so that any depth will do."""
    kept: list[bytes] = []
    depth = start = done = 0
    for token in _TOKENS.finditer(body):
        first, size = token[0][:1], len(token[0])
        if first in b"[{":
            if depth <= deepest < depth + size:
                start = token.start() + deepest - depth
            depth += size
        elif first in b"]}":
            if depth > deepest >= depth - size:
                kept += body[done:start], b"null"
                done = token.start() + depth - deepest
            depth -= size
    return b"".join([*kept, body[done:]])


_SECRET: Final = re.compile(rb'("writeKey"\s*:\s*")[^"\\]*')


def sample(body: bytes, most: int) -> bytes:
    """The beginning of a body, to be kept: without the write keys, which are kept nowhere."""
    return _SECRET.sub(rb"\1", body[: most + _LONGEST_KEY])[:most]


_LONGEST_KEY: Final = 300
"""Bytes of a key that the cut goes through, at most."""


def glimpsed_keys(body: bytes) -> list[str]:
    """The write keys that can be seen in a body which cannot be read whole, or was cut short."""
    found = [one[1] for one in islice(_KEY.finditer(body), _KEYS)]
    last = _KEY.match(body, max(0, body.rfind(b'"writeKey"')))  # many SDKs write it after the batch
    if last is not None:
        found.append(last[1])
    return [key.decode(errors="replace") for key in dict.fromkeys(found)]


def as_object(body: bytes | Raw) -> dict[str, Raw]:
    """The fields of a JSON object; none if it is JSON, but no object."""
    try:
        return object_decoder.decode(body)
    except msgspec.ValidationError:
        return {}


def _key_of(item: Raw) -> str | None:
    return loose_text(as_object(item).get("writeKey")) if b'"writeKey"' in bytes(item) else None


def loose_text(raw: Raw | None) -> str | None:
    """The text, if it is JSON text."""
    try:
        value = scalar_decoder.decode(raw) if raw is not None else None
    except msgspec.MsgspecError:
        return None
    return value if isinstance(value, str) else None


def brackets(text: bytes) -> int:
    """How many arrays and objects JSON text opens, at most: a cheap bound on its depth."""
    return text.count(b"[") + text.count(b"{")


def levels(text: bytes) -> int:
    """How deep JSON text nests, at most: an upper bound where brackets stand inside of strings."""
    depth = deepest = 0
    for run in _BRACKETS.finditer(text):
        if run[0][0] in b"[{":
            depth += len(run[0])
            deepest = max(deepest, depth)
        else:
            depth -= len(run[0])
    return deepest


_BRACKETS: Final = re.compile(rb"[\[{]+|[\]}]+")
