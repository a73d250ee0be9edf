"""The archive of events: what closes a piece of it, and which events are left out once they are old."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from obverse.core.events import TYPES, Event

DAY: Final = 86_400_000_000
"""Microseconds."""


class Archived(msgspec.Struct, frozen=True, gc=False):
    """An event, and its place in the log."""

    offset: int
    appended_at: int
    """Microseconds since 1970."""
    event: Event


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events that are left out of the archive once they are old enough; what is not named is of any kind."""

    days: int
    """After their arrival."""
    type: str | None = None
    event: str | None = None
    """The name of a track, page or screen."""
    source: str | None = None

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError(f"days is {self.days}: an event is kept for a day at least")
        if self.type is not None and self.type not in TYPES:
            raise ValueError(f"type is {self.type!r}: use one of {', '.join(sorted(TYPES))}")

    def is_due(self, appended_at: int, now: int) -> bool:
        """Whether what was appended then is old enough."""
        return appended_at + self.days * DAY <= now

    def matches(self, event: Event) -> bool:
        """Whether it is of this kind."""
        return (
            (self.type is None or event.type == self.type)
            and (self.event is None or event.name == self.event)
            and (self.source is None or event.source == self.source)
        )

    @property
    def text(self) -> str:
        """The same for rules that say the same."""
        return msgspec.json.encode(self, order="deterministic").decode()


def due(rules: Iterable[Rule], appended_at: int, now: int, followed: Sequence[str] = ()) -> list[Rule]:
    """Rules that what was appended then has to follow, but for those that were followed."""
    return [rule for rule in rules if rule.is_due(appended_at, now) and rule.text not in followed]


def period_of(appended_at: int, hours: int) -> int:
    """
    When the period began in which this was appended, in microseconds since 1970.

    >>> period_of(3 * 3_600_000_000 + 5, hours=2) // 3_600_000_000
    2
    """
    width = hours * 3_600_000_000
    return appended_at - appended_at % width
