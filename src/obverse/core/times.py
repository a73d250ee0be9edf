"""Instants as microseconds since 1970, to and from ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAP = re.compile(r"([Tt ]\d\d:59):60")
_END_OF_DAY = re.compile(r"([Tt ])24:00(?=(?::00(?:[.,]0+)?)?(?:[Zz+-]|$))")
_FIRST_DAY = _EPOCH.toordinal()

EARLIEST = -62_135_596_800_000_000
"""0001-01-01, the first instant that every part of the product can write down."""
LATEST = 253_402_300_799_999_999
"""9999-12-31, the last one."""


def parse(text: str) -> int | None:
    """
    Read an ISO 8601 instant; without a zone it is UTC. None if it is not one.

    A leap second is the second after it, as it is for every clock that knows none; 24:00 is the midnight that ends the
    day.

    >>> parse("1970-01-01T00:00:01Z"), parse("yesterday")
    (1000000, None)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.upper())  # RFC 3339 knows `t` and `z` as well
        except ValueError:
            return _beyond_clocks(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        since = moment - _EPOCH
    except OverflowError:
        return None
    # Three small products; a division of timedeltas costs three times as much.
    return clamp((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _beyond_clocks(text: str) -> int | None:
    """Read an instant that no clock shows but ISO 8601 knows: the second or the day after another one."""
    for spelling, instead, later in ((_LEAP, r"\1:59", 1_000_000), (_END_OF_DAY, r"\g<1>00:00", 86_400_000_000)):
        before = spelling.sub(instead, text, count=1)
        if before != text:
            earlier = parse(before)
            return None if earlier is None else clamp(earlier + later)
    return None


def clamp(instant: int) -> int:
    """The nearest instant that can be written down."""
    return instant if EARLIEST <= instant <= LATEST else min(max(instant, EARLIEST), LATEST)


def to_datetime(instant: int) -> datetime:
    """The instant in UTC."""
    return _EPOCH + timedelta(microseconds=clamp(instant))


def to_text(instant: int) -> str:
    """
    Write the instant in UTC, with no more digits than it has.

    >>> to_text(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    seconds, rest = divmod(clamp(instant), 1_000_000)
    day, second = divmod(seconds, 86_400)
    text = _day(day) + _MINUTES[second // 60] + _SECONDS[second % 60]
    return f"{text}.{rest:06}Z" if rest else text + "Z"


_MINUTES: Final = [f"T{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
_SECONDS: Final = [f"{second:02}" for second in range(60)]


@lru_cache(4096)
def _day(number: int) -> str:
    """Date of a day, counted from 1970."""
    return date.fromordinal(_FIRST_DAY + number).isoformat()
