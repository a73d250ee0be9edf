"""Unify keeps an engine running, and tells why it stands still."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import pytest

from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.flows.unify import Unify
from obverse.ports.engine import Engine, Progress
from obverse.ports.event_log import LogGap, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Fenced


class Failing:
    """An engine that fails so many times and then runs on."""

    def __init__(self, runtime: SimulatedRuntime, failure: Callable[[], Exception], times: int) -> None:
        self.progress = Progress()
        self.began: list[float] = []
        self._runtime, self._failure, self._times = runtime, failure, times

    async def run(self) -> None:
        self.began.append(self._runtime.elapsed())
        if len(self.began) <= self._times:
            raise self._failure()
        await self._runtime.sleep(1e9)


@pytest.mark.parametrize(
    "failure",
    [
        lambda: Unreachable("no log"),
        lambda: AccessRefused("no role"),
        lambda: Fenced("another one"),
        lambda: LogGap("offsets 3 to 5"),
        lambda: UnknownMark("before what is kept"),
        lambda: ValueError("a fault of ours"),
    ],
)
def test_whatever_fails_is_told_and_tried_again(failure: Callable[[], Exception]) -> None:
    async def run(runtime: SimulatedRuntime) -> tuple[str | None, str | None, int]:
        engine = Failing(runtime, failure, times=3)
        unify = Unify(cast("Engine", engine), runtime)
        work = runtime.spawn("unify", unify.run())
        await runtime.sleep(0.01)
        first = unify.vitals.failure
        await runtime.sleep(60)
        last = unify.vitals.failure
        await work.stop()
        return first, last, len(engine.began)

    (first, last, began), _ = simulate(1, run)

    assert first is not None
    assert str(failure()) in first
    assert (last, began) == (None, 4)


def test_tries_come_less_and_less_often_until_something_is_folded() -> None:
    async def run(runtime: SimulatedRuntime) -> list[float]:
        engine = Failing(runtime, lambda: Unreachable("no log"), times=30)
        work = runtime.spawn("unify", Unify(cast("Engine", engine), runtime).run())
        await runtime.sleep(40)
        await work.stop()
        return engine.began

    began, _ = simulate(1, run)
    waits = [later - earlier for earlier, later in pairwise(began)]

    assert waits[0] < 0.3
    assert all(0.9 < wait <= 2.1 for wait in waits[6:])
