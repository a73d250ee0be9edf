"""What is called a flaw where several times too much comes, and a consumer that is slow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from obverse.apps.bench.holding import held, slowed
from obverse.apps.bench.overload import _flaws
from obverse.apps.bench.phases import Phase


def phase(rate: int, accepted: float, *, refused: int = 0, memory: tuple[int, ...] = (40,)) -> Phase:
    """Ten seconds in which everything was sent, and what was accepted took so many seconds each."""
    one = Phase(rate, 10, memory=list(memory))
    one.began, one.ended = 100.0, 110.0
    batches = rate // 2 - refused
    one.accepted.extend([accepted] * batches)
    one.refused.extend([0.01] * refused)
    one.statuses.update({200: batches, 429: refused})
    return one


def test_overload_that_is_refused_and_the_rest_answered_in_time_is_none() -> None:
    assert _flaws(phase(100, 0.01), phase(400, 0.149, refused=30), 20, 0) == []


@pytest.mark.parametrize(
    ("much", "unexplained", "flaw"),
    [
        (phase(400, 0.151, refused=30), 0, "answers to 400 events a second took 151 ms at the 99th percentile"),
        (phase(400, 0.01, refused=30), 7, "7 refusals did not say when to come again"),
        (phase(400, 0.01, refused=30, memory=(40, 51)), 0, "the collector grew from 40 to 51 bytes"),
        (phase(400, 0.01), 0, "400/s is no overload"),
    ],
)
def test_what_was_promised_and_not_kept_is_a_flaw(much: Phase, unexplained: int, flaw: str) -> None:
    (told,) = _flaws(phase(100, 0.01), much, 20, unexplained)
    assert told.startswith(flaw)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def is_in(pid: int, *states: str) -> None:
    async with asyncio.timeout(10):
        while state(pid) not in states:  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.005)


async def test_who_is_slowed_stands_still_and_goes_on_again_and_again() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        with held(process.pid):
            await is_in(process.pid, "T")
        await is_in(process.pid, "S")
        async with slowed(process.pid, turn=0.1) as stood:
            for _ in range(2):
                await is_in(process.pid, "T")
                await is_in(process.pid, "S")
            await is_in(process.pid, "T")
        await is_in(process.pid, "S")
        assert stood.seconds >= 2 * 0.075
    finally:
        process.kill()
        await process.wait()
