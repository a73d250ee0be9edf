"""Unify: keep the engine running, whatever fails beneath it."""

from __future__ import annotations

from typing import Final

import structlog

from obverse.ports.engine import Engine
from obverse.ports.event_log import LogGap, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Fenced
from obverse.ports.runtime import Runtime

LONGEST: Final = 2.0
"""Seconds at most between two tries."""

_log = structlog.get_logger(__name__)


class Unify:
    """Runs an engine for ever: after a failure it starts from the last checkpoint."""

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        self._engine = engine
        self._runtime = runtime
        self.failure: str | None = None
        """Why folding stands still; None while it goes on."""

    async def run(self) -> None:
        """Fold, until cancelled."""
        wait = 0.1
        while True:
            before = self._engine.progress.events
            self.failure = None
            try:
                await self._engine.run()
            except (Unreachable, AccessRefused, Fenced) as error:
                self.failure = str(error)
                _log.warning("folding interrupted", reason=str(error))
            except (LogGap, UnknownMark) as error:
                self.failure = str(error)
                _log.error("the log is not whole, folding stands still", reason=str(error))
            except Exception as error:  # noqa: BLE001 - a fault of ours must be seen, and must not end the flow in silence
                self.failure = f"folding failed ({type(error).__name__}: {error}); please report it"
                _log.exception("folding failed", reason=repr(error))
            wait = 0.1 if self._engine.progress.events > before else min(wait * 2, LONGEST)
            # Jitter, so that many who lost one server do not come back as one.
            await self._runtime.sleep(wait * (0.5 + self._runtime.random.random() / 2))
