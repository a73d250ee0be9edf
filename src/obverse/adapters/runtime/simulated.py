"""A runtime whose time is virtual and whose order of work is drawn from a seed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from obverse.adapters.runtime.system import SystemRuntime
from obverse.ports.runtime import Work

Result = TypeVar("Result")

START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z in microseconds: where virtual time begins."""


class Deadlock(Exception):
    """Everybody waits and nothing can wake them."""


class SimulatedRuntime(SystemRuntime):
    """
    See `Runtime`. Sleeping costs no time, and the same seed gives the same run.

    Only what is in this process may be waited for: there is no network and no file underneath.
    """

    def __init__(self, loop: SimulatedLoop, seed: int) -> None:
        super().__init__()
        self.random = Random(seed)  # noqa: S311 - chance that can be repeated is the point
        self.trace: list[str] = []
        """What was started, and when: two runs of one seed have equal traces."""
        self.skew = 0.0
        """Seconds by which the wall clock is wrong: a step of it moves `now`, and never `elapsed`."""
        self._loop = loop

    def now(self) -> int:
        """See `Runtime.now`."""
        return START + round((self._loop.time() + self.skew) * 1_000_000)

    def elapsed(self) -> float:
        """See `Runtime.elapsed`."""
        return self._loop.time()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> Work:
        """See `Runtime.spawn`."""
        self.note(f"start {name}")
        return super().spawn(name, work)

    def note(self, what: str) -> None:
        """Write a line into the trace."""
        self.trace.append(f"{self._loop.time():.6f} {what}")


class SimulatedLoop(asyncio.BaseEventLoop):
    """asyncio's own loop over a clock that jumps to the next timer, and a seeded order of what is ready."""

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._selector = _NoSockets(self)
        self._elapsed = 0.0
        self._order = Random(seed)  # noqa: S311 - as above

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._elapsed += seconds

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets, so no events of theirs."""

    def _write_to_self(self) -> None:
        """No thread may wake this loop."""

    def run_in_executor(  # type: ignore[override]  # whatever a call takes
        self, _executor: Any, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """
        Do at once what others do in a thread beside.

        Virtual time would run away from a thread, which takes its time on a busy machine.
        """
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            done.set_exception(error)
        return done

    def _run_once(self) -> None:
        if len(self._ready) > 1:
            handles = list(self._ready)
            self._order.shuffle(handles)
            self._ready.clear()
            self._ready.extend(handles)
        super()._run_once()  # type: ignore[misc]  # a private method, the one place where order is decided


class _NoSockets:
    """Stands where a selector would: waiting is letting virtual time pass."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is ready, and no timer is set")
        self._loop.advance(max(timeout, 0.0))
        return []

    def close(self) -> None:
        pass


def simulate(seed: int, run: Any) -> tuple[Any, list[str]]:
    """
    Run `run(runtime)` to its end under a seed, and return (its result, the trace).

    Raises:
        Deadlock: everybody waited for somebody.
    """
    loop = SimulatedLoop(seed)
    runtime = SimulatedRuntime(loop, seed)
    try:
        result = loop.run_until_complete(run(runtime))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return result, runtime.trace
