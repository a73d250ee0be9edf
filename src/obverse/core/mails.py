"""Mails: one person's copy of a message, as it is given to a mail service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_HEADER_NAME: Final = re.compile(r"[!-9;-~]+")
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"@\x00-\x1f]+@[^\s<>,;:\"@\x00-\x1f]+")
_BREAKS: Final = re.compile(r"[\r\n\0\u0085\u2028\u2029]")


class BadMail(ValueError):
    """A mail that cannot be sent to anybody; the message says what is wrong, where, and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """
    A mail to one person.

    Raises:
        BadMail: a header holds a line break, which would let its text write other headers; an address is none; or
            there is nothing to read.
    """

    message_id: str
    """RFC 5322, with its angle brackets; the same for each attempt."""
    sender: str
    """An address."""
    sender_name: str = ""
    to: str
    """One address."""
    subject: str
    html: str = ""
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers, by name."""

    def __post_init__(self) -> None:
        for place, value in (
            ("message_id", self.message_id),
            ("sender_name", self.sender_name),
            ("subject", self.subject),
            *((f"headers.{name}", value) for name, value in self.headers.items()),
        ):
            if _BREAKS.search(value):
                raise BadMail(f"{place} has a line break or a NUL in it ({value[:60]!r}): write it on one line")
        for name in self.headers:
            if not _HEADER_NAME.fullmatch(name):
                raise BadMail(f"headers: {name!r} is no name of a header: use letters, digits and dashes")
        check_address(self.sender, "sender")
        check_address(self.to, "to")
        if not (self.html or self.text):
            raise BadMail("html and text are both empty: write one of them")


def check_address(text: str, place: str) -> None:
    """Raise `BadMail`, naming the place, if a text is no address."""
    if not _ADDRESS.fullmatch(text):
        raise BadMail(f"{place}: {text!r} is no address: write it as name@example.com")
