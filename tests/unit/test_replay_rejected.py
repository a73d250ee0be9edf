"""What `obverse replay --rejected` says of events that it was to send, and did not."""

from __future__ import annotations

from obverse.apps.cli.replay import not_open


def test_each_that_is_named_and_not_open_is_told() -> None:
    told = not_open([17, 99, 18], [18])
    assert told is not None
    assert told.startswith("not sent: 17, 99: no rejected event of that number is open")


def test_nothing_is_told_if_all_were_sent_or_none_was_named() -> None:
    assert not_open([17], [17]) is None
    assert not_open([], [17, 18]) is None
