"""Spans of time as people write them: `7 days`."""

from __future__ import annotations

import re
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
"""Microseconds."""
LONGEST: Final = 3650 * DAY

_UNITS: Final = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}
SPAN: Final = "([1-9][0-9]{0,7}) (second|minute|hour|day|week)s?"
"""How one is written, as a regular expression."""
_SPAN: Final = re.compile(SPAN, re.ASCII)

EXPECTED: Final = (
    "a number and a unit, such as `30 minutes`, `12 hours` or `7 days` (seconds to weeks; ten years at most)"
)


def parse(text: object) -> int | None:
    """
    Microseconds that a text spells; None if it spells no span, or one that is too long.

    >>> parse("7 days"), parse("1 hour"), parse("soon"), parse("9999 weeks")
    (604800000000, 3600000000, None, None)
    """
    found = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    span = int(found[1]) * _UNITS[found[2]]
    return span if span <= LONGEST else None


def to_text(span: int) -> str:
    """
    Write a span in the largest unit up to days that it is a whole number of.

    >>> to_text(604800000000), to_text(3600000000), to_text(5400000000)
    ('7 days', '1 hour', '90 minutes')
    """
    for name, unit in (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND)):
        if span % unit == 0:
            return f"{span // unit} {name}{'' if span == unit else 's'}"
    raise ValueError(f"{span} microseconds are no whole seconds")
