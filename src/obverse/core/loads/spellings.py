"""What columns are called: the usual spellings of what an event has."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

_IDS: Final = (
    "userid", "customerid", "customernumber", "customerno", "clientid", "memberid", "contactid", "personid",
    "kundennummer", "externalid", "uid",
)  # fmt: skip
_BARE_IDS: Final = ("id", "customer", "user")
"""Ids of a person in a file of people; in a file of what they did, the id of that."""
_ANONYMOUS: Final = ("anonymousid", "anonid", "deviceid", "visitorid", "cookieid")
_EVENTS: Final = ("event", "eventname", "eventtype", "action", "activity")
_TIMES: Final = ("timestamp", "occurredat", "eventtime", "eventtimestamp", "time", "datetime", "happenedat")
_TIMES_OF_PEOPLE: Final = ("updatedat", "lastmodified", "modifiedat", "lastupdated", "lastmodifieddate")
_TIMES_OF_EVENTS: Final = (
    "createdat", "date", "orderdate", "orderedat", "purchasedat", "purchasedate", "invoicedate", "paidat", "created",
    "bestelldatum", "datum",
)  # fmt: skip
_MESSAGES: Final = ("messageid", "eventid")
_EMAILS: Final = ("email", "emailaddress", "mail", "emailaddr", "useremail", "customeremail")
_RESERVED: Final = {
    name.casefold(): name
    for name in (
        "avatar", "birthday", "createdAt", "description", "email", "firstName", "gender", "lastName", "name", "phone",
        "title", "username", "website",
    )
}  # fmt: skip
"""Segment's reserved traits by their letters: any spelling of them is the one that templates and mappings expect."""
_LETTERS: Final = re.compile(r"[\W_]+")


def plain(name: str) -> str:
    """
    The letters and digits of a name.

    >>> plain("Customer ID"), plain("E-Mail")
    ('customerid', 'email')
    """
    return _LETTERS.sub("", name).casefold()


def _first(names: Sequence[str], spellings: Collection[str]) -> str | None:
    """The column whose spelling stands first in the list."""
    by_letters = {plain(name): name for name in reversed(names)}
    return next((by_letters[one] for one in spellings if one in by_letters), None)


def user_id(names: Sequence[str], *, people: bool) -> str | None:
    """The column that seems to hold the user id; `people`: whether each row is a person."""
    return _first(names, (*_IDS, *_BARE_IDS) if people else _IDS)


def anonymous_id(names: Sequence[str]) -> str | None:
    """The column that seems to hold the anonymous id."""
    return _first(names, _ANONYMOUS)


def event(names: Sequence[str]) -> str | None:
    """The column that seems to name what happened."""
    return _first(names, _EVENTS)


def message_id(names: Sequence[str]) -> str | None:
    """The column that seems to hold an id of each row."""
    return _first(names, _MESSAGES)


def timestamps(names: Sequence[str], *, people: bool) -> list[str]:
    """The columns that may say when it happened, the likeliest first."""
    spellings = (*_TIMES, *(_TIMES_OF_PEOPLE if people else _TIMES_OF_EVENTS))
    by_letters = {plain(name): name for name in reversed(names)}
    return [by_letters[one] for one in spellings if one in by_letters]


def trait(name: str) -> str:
    """
    What a column's values are called in the event: as the column, but in one spelling where there are many.

    >>> trait("E-Mail"), trait("First Name"), trait("Lifetime Value")
    ('email', 'firstName', 'Lifetime Value')
    """
    letters = plain(name)
    return "email" if letters in _EMAILS else _RESERVED.get(letters, name)
