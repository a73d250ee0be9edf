"""Unify: keep the engine running, whatever fails beneath it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.engine import Engine
from obverse.ports.runtime import Runtime

SHORTEST: Final = 0.1
LONGEST: Final = 2.0
"""Seconds between two tries."""


class Unify:
    """Runs an engine for ever: after a failure it starts from the last checkpoint."""

    def __init__(
        self, engine: Engine, runtime: Runtime, *, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Before each run `prepare` is waited for."""
        self._engine = engine
        self._runtime = runtime
        self._prepare = prepare
        self._wait = SHORTEST
        self._before = 0
        self.vitals = Vitals()

    async def run(self) -> None:
        """Fold, until cancelled."""
        await keep_on(self._run, self.vitals, self._runtime, doing="folding", pause=self._pause)

    async def _run(self) -> None:
        self._before = self._engine.progress.events
        self.vitals.failure = None
        if self._prepare is not None:
            await self._prepare()
        await self._engine.run()

    def _pause(self) -> float:
        got_on = self._engine.progress.events > self._before
        self._wait = SHORTEST if got_on else min(self._wait * 2, LONGEST)
        return self._wait
