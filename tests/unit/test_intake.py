"""Who has to come again later, while others are on their way into the log."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from obverse.flows.intake import Intake

MOST = 4 << 20


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


def read(intake: Intake, clock: Clock, size: int, seconds: float) -> None:
    """One request of `size` bytes, whose reading takes so long."""
    intake.begun(intake.whole(size))
    intake.measure(size)
    clock.now += seconds
    with intake.passing(size):
        pass


def test_who_would_wait_too_long_to_be_read_comes_again_later(intake: Intake, clock: Clock) -> None:
    for _ in range(500):
        read(intake, clock, 10_000, 0.001)
    waiting = []
    while not intake.crowded(10_000):
        waiting.append(intake.whole(10_000))
    assert len(waiting) == 31  # of a millisecond each, where 30 may be waited for
    assert intake.delay == pytest.approx(0.031, rel=0.01)
    intake.begun(waiting.pop())
    assert not intake.crowded(10_000)
    for size in waiting:
        intake.begun(size)
    assert intake.delay == 0


def test_a_reader_that_becomes_slower_lets_fewer_in(intake: Intake, clock: Clock) -> None:
    for _ in range(500):
        read(intake, clock, 10_000, 0.001)
    for _ in range(200):
        read(intake, clock, 10_000, 0.02)
    for _ in range(3):
        intake.whole(10_000)
    assert intake.crowded(1)


def test_one_long_wait_for_a_core_makes_no_slow_reader(intake: Intake, clock: Clock) -> None:
    for _ in range(500):
        read(intake, clock, 10_000, 0.001)
    read(intake, clock, 10_000, 0.5)
    for _ in range(20):
        intake.whole(10_000)
    assert not intake.crowded(1)


def test_what_it_waited_before_anybody_saw_it_counts(intake: Intake, clock: Clock) -> None:
    for _ in range(500):
        read(intake, clock, 10_000, 0.001)
    assert not intake.crowded(10_000, waited=0.029)
    assert intake.crowded(10_000, waited=0.031)
    for _ in range(20):
        intake.whole(10_000)
    assert not intake.crowded(10_000, waited=0.009)
    assert intake.crowded(10_000, waited=0.011)


def test_one_that_was_refused_while_it_was_read_says_nothing_of_the_next(intake: Intake, clock: Clock) -> None:
    for _ in range(500):
        read(intake, clock, 10_000, 0.001)
    intake.measure(10_000)  # and nothing comes of it
    clock.now += 100
    read(intake, clock, 10_000, 0.001)
    for _ in range(20):
        intake.whole(10_000)
    assert not intake.crowded(1)


def test_while_the_oldest_waits_too_long_for_the_log_nobody_joins(intake: Intake, clock: Clock) -> None:
    with ExitStack() as later:
        with intake.passing(600_000):
            later.enter_context(intake.passing(600_000))
            clock.now += 0.012
            younger = ExitStack()
            younger.enter_context(intake.passing(600_000))
            assert not intake.crowded(1)
            clock.now += 0.009
            assert intake.crowded(1)
        assert intake.crowded(1)  # the second is as old as the first
        later.close()
        assert not intake.crowded(1)  # the third is younger
        clock.now += 0.012
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
