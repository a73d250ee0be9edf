"""Reads mails, however broken: whatever can be shown is, and nothing here fails."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses
from typing import Any, Final

from obverse.sandboxes.inbox.words import decoded, decoded_header, one_line, shown, squeezed, text_of_html

PREVIEW: Final = 140
"""Characters of a mail's text that lists show."""
SEARCHED: Final = 16_000
"""Characters of a mail's text that a search looks at."""
_MOST_PARTS: Final = 1_000
_MOST_ADDRESSES: Final = 1_000
_LONGEST_ADDRESSES: Final = 64_000
_BODY: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is no text to read at once."""

    name: str
    type: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a mail says."""

    headers: tuple[tuple[str, str], ...] = ()
    """Decoded, in their order."""

    message_id: str | None = None
    """With its angle brackets."""

    sender: str = ""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()

    def readable(self) -> str:
        """The text; where there is none, that of the HTML's beginning."""
        if self.text is not None and not self.text.isspace():
            return self.text[:SEARCHED]
        return text_of_html((self.html or "")[: 4 * SEARCHED])[:SEARCHED]

    def preview(self) -> str:
        """The first words."""
        return squeezed(self.readable(), PREVIEW)


def read_mail(raw: bytes) -> Content:
    """Read a mail. One that cannot be read at all is text, as it stands."""
    try:
        return _read(message_from_bytes(raw, policy=compat32), raw)
    except Exception:  # noqa: BLE001 - hostile input, and a library that has failed on such in many ways
        return Content(text=shown(decoded(raw, None)))


def plain_address(address: str) -> str:
    """An address as it is looked for: without its name, in small letters."""
    bare = address[address.rfind("<") + 1 :].partition(">")[0] if "<" in address else address
    return bare.strip().lower()


def normal_message_id(given: str) -> str | None:
    """A Message-ID in angle brackets, without what may stand around them; None where there is none."""
    text = "".join(one_line(given).split())
    opened, closed = text.find("<"), text.rfind(">")
    inner = text[opened + 1 : closed] if 0 <= opened < closed else text.strip("<>")
    return f"<{inner}>" if inner else None


def _read(mail: Message[str, str], raw: bytes) -> Content:
    items = [(name, str(value)) for name, value in mail.raw_items()]
    headers = tuple((one_line(decoded_header(name)), decoded_header(value)) for name, value in items)
    first: dict[str, str] = {}
    raws: dict[str, list[str]] = {}
    for (name, value), (_, written) in zip(headers, items, strict=True):
        first.setdefault(name.lower(), value)
        raws.setdefault(name.lower(), []).append(written)
    text: str | None
    try:
        text, html, attachments = _parts(mail)
    except Exception:  # noqa: BLE001 - as in `read_mail`; but the headers could be read
        text, html, attachments = shown(decoded(_BODY.split(raw, maxsplit=1)[-1], None)), None, ()
    return Content(
        headers=headers,
        message_id=_message_id(raws),
        sender=first.get("from", ""),
        to=tuple(_addresses(raws, "to")),
        cc=tuple(_addresses(raws, "cc")),
        subject=first.get("subject", ""),
        text=text,
        html=html,
        attachments=attachments,
    )


def _message_id(raws: Mapping[str, list[str]]) -> str | None:
    written = raws.get("message-id", [""])[0]
    # What looks like an encoded word inside of the brackets is none. Who encodes, encodes the brackets too.
    told = decoded(written.encode("utf-8", "surrogateescape"), None) if "<" in written else decoded_header(written)
    return normal_message_id(told)


def _addresses(raws: Mapping[str, list[str]], name: str) -> Iterator[str]:
    """The addresses of a header. They are parted before they are decoded: a decoded name may have commas."""
    written = [value[:_LONGEST_ADDRESSES] for value in raws.get(name, ())]
    try:
        found = getaddresses(written)[:_MOST_ADDRESSES]
    except Exception:  # noqa: BLE001 - as in `read_mail`
        found = []
    for known, address in found or [("", value) for value in written]:
        told, bare = decoded_header(known), decoded_header(address)
        if told or bare:
            yield f"{told} <{bare}>" if told else bare


def _parts(mail: Message[str, str]) -> tuple[str | None, str | None, tuple[Attachment, ...]]:
    bodies: dict[str, str] = {}
    attachments: list[Attachment] = []
    waiting: list[Any] = [mail]
    for _ in range(_MOST_PARTS):
        if not waiting:
            break
        part = waiting.pop()
        kind, inside = part.get_content_type(), part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inside, list):
            waiting += reversed(inside)
        elif kind in {"text/plain", "text/html"} and kind not in bodies and not _is_attached(part):
            bodies[kind] = shown(decoded(_octets(part), _charset(part)))
        elif part is mail and part.get_content_maintype() == "multipart":
            bodies["text/plain"] = shown(decoded_text(inside))
        else:
            attachments.append(Attachment(_name(part), one_line(kind), _size(part)))
    return bodies.get("text/plain"), bodies.get("text/html"), tuple(attachments)


def decoded_text(payload: Any) -> str:
    """The text of a payload that no encoding was undone of."""
    return decoded(str(payload).encode("utf-8", "surrogateescape"), None)


def _is_attached(part: Message[str, str]) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _octets(part: Message[str, str]) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except Exception:  # noqa: BLE001 - as in `read_mail`
        payload = None
    return payload if isinstance(payload, bytes) else decoded_text(part.get_payload()).encode()


def _charset(part: Message[str, str]) -> str | None:
    try:
        charset = part.get_content_charset()
    except Exception:  # noqa: BLE001 - as in `read_mail`
        return None
    # Whoever says ASCII and writes more, most often writes UTF-8.
    return None if charset == "us-ascii" else charset


def _name(part: Message[str, str]) -> str:
    try:
        return decoded_header(part.get_filename() or "")
    except Exception:  # noqa: BLE001 - as in `read_mail`
        return ""


def _size(part: Message[str, str]) -> int:
    if not part.is_multipart():
        return len(_octets(part))
    try:
        return sum(len(one.as_bytes()) for one in part.get_payload() if isinstance(one, Message))
    except Exception:  # noqa: BLE001 - as in `read_mail`
        return 0
