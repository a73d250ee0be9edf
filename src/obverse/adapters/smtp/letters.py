"""Mails as the bytes that SMTP carries: RFC 5322 and MIME, 7 bits wide, so that every relay takes them."""

from __future__ import annotations

from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr
from typing import Final

from obverse.core import times
from obverse.core.mails import Mail

# The older half of the standard library's `email`: the newer one writes text that looks like an encoded word as it is,
# and whoever reads it sees something else.
_LONGEST: Final = 900
"""Characters of a header's line; RFC 5322 allows 998. Shorter ones are not folded, since not all unfold alike."""
_POLICY: Final = compat32.clone(linesep="\r\n", max_line_length=_LONGEST)
_UTF8: Final = Charset("utf-8")
_UTF8.body_encoding = QP


def to_bytes(mail: Mail, now: int) -> bytes:
    """
    Write a mail; `now` is its date, in microseconds since 1970.

    Raises:
        ValueError: an address cannot be written (`wire_address`).
    """
    parts = [_part(content, subtype) for content, subtype in ((mail.text, "plain"), (mail.html, "html")) if content]
    letter = parts[0] if len(parts) == 1 else MIMEMultipart("alternative", _subparts=parts, policy=_POLICY)
    sender = wire_address(mail.sender)
    letter["From"] = formataddr((_said(mail.sender_name), sender)) if mail.sender_name else sender
    letter["To"] = wire_address(mail.to)
    letter["Subject"] = _said(mail.subject)
    letter["Date"] = format_datetime(times.to_datetime(now))
    letter["Message-ID"] = mail.message_id
    for name, value in mail.headers.items():
        letter[name] = _said(value)
    return letter.as_bytes(policy=_POLICY)


def wire_address(address: str) -> str:
    """
    An address as every relay takes it: the domain in IDNA.

    Raises:
        ValueError: the part before the @ is not ASCII, or the domain is none.
    """
    name, _, domain = address.rpartition("@")
    if not name.isascii():
        raise ValueError(f"{address!r} has letters before the @ that few relays take: write it in ASCII")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise ValueError(f"{address!r} has no domain that can be ({error}): correct it") from error


def _part(content: str, subtype: str) -> MIMEText:
    lines = content.replace("\r\n", "\n").replace("\r", "\n")
    part = MIMEText("", subtype, policy=_POLICY)
    del part["Content-Transfer-Encoding"]
    part.set_payload(lines, _UTF8)
    return part


def _said(text: str) -> str:
    """A header's text, encoded if it is more than plain ASCII or could be taken for something encoded."""
    if text.isascii() and text.isprintable() and "=?" not in text and len(text) < _LONGEST - 100:
        return text
    return Header(text, "utf-8").encode(linesep="\r\n")
