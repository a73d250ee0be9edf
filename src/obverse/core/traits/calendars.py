"""Calendars: days, weeks, months, quarters and years of a time zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from obverse.core import times

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)
_FIRST: Final = -2_208_988_800_000_000
"""1900-01-01."""
_LAST: Final = 253_339_228_800_000_000
"""9998-01-01: periods are found from the first of these instants to the last, and each has a next one."""


def _first_of_month(day: date, months: int) -> date:
    """The first day of the month so many after this day's."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def _months(length: int) -> Callable[[date], tuple[date, date]]:
    def period(day: date) -> tuple[date, date]:
        into = (day.month - 1) % length
        return _first_of_month(day, -into), _first_of_month(day, length - into)

    return period


def _week(day: date) -> tuple[date, date]:
    monday = day - day.weekday() * _DAY
    return monday, monday + 7 * _DAY


PERIODS: Final[Mapping[str, Callable[[date], tuple[date, date]]]] = {
    "day": lambda day: (day, day + _DAY),
    "week": _week,
    "month": _months(1),
    "quarter": _months(3),
    "year": _months(12),
}
"""The first day of the period that a day is in, and of the next one. Weeks begin on Monday."""


def zone_of(name: str) -> ZoneInfo | None:
    """
    Return a time zone by its name in the IANA database; None if there is none.

    >>> zone_of("Europe/Berlin"), zone_of("Europe/Atlantis"), zone_of("../secret")
    (zoneinfo.ZoneInfo(key='Europe/Berlin'), None, None)
    """
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return None


def zone_names() -> frozenset[str]:
    """The names of all time zones; to find them is slow."""
    return frozenset(available_timezones())


class Calendar:
    """One kind of period in one time zone."""

    def __init__(self, period: str, zone: ZoneInfo) -> None:
        """`period`: one of `PERIODS`."""
        self._days = PERIODS[period]
        self._zone = zone
        self._latest = (0, 0)
        """What was found last: it is mostly asked for again."""

    def period(self, instant: int) -> tuple[int, int]:
        """When the period that an instant is in begins, and when the next one does, in microseconds since 1970."""
        began, end = self._latest
        if not began <= instant < end:
            self._latest = began, end = self._find(min(max(instant, _FIRST), _LAST))
        return began, end

    def _find(self, instant: int) -> tuple[int, int]:
        day = times.to_datetime(instant).astimezone(self._zone).date()
        began, end = self._bounds(day)
        # Where a clock is set back at midnight, some of the next day comes before the rest of this one.
        if instant >= end:
            return end, self._bounds(self._days(day)[1])[1]
        if instant < began:
            return self._bounds(self._days(day)[0] - _DAY)[0], began
        return began, end

    def _bounds(self, day: date) -> tuple[int, int]:
        first, after = self._days(day)
        return self._midnight(first), self._midnight(after)

    def _midnight(self, day: date) -> int:
        # Where there is no midnight, since the clock is set forward then, this is when that happens.
        return (datetime(day.year, day.month, day.day, tzinfo=self._zone) - _EPOCH) // _MICROSECOND
