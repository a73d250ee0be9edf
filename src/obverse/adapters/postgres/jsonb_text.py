"""JSON text that PostgreSQL's jsonb can hold: finds what it cannot, and says the same as nearly as it can."""

from __future__ import annotations

import re
from typing import Final

import msgspec

LONG: Final = 15_000
"""Only a text of this many bytes can hold so many digits that jsonb refuses them, if no exponent does."""

_MOST_BEFORE: Final = 131_072
_MOST_AFTER: Final = 16_383
"""Digits that `numeric` holds before and after the point."""
_MOST_EXPONENT: Final = 999
"""Beyond, a few bytes would unfold into hundreds of kilobytes for whoever reads them."""

# What is left of a number with an exponent is `,e,`: its digits are deleted, and what stands before and after is a
# comma. One pass in C over many texts is five times as fast as an expression.
_SHAPE: Final = bytes(
    ord("," if character in ":[]{}," else "e" if character in "eE" else "x") for character in map(chr, range(256))
)
_DELETED: Final = b"0123456789.+- \t\r\n"

_TOKEN: Final = re.compile(
    rb'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")'
    rb"|-?(?P<before>[0-9]+)(?:\.(?P<after>[0-9]+))?(?:[eE](?P<exponent>[+-]?[0-9]+))?",
    re.DOTALL,
)
# A whole pair comes before its halves, an escaped backslash before what would follow one.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?P<bad>0000|[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_UNKNOWN: Final = b"\\ufffd"

_valid = msgspec.json.Decoder(msgspec.Raw)
_escaped = msgspec.json.Encoder()


def suspicious(texts: bytes) -> bool:
    """
    Whether one of the JSON texts, given one after another, may hold what jsonb cannot.

    Cheap, about a nanosecond a byte; sometimes wrong in saying yes, never in saying no, if none is longer than `LONG`.

    >>> suspicious(b'{"a": "e1234"}'), suspicious(b'{"a": 1e5000}')
    (False, True)
    """
    if b"\\" in texts and (b"\\u0000" in texts or b"\\ud" in texts or b"\\uD" in texts):
        return True
    return b",e," in texts.translate(_SHAPE, _DELETED)


def clean(text: bytes) -> bytes:
    r"""
    Return the text as jsonb can hold it; the same bytes if it can hold the text as it is.

    NUL and halves of characters become U+FFFD; numbers that `numeric` cannot hold, or that would unfold into more
    than a thousand zeros, become text.

    >>> clean(b'{"a": "x\\u0000", "b": [1e400000, 2.50]}')
    b'{"a": "x\\ufffd", "b": ["1e400000", 2.50]}'
    """
    return _TOKEN.sub(_clean_token, text)


def force(text: bytes) -> bytes:
    """Return JSON that jsonb can hold, whatever the bytes are: what is no JSON becomes one JSON string."""
    readable = text.decode(errors="replace").encode()
    try:
        _valid.decode(readable)
    except (msgspec.MsgspecError, RecursionError):
        # A lone half of a character is no JSON either, but can be mended.
        mended = clean(readable)
        try:
            _valid.decode(mended)
        except (msgspec.MsgspecError, RecursionError):
            return clean(_escaped.encode(readable.decode()))
        return mended
    return clean(readable)


def _clean_token(token: re.Match[bytes]) -> bytes:
    whole = token[0]
    if token["text"] is not None:
        return _ESCAPE.sub(_clean_escape, whole) if b"\\u" in whole else whole
    exponent = token["exponent"]
    power = 0
    if exponent is not None:
        digits = exponent.lstrip(b"+-").lstrip(b"0")
        if len(digits) > len(str(_MOST_EXPONENT)):
            return b'"' + whole + b'"'
        power = -int(digits or b"0") if exponent[:1] == b"-" else int(digits or b"0")
    if len(token["before"]) + power > _MOST_BEFORE or len(token["after"] or b"") - power > _MOST_AFTER:
        return b'"' + whole + b'"'
    return whole


def _clean_escape(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["bad"] is None else _UNKNOWN
