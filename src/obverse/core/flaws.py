"""Flaws: what is wrong with something that a person wrote, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

import msgspec

RULES: Final[Mapping[str, str]] = {
    "OB001": "the file can be read, and is UTF-8",
    "OB002": "the file is YAML",
    "OB003": "lines are indented with spaces",
    "OB004": "a name stands once in its mapping",
    "OB005": "a file is of a size, a depth and a number of aliases that people write",
    "OB006": "values are those of JSON: texts, numbers, true, false, null, lists, mappings",
    "OB007": "a file holds a document",
    "OB010": "`version` is obverse/v1",
    "OB011": "`kind` is one of those that there are",
    "OB012": "a field is known",
    "OB013": "a field that is needed is there",
    "OB014": "a value is of the type that its field takes",
    "OB015": "a name has letters, digits, `_`, `-` and `.`, and a hundred characters at most",
    "OB016": "a value makes sense where it stands",
    "OB020": "a name is defined once",
    "OB021": "what is referred to is defined",
    "OB022": "definitions agree with each other",
    "OB023": "a version of a tracking plan accepts what the one before it accepted",
    "OB024": "an audience does not look at itself, be it by way of others",
    "OB030": "a secret is named, as `${env:NAME}` or `${file:PATH}`, and never written down",
    "OB031": "a template's `mjml_file` is a file beside it",
}
"""Each rule, by what holds where it is kept."""
REFERENCE: Final = "OB021"
"""The one rule that looks beyond what was written: what is referred to may be stored."""


class Flaw(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing that is wrong."""

    file: str
    line: int = 0
    """From 1; 0 where there is no file, or nothing of it could be read."""
    column: int = 0
    """From 1, in characters."""
    rule: str
    """One of `RULES`."""
    what: str
    """What is wrong, and what to write instead."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return printable(f"{place}: {self.rule} {self.what}")


def printable(text: str) -> str:
    r"""
    The text on one line, as a terminal may show it: whoever wrote it might have written what a terminal obeys.

    >>> print(printable("a\x1b[31m"))
    a\x1b[31m
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text)


def readable(text: str) -> str:
    r"""
    The text in characters alone: of a file's name that is not UTF-8 the bytes that are none become escapes.

    >>> print(readable("a\udcff.yml"))
    a\udcff.yml
    """
    return text.encode("utf-8", "backslashreplace").decode()


def told(flaws: Iterable[Flaw]) -> str:
    """All of them for a person, a line each."""
    return "\n".join(map(str, flaws))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """
    The known name that was probably meant.

    >>> nearest("evnt", ["event", "property"])
    'event'
    """
    return next(iter(get_close_matches(name, list(known), n=1)), None)
