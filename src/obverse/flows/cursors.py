"""Cursors of pages that go by ids."""

from __future__ import annotations


class BadCursor(ValueError):
    """A text that is no cursor of ours, or no id."""


def read_cursor(text: str | None) -> bytes | None:
    """
    The id after which a page begins.

    Raises:
        BadCursor: it is none.
    """
    return None if text is None else read_id(text)


def read_id(text: str) -> bytes:
    """
    A UUID.

    Raises:
        BadCursor: it is none.
    """
    try:
        one = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        one = b""
    if len(one) != 16:  # noqa: PLR2004 - a UUID's bytes
        raise BadCursor(f"{text!r} is none: give one that an answer before has given")
    return one
