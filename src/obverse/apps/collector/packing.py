"""How bodies are packed, and what queries and forms say when they are read as a call."""

from __future__ import annotations

import zlib
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

_PACKINGS: Final = frozenset({b"gzip", b"deflate", b"x-gzip"})
_NOT_SENT: Final = frozenset({"writeKey", "data"})
_LEVELS: Final = 20
"""Dots in one name of a query that make objects; what is beyond is part of the name."""
WEBHOOK_EVENT: Final = "webhook_source_event"
"""RudderStack's name for what came by webhook."""


class TooMuch(Exception):
    """The body has more bytes than any request may have; `start` is its beginning, longer than what is accepted."""

    def __init__(self, start: bytes) -> None:
        super().__init__(len(start))
        self.start = start


TAIL: Final = 512
"""Bytes of the end of a body that is too large, in which its write key may stand."""
FURTHER: Final = 8
"""So many times what is accepted is looked through for that end."""


_GZIP: Final = b"\x1f\x8b"
_PARTS: Final = 50
"""That follow each other, as gzip allows, beyond the first; each is copied on its way."""


def unpacked(body: bytes, encoding: bytes, most: int, *, to_its_end: bool = False) -> bytes:
    """
    Unpack gzip or deflate, and stop at `most` bytes: what is small packed may be huge unpacked.

    `to_its_end`: of what is too large, look for its end too (`FURTHER`), and keep no more of it than `TAIL`.

    Raises:
        TooMuch: there is more.
        zlib.error: it is not packed so, or cut short.
    """
    if encoding.strip().lower() not in _PACKINGS:
        return body
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        plain = unpacker.decompress(body, most + 1)
    except zlib.error:
        unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # deflate without its header, as some senders do
        plain = unpacker.decompress(body, most + 1)
    for _ in range(_PARTS):
        rest = unpacker.unused_data
        if len(plain) > most or not rest.startswith(_GZIP):
            break
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        plain += unpacker.decompress(rest, most + 1 - len(plain))
    if len(plain) > most:
        raise TooMuch(plain + _tail(unpacker, FURTHER * most) if to_its_end else plain)
    if not unpacker.eof:
        raise zlib.error("incomplete")
    if unpacker.unused_data.startswith(_GZIP):
        raise zlib.error(f"in more than {_PARTS} parts")
    return plain


def _tail(unpacker: Any, most: int) -> bytes:
    tail, size = b"", 0
    while unpacker.unconsumed_tail and size < most:
        part: bytes = unpacker.decompress(unpacker.unconsumed_tail, 1 << 16)
        tail, size = (tail + part)[-TAIL:], size + len(part)
    return tail


def query_keys(query: bytes) -> list[str]:
    """The write keys in a query."""
    return [value for name, value in _pairs(query) if name == "writeKey"] if b"writeKey" in query else []


def pixel_body(query: bytes) -> bytes:
    """
    The call that a picture's query holds.

    Segment's has `data`, a call as JSON in base64; RudderStack's has a parameter for each field.

    >>> pixel_body(b"event=Opened&properties.size=3&userId=ada")
    b'{"event":"Opened","properties":{"size":"3"},"userId":"ada"}'
    """
    pairs = _pairs(query)
    data = next((value for name, value in pairs if name == "data"), None)
    if data is not None:
        return _from_base64(data)
    return msgspec.json.encode(_tree((name, value) for name, value in pairs if name not in _NOT_SENT))


def webhook_body(query: bytes, body: bytes, content_type: bytes) -> bytes:
    """
    The track that a webhook becomes: what came is its properties, and any id in it or in the query is its id.

    JSON that is no object, and what is no JSON, is left as it is: reading it tells what is wrong.
    """
    if content_type.partition(b";")[0].strip().lower() == b"application/x-www-form-urlencoded":
        sent: dict[str, Any] = _tree(_pairs(body))
    elif body.strip():
        try:
            sent = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return body
    else:
        sent = _tree((name, value) for name, value in _pairs(query) if name not in _NOT_SENT)
    asked = dict(_pairs(query))
    ids = {
        name: found
        for name in ("userId", "anonymousId", "messageId")
        if (found := _said(sent.get(name)) or asked.get(name))
    }
    return msgspec.json.encode({"type": "track", "event": WEBHOOK_EVENT, **ids, "properties": sent})


def _said(value: Any) -> Any:
    """The value; None if it is JSON's null or an empty text."""
    return None if isinstance(value, msgspec.Raw) and bytes(value) in {b"null", b'""'} else value


def _pairs(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)


def _from_base64(data: str) -> bytes:
    padded = data.replace(" ", "+") + "=" * (-len(data) % 4)
    try:
        return urlsafe_b64decode(padded) if "-" in data or "_" in data else b64decode(padded, validate=True)
    except ValueError:
        return data.encode()  # no base64: it will be refused as no JSON, and its beginning kept


def _tree(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        *outer, last = name.split(".", _LEVELS)
        place = tree
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                place, last = tree, name  # it is a value already
                break
            place = inner
        place[last] = value
    return tree
