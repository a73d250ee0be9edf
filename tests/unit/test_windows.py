"""Windows: where clocks are set, and kinds of others whose states may not be shared."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from obverse.core import spans, times
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.calendars import PERIODS, Calendar
from obverse.core.traits.collections import Distinct, UniqueCount
from obverse.core.traits.kind import Takes
from obverse.core.traits.numbers import Count
from obverse.core.traits.windows import Sliding


def instant(text: str) -> int:
    found = times.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("zone", "period", "now", "began", "end"),
    [
        ("Europe/Berlin", "day", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "day", "2026-10-25T00:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("Europe/Berlin", "week", "2026-03-29T21:59:59Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("UTC", "week", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("UTC", "month", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("UTC", "quarter", "2026-12-31T23:59:59Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("Asia/Kathmandu", "year", "2025-12-31T18:15:00Z", "2025-12-31T18:15:00Z", "2026-12-31T18:15:00Z"),
        # There is no midnight: the clock is set from 00:00 to 01:00.
        ("America/Santiago", "day", "2024-09-08T05:00:00Z", "2024-09-08T04:00:00Z", "2024-09-09T03:00:00Z"),
        # A day that never was.
        ("Pacific/Apia", "day", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "day", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    ],
)
def test_a_period_begins_and_ends_when_clocks_there_say_so(
    zone: str, period: str, now: str, began: str, end: str
) -> None:
    found = Calendar(period, ZoneInfo(zone)).period(instant(now))
    assert [times.to_text(one) for one in found] == [began, end]


def test_a_day_of_which_an_hour_comes_twice_at_midnight_is_one_stretch_of_time() -> None:
    """In St. John's clocks were set back at a minute past midnight: the day began, and began again an hour later."""
    calendar = Calendar("day", ZoneInfo("America/St_Johns"))
    found, now = list[tuple[int, int]](), instant("2010-11-06T12:00:00Z")
    while now < instant("2010-11-09T00:00:00Z"):
        began, end = calendar.period(now)
        assert began <= now < end
        found += [] if (began, end) in found else [(began, end)]
        now += spans.MINUTE
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert [(end - began) // spans.HOUR for began, end in found] == [24, 25, 24]


@pytest.mark.parametrize("period", PERIODS)
def test_an_instant_at_either_end_of_time_breaks_nothing(period: str) -> None:
    calendar = Calendar(period, ZoneInfo("Pacific/Kiritimati"))
    for now in (times.EARLIEST, 0, times.LATEST):
        began, end = calendar.period(now)
        assert began < end


def test_each_window_has_its_step() -> None:
    for span, step in (
        (spans.HOUR, spans.MINUTE),
        (7 * spans.DAY, spans.MINUTE),
        (7 * spans.DAY + spans.HOUR, spans.HOUR),
        (92 * spans.DAY, spans.HOUR),
        (92 * spans.DAY + spans.HOUR, spans.DAY),
        (400 * spans.DAY, spans.DAY),
    ):
        window = Sliding(Count(), span)
        at = round(datetime(2026, 5, 5, 12, 34, 56, tzinfo=UTC).timestamp()) * 1_000_000
        state = window.add(window.start(), None, Stamp(at, "web", "m"), at)
        assert window.due(state) == (at // step + 1) * step + span


class Greedy:
    """A kind of somebody else, whose merge keeps the second list and adds to it what the first one has."""

    takes: ClassVar[Takes] = Takes.VALUE
    in_place: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def start(self) -> list[Any]:
        return []

    def add(self, state: list[Any], value: Any, stamp: Stamp) -> list[Any]:  # noqa: ARG002 - see `TraitKind.add`
        state.append(value)
        return state

    def merge(self, one: list[Any], other: list[Any]) -> list[Any]:
        other += one
        return other

    def read(self, state: list[Any]) -> list[Any]:
        return sorted(state)

    def pack(self, state: list[Any]) -> Any:
        return state

    def unpack(self, packed: Any) -> list[Any]:
        return list(packed)


def test_states_are_not_shared_with_a_kind_that_changes_what_it_merges() -> None:
    window = Sliding(Greedy(), spans.HOUR)
    state = window.start()
    for minute in range(3):
        now = minute * spans.MINUTE
        state = window.add(state, minute, Stamp(now, "web", "m"), now)
        assert window.read(state) == [*range(minute + 1)]
    for minute in range(3):
        window.advance(state, spans.HOUR + (minute + 1) * spans.MINUTE)
        assert window.read(state) == [*range(minute + 1, 3)]


def test_many_steps_that_leave_are_little_work_also_of_a_kind_that_cannot_take_away() -> None:
    merges = 0

    class Counted(UniqueCount):
        def merge(self, one: Distinct, other: Distinct) -> Distinct:
            nonlocal merges
            merges += 1
            return super().merge(one, other)

    window = Sliding(Counted(), 7 * spans.DAY)
    state, now = window.start(), 0
    for minute in range(5_000):
        now = minute * spans.MINUTE
        state = window.add(state, b"%d" % (minute // 100), Stamp(now, "web", "m"), now)
    leaves = 0
    while (due := window.due(state)) is not None and leaves < 500:
        window.advance(state, due)
        leaves += 1
        assert window.read(state) == 50 - leaves // 100
    assert merges < 5_000 + 150 * leaves
    # What comes late in the midst counts.
    window.add(state, b"-1", Stamp(2_500 * spans.MINUTE, "web", "late"), now)
    assert window.read(state) == 46
    window.advance(state, 7 * spans.DAY + 2_502 * spans.MINUTE)
    assert window.read(state) == 25


def test_many_steps_that_leave_one_by_one_are_no_work_each_for_all_that_stay() -> None:
    """Ten thousand orders, one a minute, and nobody who looked for a week: what leaves is taken away from the rest."""
    window = Sliding(Count(), 7 * spans.DAY)
    state, now = window.start(), 0
    for minute in range(10_000):
        now = minute * spans.MINUTE
        state = window.add(state, None, Stamp(now, "web", "m"), now)
    assert window.read(state) == 10_000
    merges = 0

    class Counted(Count):
        def merge(self, one: int, other: int) -> int:
            nonlocal merges
            merges += 1
            return super().merge(one, other)

    window = Sliding(Counted(), 7 * spans.DAY)
    while (due := window.due(state)) is not None:
        window.advance(state, due)
        window.read(state)
    assert (window.read(state), merges) == (0, 0)
