"""What every `TraitKind` must prove over a window: it reads as if only what is in the window had ever come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import DICE, folded
from obverse.core import json_values, spans
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.calendars import Calendar
from obverse.core.traits.kind import Takes, TraitKind, is_approximate
from obverse.core.traits.windows import Periodic, Sliding, Windowed

NOON: Final = 1_774_785_600_000_000
"""2026-03-29T12:00:00Z, in microseconds since 1970: half a day after the clocks of Berlin were set."""
BERLIN: Final = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Told:
    """One event: what it brings, when it happened and when it came."""

    value: Any
    at: int
    now: int


@dataclass(frozen=True, slots=True)
class WindowCase:
    """A window, and by its definition whether what happened at one instant counts at another one."""

    name: str
    make: Callable[[TraitKind], Windowed]
    counts: Callable[[int, int], bool]
    reach: int
    """Microseconds about which it goes back."""


def _slides(name: str, span: int, step: int) -> WindowCase:
    return WindowCase(
        name, lambda kind: Sliding(kind, span), lambda at, now: (at // step + 1) * step + span > now, span
    )


def _same(name: str, zone: Any, part: Callable[[datetime], object], reach: int) -> WindowCase:
    def of(instant: int) -> object:
        return part(datetime.fromtimestamp(instant // 1_000_000, UTC).astimezone(zone))

    return WindowCase(
        name,
        lambda kind: Periodic(kind, Calendar(name.split(maxsplit=1)[0], zone if zone is not UTC else ZoneInfo("UTC"))),
        lambda at, now: of(at) == of(now),
        reach,
    )


WINDOWS: Final[Mapping[str, WindowCase]] = {
    one.name: one
    for one in (
        _slides("1 hour", spans.HOUR, spans.MINUTE),
        _slides("7 days", 7 * spans.DAY, spans.MINUTE),
        _slides("8 days", 8 * spans.DAY, spans.HOUR),
        _slides("93 days", 93 * spans.DAY, spans.DAY),
        _same("day in Berlin", BERLIN, lambda day: day.date(), spans.DAY),
        _same("week in UTC", UTC, lambda day: day.isocalendar()[:2], 7 * spans.DAY),
        _same("month in Berlin", BERLIN, lambda day: (day.year, day.month), 31 * spans.DAY),
        _same("quarter in Berlin", BERLIN, lambda day: (day.year, (day.month - 1) // 3), 92 * spans.DAY),
        _same("year in UTC", UTC, lambda day: day.year, 366 * spans.DAY),
    )
}
"""Every step, and every period of the calendar."""


class WindowedKindContract:
    """Subclass, name the kind and the values that events bring, and every law is tested over every window."""

    kind: TraitKind

    @abstractmethod
    def values(self) -> SearchStrategy[Any]:
        """As `TraitKindContract.values`."""

    def events(self, case: WindowCase, most: int = 12) -> SearchStrategy[list[Told]]:
        """Return events within a few times of what the window reaches back; some come late, some right at an edge."""
        near = st.sampled_from([0, 1, -1, spans.MINUTE, spans.HOUR, -spans.HOUR])
        times = st.builds(lambda part, off: NOON - case.reach * part // 8 + off, st.integers(0, 24), near)
        lateness = st.sampled_from([0, 0, 1, case.reach // 2, case.reach, 2 * case.reach])
        return st.lists(
            st.builds(lambda v, at, late: Told(v, at, at + late), self.values(), times, lateness), max_size=most
        )

    def folded(self, window: Windowed, events: Iterable[Told], state: Any = None, clock: int = 0) -> tuple[Any, int]:
        """Fold events as a profile does: first time goes on, then one is added. Return the state, and the time."""
        state = window.start() if state is None else state
        for one in events:
            clock = max(clock, one.now)
            self.go_on(window, state, clock)
            taken = self.kind.takes.of(one.value)
            if taken is not None or self.kind.takes is Takes.NOTHING:
                state = window.add(state, taken, Stamp(one.at, "web", "m"), clock)
        return state, clock

    def go_on(self, window: Windowed, state: Any, now: int) -> None:
        """Go through every instant at which something leaves, as a profile does."""
        while (due := window.due(state)) is not None and due <= now:
            window.advance(state, due)

    def reading(self, window: Windowed, state: Any) -> tuple[bytes, bool]:
        """Return what a state reads as, as JSON text, and whether that is approximate."""
        return json_values.encode(window.read(state)), is_approximate(window, state)

    def expected(self, case: WindowCase, events: Sequence[Told], now: int) -> tuple[bytes, bool]:
        """Return the same of a state to which only what counts was ever added, whatever the window."""
        counted = [(one.value, Stamp(one.at, "web", "m")) for one in events if case.counts(one.at, now)]
        state = folded(self.kind, counted)
        return json_values.encode(self.kind.read(state)), is_approximate(self.kind, state)

    @pytest.mark.parametrize("name", WINDOWS)
    @LAWS
    @given(st.data(), DICE)
    def test_it_reads_as_what_is_in_the_window(self, name: str, data: DataObject, dice: Random) -> None:
        case = WINDOWS[name]
        window, events = case.make(self.kind), data.draw(self.events(case))
        now = max([NOON, *(one.now for one in events)]) + data.draw(st.integers(0, 2 * case.reach))
        for order in (events, sorted(events, key=lambda one: one.now), shuffled_told(events, dice)):
            state, clock = self.folded(window, order)
            assert self.reading(window, state) == self.expected(case, events, clock)
            self.go_on(window, state, now)
            assert self.reading(window, state) == self.expected(case, events, now)

    @pytest.mark.parametrize("name", WINDOWS)
    @LAWS
    @given(st.data())
    def test_it_changes_when_it_is_due_and_not_before(self, name: str, data: DataObject) -> None:
        case = WINDOWS[name]
        window, events = case.make(self.kind), data.draw(self.events(case, most=5))
        state, clock = self.folded(window, events)
        for _ in range(len(events)):
            due = window.due(state)
            if due is None:
                break
            assert due > clock
            assert self.reading(window, state) == self.expected(case, events, due - 1)
            window.advance(state, due - 1)
            assert window.due(state) == due
            window.advance(state, due)
            assert self.reading(window, state) == self.expected(case, events, due)
        assert window.due(state) is None
        assert self.reading(window, state) == self.reading(window, window.start())

    @pytest.mark.parametrize("name", WINDOWS)
    @LAWS
    @given(st.data(), DICE)
    def test_what_was_kept_and_what_was_merged_reads_and_goes_on_the_same(
        self, name: str, data: DataObject, dice: Random
    ) -> None:
        case = WINDOWS[name]
        window, events, later = case.make(self.kind), data.draw(self.events(case)), data.draw(self.events(case, most=3))
        parts: list[list[Told]] = [[], [], []]
        for one in events:
            dice.choice(parts).append(one)
        states = [self.folded(window, part) for part in parts]
        whole, clock = states.pop()
        for state, time in states:
            clock = max(clock, time)
            whole = window.merge(whole, self.kept(window, state))
            self.go_on(window, whole, clock)
        assert self.reading(window, whole) == self.expected(case, events, clock)
        whole, clock = self.folded(window, later, self.kept(window, whole), clock)
        assert self.reading(window, whole) == self.expected(case, [*events, *later], clock)
        assert window.due(self.kept(window, whole)) == window.due(whole)

    def kept(self, window: Windowed, state: Any) -> Any:
        """Return the state as it comes back from where it was kept."""
        return window.unpack(msgspec.msgpack.decode(msgspec.msgpack.encode(window.pack(state))))


def shuffled_told(events: Sequence[Told], dice: Random) -> list[Told]:
    """Return the events in another order."""
    return dice.sample(list(events), len(events))
