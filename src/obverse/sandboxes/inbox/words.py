"""Text that mails carry: encoded headers (RFC 2047), charsets that lie, HTML as plain text."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from itertools import groupby
from typing import Final

_WORD: Final = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\r\n]*)\?=")
_BREAK: Final = re.compile(r"[ \t]*\r?\n[ \t]+")
_NOT_SHOWN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# They turn what follows around: an address could be shown as another one.
_DIRECTIONS: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TAG: Final = re.compile(r"/?[a-z][a-z0-9]*")
_UNSEEN: Final = frozenset({"script", "style", "head", "title", "template", "noscript"})


def decoded_header(raw: str) -> str:
    """
    A header's value as people read it, in one line.

    `raw` is as `email` keeps it: bytes that are not ASCII stand in it as surrogates.
    """
    octets = raw.encode("utf-8", "surrogateescape")
    line = _BREAK.sub(" ", decoded(octets, "utf-8")).strip()
    return one_line("".join(_unquoted(line))) if "=?" in line else one_line(line)


def one_line(text: str) -> str:
    """The text without line ends and without what cannot be seen."""
    return _DIRECTIONS.sub("", _NOT_SHOWN.sub("\ufffd", text).replace("\r", " ").replace("\n", " ")).strip()


def shown(text: str) -> str:
    """The text with line ends as they are here, and with a mark for every character that is not to be shown."""
    return _NOT_SHOWN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def decoded(octets: bytes, charset: str | None) -> str:
    """The text of these bytes: in its charset where that can be, and always some text."""
    for one in (charset, "utf-8"):
        try:
            return _writable(octets.decode(one or "utf-8"))
        except (LookupError, ValueError):
            continue
    return octets.decode("cp1252", "replace")


def text_of_html(html: str) -> str:
    """What a reader would see of HTML, roughly, in time that grows with its length alone."""
    seen: list[str] = []
    hidden = ""
    for piece in f"x>{html}".split("<"):
        tag, _, after = piece.partition(">")
        found = _TAG.match(tag.lower())
        name = found[0] if found else ""
        if hidden == "!--" or (not hidden and tag.startswith("!--")):
            _, closed, after = piece.partition("-->")
            hidden = "" if closed else "!--"
        elif hidden:
            if name != f"/{hidden}":
                continue
            hidden = ""
        elif name in _UNSEEN:
            hidden = name
            continue
        elif not name and not tag.startswith(("!", "?")):
            after = f"<{piece}"
        if not hidden:
            seen.append(after)
    return shown(unescape(" ".join(seen)))


def squeezed(text: str, most: int) -> str:
    """The first `most` characters or so, every run of spaces as one."""
    line = " ".join(one_line(text[: most * 4]).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _unquoted(line: str) -> Iterator[str]:
    """The pieces of a header: encoded words decoded, the spaces between two of them left out."""
    words: list[tuple[str, bytes]] = []
    at = 0
    for found in _WORD.finditer(line):
        between = line[at : found.start()]
        octets = _octets(found[2], found[3])
        if octets is None:
            continue
        if not words or between.strip():
            yield _joined(words)
            words = []
            yield between
        words.append((found[1].lower(), octets))
        at = found.end()
    yield _joined(words)
    yield line[at:]


def _joined(words: list[tuple[str, bytes]]) -> str:
    # A character may be cut in two, one half in each word.
    runs = groupby(words, key=lambda word: word[0])
    return "".join(decoded(b"".join(octets for _, octets in run), charset) for charset, run in runs)


def _octets(encoding: str, text: str) -> bytes | None:
    if not text.isascii():
        return None
    if encoding in "qQ":
        return binascii.a2b_qp(text, header=True)
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None


def _writable(text: str) -> str:
    """Without halves of characters, which no JSON and no database takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
