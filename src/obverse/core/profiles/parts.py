"""The small values that a profile is made of."""

from __future__ import annotations

from typing import Final, NamedTuple


class Sighting(NamedTuple):
    """When something was first shown, in microseconds since 1970, and by which event."""

    at: int
    event: str


class Membership(NamedTuple):
    """Where a profile stands to one audience."""

    member: bool
    number: int
    """How often it has entered."""
    since: int
    """Time of the event that made it enter or leave, in microseconds since 1970."""


NEVER: Final = 1 << 62
"""An instant that does not come."""

OUTSIDE: Final = Membership(member=False, number=0, since=0)
