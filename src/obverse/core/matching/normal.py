"""How values are written before they are compared, so that spelling alone makes no difference."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

from obverse.core.matching.fields import Kind

_NOT_A_WORD: Final = re.compile(r"[\W_]+")
_NOT_A_DIGIT: Final = re.compile(r"\D+")
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_YEAR_LAST: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)")
_NOTHING: Final = frozenset({"", "null", "none", "n a", "na", "nan", "unknown", "undefined", "anonymous", "test"})
"""Texts that say that there is no value."""
_MOST: Final = 200
"""Characters that are compared: what is longer is no name and no address, and would cost more than all others."""
_PHONE_DIGITS: Final = 6
_DATE_DIGITS: Final = 8
_MONTHS: Final = 12

_STREET: Final[Mapping[str, str]] = {
    **dict.fromkeys(("street", "str"), "st"),
    **dict.fromkeys(("avenue", "av"), "ave"),
    **dict.fromkeys(("road",), "rd"),
    **dict.fromkeys(("boulevard", "boul"), "blvd"),
    **dict.fromkeys(("place",), "pl"),
    **dict.fromkeys(("drive",), "dr"),
    **dict.fromkeys(("court",), "ct"),
    **dict.fromkeys(("lane",), "ln"),
    **dict.fromkeys(("crescent", "cres"), "cr"),
    **dict.fromkeys(("parkway",), "pkwy"),
    **dict.fromkeys(("square",), "sq"),
    **dict.fromkeys(("terrace",), "ter"),
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
}
"""Words of addresses, and how they are shortened."""


def words(value: str) -> str | None:
    """
    Lower case, without accents, each run of anything that is no letter or digit a single space.

    >>> words("  O'Brien-Müller ")
    'o brien muller'
    """
    if not value.isascii():  # nearly all are, and need none of it
        plain = "".join(one for one in unicodedata.normalize("NFKD", value) if not unicodedata.combining(one))
        value = unicodedata.normalize("NFKC", plain)
    text = _NOT_A_WORD.sub(" ", value.casefold()).strip()
    return None if text in _NOTHING else text


def date(value: str) -> str | None:
    """
    Eight digits, the year first.

    A date that may be read in two ways, as 03/04/1980, is none. One that no calendar has is left as it is, for a
    letter may be wrong in it.

    >>> date("1971-06-24T00:00:00Z"), date("24.6.1971"), date("06/24/1971"), date("03/04/1980")
    ('19710624', '19710624', '19710624', None)
    """
    value = value.strip()
    found = _YEAR_FIRST.match(value)
    if found:
        return "".join(found.groups())
    found = _YEAR_LAST.match(value)
    if not found:
        digits = _NOT_A_DIGIT.sub("", value)
        return digits if len(digits) == _DATE_DIGITS and digits == value else None
    first, mark, second, year = int(found[1]), found[2], int(found[3]), found[4]
    if mark == "." or first > _MONTHS:
        day, month = first, second
    elif second > _MONTHS:
        day, month = second, first
    else:
        return f"{year}{first:02}{second:02}" if first == second else None
    return f"{year}{month:02}{day:02}"


def email(value: str) -> str | None:
    """
    Lower case; None without an @.

    >>> email(" Ada@Example.com "), email("ada")
    ('ada@example.com', None)
    """
    text = value.strip().casefold()
    return text if "@" in text[1:-1] else None


def phone(value: str) -> str | None:
    """
    Digits, without zeros before them.

    >>> phone("+49 (0)170 1234567"), phone("0049 170 1234567"), phone("12")
    ('491701234567', '491701234567', None)
    """
    digits = _NOT_A_DIGIT.sub("", value.replace("(0)", "")).lstrip("0")
    return digits if len(digits) >= _PHONE_DIGITS else None


def street(value: str) -> str | None:
    """
    Words, the usual ones shortened.

    >>> street("27 West 119th Street")
    '27 w 119th st'
    """
    text = words(value)
    return None if text is None else " ".join(_STREET.get(word, word) for word in text.split())


def joined(value: str) -> str | None:
    """
    Letters and digits alone.

    >>> joined("SW1A 1aa")
    'sw1a1aa'
    """
    text = words(value)
    return None if text is None else text.replace(" ", "")


_NORMALISERS: Final[Mapping[Kind, Callable[[str], str | None]]] = {
    Kind.GIVEN_NAME: words,
    Kind.FAMILY_NAME: words,
    Kind.ORGANISATION: words,
    Kind.DATE: date,
    Kind.EMAIL: email,
    Kind.PHONE: phone,
    Kind.STREET: street,
    Kind.POSTCODE: joined,
    Kind.CITY: words,
    Kind.CODE: joined,
}


def normal(kind: Kind, value: Any) -> str | None:
    """The value as it is compared; None if it says nothing. Numbers are read as they are written."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return _NORMALISERS[kind](str(value)[:_MOST])
