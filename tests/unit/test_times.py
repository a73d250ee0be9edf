"""Instants are read from what SDKs send, and written so that they come back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.core import times

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00+0000", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01", 0),
        ("1970-01-01t00:00:01z", SECOND),
        ("1970-01-01T24:00:00Z", 86_400 * SECOND),
        ("1970-01-01 24:00", 86_400 * SECOND),
        ("1970-01-01T24:00:00.000+01:00", 82_800 * SECOND),
        ("1969-12-31T23:59:59Z", -SECOND),
        ("2024-02-29T23:59:59.999Z", 1_709_251_199_999_000),
        ("0001-01-01T00:00:00Z", times.EARLIEST),
        ("9999-12-31T23:59:59.999999Z", times.LATEST),
        ("0001-01-01T00:00:00+14:00", times.EARLIEST),
        ("9999-12-31T23:59:59.999999-14:00", times.LATEST),
    ],
)
def test_iso_8601_is_read(text: str, instant: int) -> None:
    assert times.parse(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1700000000",
        "1700000000000",
        "2024-13-01",
        "2023-02-29",
        "2024-01-01T25:00:00Z",
        "2024-01-01T00:00:00Z ",
        "0000-01-01",
        "-1",
        "\0",
        "\N{PILE OF POO}",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert times.parse(text) is None


@LAWS
@given(st.text(max_size=30) | st.text("0123456789-:TZ+. ", max_size=30))
def test_no_text_breaks_reading(text: str) -> None:
    instant = times.parse(text)
    assert instant is None or times.EARLIEST <= instant <= times.LATEST


@LAWS
@given(st.integers(times.EARLIEST, times.LATEST))
def test_an_instant_is_written_and_read_back(instant: int) -> None:
    text = times.to_text(instant)
    assert text.endswith("Z")
    assert times.parse(text) == instant
    assert times.to_datetime(instant) == datetime.fromisoformat(text)


def test_whole_seconds_are_written_without_a_fraction() -> None:
    assert times.to_text(0) == "1970-01-01T00:00:00Z"
    assert times.to_text(1) == "1970-01-01T00:00:00.000001Z"


def test_what_is_beyond_the_calendar_is_held_at_its_end() -> None:
    assert times.to_text(times.LATEST + SECOND) == "9999-12-31T23:59:59.999999Z"
    assert times.to_datetime(times.EARLIEST - 1) == datetime(1, 1, 1, tzinfo=UTC)
    assert times.clamp(5) == 5
