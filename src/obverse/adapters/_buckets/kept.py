"""What came of items, put together again: each part once, in the order of the items' numbers. No I/O here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from obverse.adapters._buckets.items import Done, Folded, Row, Shown, Tick
from obverse.core.changes import Change
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import Decision
from obverse.ports.profile_rows import ProfileRow

_Numbered = TypeVar("_Numbered", bound=tuple[Any, ...])


class News:
    """What a record brought that had not come before."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self.changes: list[Change] = []
        """Of profiles that were shown with them."""
        self.nobodys: list[str] = []
        """Identifiers that were set aside."""


class Due:
    """What is to be written together: all that came of the items before one."""

    def __init__(self, tick: Tick) -> None:
        self.tick = tick
        self.rows: list[ProfileRow] = []
        self.absorbed: dict[bytes, bytes] = {}
        self.events: list[tuple[int, bytes, int, int, Event]] = []
        self.rejected: list[RejectedEvent] = []
        self.decisions: list[tuple[int, Decision]] = []
        self.groups: list[bytes] = []
        self.beside: list[Done] = []
        self.changes: list[Change] = []
        """Those that are still to be told."""


class Kept:
    """
    What has come of items so far.

    Engines tell what came of an item at least once, and those of several buckets in any order. Here each counts once;
    and what is due is all that came of the items before one, so that whoever writes it has the state at one moment.
    """

    def __init__(self, base: int) -> None:
        """All items with smaller numbers than `base` are done with."""
        self.base = base
        self._done: set[int] = set()
        self._parts: set[tuple[int, bytes]] = set()
        self._reached = base
        """All items before this one have come."""
        self._ticks: dict[int, Tick] = {}
        """By the number that they say all is routed before of, those that are ahead."""
        self._rows: dict[bytes, dict[int, Row]] = {}
        """By profile and number."""
        self._absorbed: list[tuple[int, bytes, bytes]] = []
        self._events: list[tuple[int, bytes, int, int, Event]] = []
        self._rejected: list[tuple[int, RejectedEvent]] = []
        self._decisions: list[tuple[int, int, Decision]] = []
        self._groups: list[tuple[int, bytes]] = []
        self._beside: list[tuple[int, Done]] = []
        self._shown: dict[bytes, int] = {}
        """Of each profile that was shown and is ahead, the number with which it was last."""
        self._unshown: dict[bytes, list[tuple[int, Change]]] = {}
        """Changes of profiles that were not shown since: whoever acts on one looks at who it is of."""

    @property
    def reached(self) -> Tick | None:
        """The latest tick before which everything has come; None if none is ahead."""
        latest = max((first for first in self._ticks if first <= self._reached), default=None)
        return None if latest is None else self._ticks[latest]

    @property
    def is_due(self) -> bool:
        """Whether there is something to take out."""
        return self._due_by() is not None

    def _due_by(self) -> Tick | None:
        """The latest tick of which all rows have come."""
        due = [tick for tick in self._ticks.values() if 0 < tick.keep <= self._reached]
        return max(due, key=lambda tick: tick.first, default=None)

    def take(self, folded: Folded) -> News:
        """Take in what came of some items; say what of it is new."""
        news = News()
        for row in folded.rows:
            if row.number >= self.base:
                self._rows.setdefault(row.row.id, {})[row.number] = row
        self._take_people(folded, news)
        self._events += self._fresh(folded.events)
        self._rejected += self._fresh(folded.rejected)
        self._groups += self._fresh(folded.groups)
        decisions = self._fresh(folded.decisions)
        self._decisions += decisions
        news.nobodys = [one.identifier for _, _, decision in decisions for one in decision.set_aside]
        beside = self._fresh(folded.beside)
        self._beside += beside
        news.nobodys += [identifier for _, done in beside for identifier in done.nobodys]
        for _, tick in folded.ticks:
            if tick.first >= self.base:
                self._ticks[tick.first] = tick
        done = self._done
        done.update(number for number in folded.done if number >= self.base)
        self._parts.update(one for one in folded.parts if one[0] >= self.base)
        while self._reached in done:
            self._reached += 1
        return news

    def _take_people(self, folded: Folded, news: News) -> None:
        for shown in folded.shown:
            if shown.number >= max(self.base, self._shown.get(shown.id, -1)):
                self._shown[shown.id] = shown.number
                news.shown.append(shown)
        for number, change in folded.changes:
            if self._is_new(number, change.profile):
                self._unshown.setdefault(change.profile, []).append((number, change))
        for number, lost, keeper in folded.absorbed:
            if self._is_new(number, lost):
                self._absorbed.append((number, lost, keeper))
                self._shown[lost] = number
        moved = (one.id for one in folded.shown), (one.profile for _, one in folded.changes)
        for one in dict.fromkeys((*moved[0], *moved[1], *(lost for _, lost, _ in folded.absorbed))):
            if one in self._unshown:
                news.changes += self._to_tell(one, self._shown.get(one, -1))

    def _to_tell(self, profile: bytes, latest: int) -> list[Change]:
        """Take out the changes of a profile up to a number."""
        waiting = self._unshown.pop(profile)
        later = [one for one in waiting if one[0] > latest]
        if later:
            self._unshown[profile] = later
        return [change for number, change in waiting if number <= latest]

    def _is_new(self, number: int, profile: bytes) -> bool:
        return number >= self.base and number not in self._done and (number, profile) not in self._parts

    def _fresh(self, some: Sequence[_Numbered]) -> list[_Numbered]:
        return [one for one in some if one[0] >= self.base and one[0] not in self._done]

    def due(self) -> Due | None:
        """Take out all that came of the items before the latest tick whose rows have come; None if there is none."""
        tick = self._due_by()
        if tick is None:
            return None
        base = tick.first
        due = Due(tick)
        claims = dict[str, tuple[int, bytes]]()
        found: list[tuple[int, ProfileRow]] = []
        for profile, rows in list(self._rows.items()):
            ready = [rows.pop(number) for number in sorted(rows) if number < base]
            if not ready:
                continue
            found.append((ready[-1].number, _joined(ready)))
            for one in ready:
                for identifier in one.row.identifiers:
                    claims[identifier] = max(claims.get(identifier, (-1, b"")), (one.number, profile))
            if not rows:
                del self._rows[profile]
        for _, row in sorted(found, key=lambda one: one[0]):
            theirs = [one for one in row.identifiers if claims[one][1] == row.id]
            due.rows.append(row if len(theirs) == len(row.identifiers) else replace(row, identifiers=theirs))
        due.absorbed = {lost: keeper for _, lost, keeper in _before(base, self._absorbed)}
        due.events = sorted(_before(base, self._events), key=lambda one: one[0])
        due.rejected = [one for _, one in sorted(_before(base, self._rejected), key=lambda one: one[0])]
        due.decisions = [(offset, decision) for _, offset, decision in _before(base, self._decisions)]
        due.decisions.sort(key=lambda one: one[0])
        due.beside = [one for _, one in _before(base, self._beside)]
        due.groups = [packed for _, packed in _before(base, self._groups)]
        due.changes = [change for one in list(self._unshown) for change in self._to_tell(one, base - 1)]
        self._absorbed = _behind(base, self._absorbed)
        self._events = _behind(base, self._events)
        self._rejected = _behind(base, self._rejected)
        self._decisions = _behind(base, self._decisions)
        self._groups = _behind(base, self._groups)
        self._beside = _behind(base, self._beside)
        self._advance(base)
        return due

    def _advance(self, base: int) -> None:
        self.base = base
        self._done = {number for number in self._done if number >= base}
        self._parts = {one for one in self._parts if one[0] >= base}
        self._ticks = {first: tick for first, tick in self._ticks.items() if first > base}
        self._shown = {profile: number for profile, number in self._shown.items() if number >= base}

    def is_ahead(self, profile: bytes) -> bool:
        """Whether something of this profile is not due yet."""
        return profile in self._shown


def _before(base: int, some: Iterable[_Numbered]) -> list[_Numbered]:
    return [one for one in some if one[0] < base]


def _behind(base: int, some: Iterable[_Numbered]) -> list[_Numbered]:
    return [one for one in some if one[0] >= base]


def _joined(rows: Sequence[Row]) -> ProfileRow:
    """One row that tells what these tell one after another."""
    last = rows[-1].row
    if len(rows) == 1:
        return last
    known, audiences = last.known, last.audiences
    identifiers = dict.fromkeys(identifier for one in rows for identifier in one.row.identifiers)
    for one in reversed(rows[:-1]):
        known = known or one.row.known
        audiences = one.row.audiences if audiences is None else audiences
    return replace(last, known=known, audiences=audiences, identifiers=tuple(identifiers))
