"""Clocks that are wrong, or step: the time of an event is right all the same, and what is waited for is not moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collect_steps import WEB, Installation, collecting, source
from obverse.adapters.runtime.simulated import SimulatedRuntime
from obverse.core import times
from obverse.core.definitions import define
from wire_steps import GOOD

DAY = 86_400
MICRO = 1_000_000


def told(instant: int, clock_off: int) -> str:
    """An instant as a clock that is wrong by so many seconds tells it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant + clock_off * MICRO)).isoformat()


@pytest.mark.parametrize("server_off", [-3600, 0, 3600])
@pytest.mark.parametrize("client_off", [-7 * DAY, -61, 0, 61, 7 * DAY])
def test_what_happened_a_minute_ago_happened_a_minute_ago(server_off: int, client_off: int) -> None:
    async def test(here: Installation) -> None:
        assert isinstance(here.runtime, SimulatedRuntime)
        true = here.runtime.now()
        here.runtime.skew = float(server_off)
        item = {**GOOD, "timestamp": told(true - 60 * MICRO, client_off)}
        assert (await here.take({"batch": [item], "sentAt": told(true, client_off)}, WEB)).status == 200
        (event,) = await here.events()
        assert event.timestamp == event.received_at - 60 * MICRO
        assert event.received_at == true + server_off * MICRO
        assert event.original_timestamp == true + (client_off - 60) * MICRO

    collecting(test)


def test_an_event_from_the_future_counts_as_of_its_arrival_and_keeps_its_own_time() -> None:
    async def test(here: Installation) -> None:
        future = here.runtime.now() + 7 * DAY * MICRO
        await here.take({"batch": [{**GOOD, "timestamp": told(future, 0)}]}, WEB)
        (event,) = await here.events()
        assert event.timestamp == event.original_timestamp == future
        assert event.stamp.time == event.received_at

    collecting(test)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_step_of_the_servers_clock_moves_no_rate(step: float) -> None:
    async def test(here: Installation) -> None:
        assert isinstance(here.runtime, SimulatedRuntime)
        here.definitions = define(sources=[replace(source("web"), requests_per_second=2)])
        statuses = [(await here.take({"batch": [GOOD]}, WEB)).status for _ in range(3)]
        here.runtime.skew += step
        statuses += [(await here.take({"batch": [GOOD]}, WEB)).status]
        await here.runtime.sleep(0.5)
        statuses += [(await here.take({"batch": [GOOD]}, WEB)).status for _ in range(2)]
        assert statuses == [200, 200, 429, 429, 200, 429]

    collecting(test)


@pytest.mark.parametrize(
    ("leap", "after"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.250Z", "2017-01-01T00:00:00.250Z"),
        ("2017-01-01t00:59:60+01:00", "2017-01-01T00:00:00Z"),
        ("2015-06-30 23:59:60", "2015-07-01T00:00:00Z"),
    ],
)
def test_a_leap_second_is_the_second_after_it(leap: str, after: str) -> None:
    assert times.parse(leap) == times.parse(after)


@pytest.mark.parametrize(
    "text", ["2016-12-31T23:58:60Z", "2016-12-31T23:59:61Z", "T23:59:60", "23:59:60", ":60", "x:59:60"]
)
def test_what_is_no_leap_second_is_no_time(text: str) -> None:
    assert times.parse(text) is None
