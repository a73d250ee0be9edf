"""Who has to come again later, while others are on their way into the log."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from obverse.flows.intake import Intake

MOST = 1 << 20


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def intake(clock: Clock) -> Intake:
    return Intake(clock, most_bytes=MOST, most_seconds=0.03)


def test_what_is_read_and_what_is_on_its_way_take_room(intake: Intake) -> None:
    assert not intake.crowded(MOST)
    intake.reading_bytes = 1000
    with intake.passing(24):
        assert intake.room == MOST - 1024
        assert intake.crowded(MOST - 1023)
        assert not intake.crowded(MOST - 1024)
    intake.reading_bytes = 0
    assert not intake.crowded(MOST)


@pytest.mark.parametrize(("waited", "refused"), [(0.0, False), (0.029, False), (0.031, True)])
def test_a_request_that_waited_too_long_for_us_is_refused(
    intake: Intake, clock: Clock, waited: float, *, refused: bool
) -> None:
    assert intake.crowded(1, clock.now - waited) is refused


def test_while_the_oldest_waits_too_long_for_the_log_nobody_joins(intake: Intake, clock: Clock) -> None:
    with ExitStack() as later:
        with intake.passing(300_000):
            later.enter_context(intake.passing(300_000))
            clock.now += 0.02
            younger = ExitStack()
            younger.enter_context(intake.passing(300_000))
            assert not intake.crowded(1)
            clock.now += 0.011
            assert intake.crowded(1)
        assert intake.crowded(1)  # the second is as old as the first
        later.close()
        assert not intake.crowded(1)  # the third is younger
        clock.now += 0.02
        assert intake.crowded(1)
        younger.close()
    assert not intake.crowded(1)


def test_little_may_wait_for_a_disk_that_stalls(intake: Intake, clock: Clock) -> None:
    with intake.passing(1000):
        clock.now += 10
        assert not intake.crowded(1)


def test_what_failed_is_on_its_way_no_longer(intake: Intake) -> None:
    with pytest.raises(RuntimeError), intake.passing(MOST):
        raise RuntimeError
    assert intake.room == MOST
