"""The vitals of a flow: what it did, how long that took, what it stumbled over; and how it goes on regardless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from obverse.core.durations import Durations
from obverse.flows.waiting import Queues
from obverse.ports.event_log import LogGap, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Fenced
from obverse.ports.runtime import Runtime

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Vitals:
    """What is told of a flow, since it began. Noted once a batch, never once a record."""

    turns: Durations = field(default_factory=Durations)
    """How long each batch, call or commit took."""
    records: Counter[str] = field(default_factory=Counter)
    """What went through it, by what became of it."""
    queues: Queues = field(default_factory=Queues)
    """What waits for it, where it looks for that itself."""
    interruptions: int = 0
    failure: str | None = None
    """Why it stands still; None while it goes on."""

    def interrupted(self, reason: str) -> None:
        """Note that it stands still."""
        self.interruptions += 1
        self.failure = reason


class Flow(Protocol):
    """Work that goes on for ever."""

    vitals: Vitals

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        ...


async def keep_on(
    work: Callable[[], Awaitable[None]],
    vitals: Vitals,
    runtime: Runtime,
    *,
    doing: str,
    pause: Callable[[], float] = lambda: 0.5,
) -> None:
    """
    Do work that never ends, again and again, whatever fails beneath it; until cancelled.

    What fails is told, noted in the vitals, and tried again after `pause` seconds, more or less. `doing` names the
    work in the log, as in "syncing".
    """
    while True:
        try:
            await work()
        except (Unreachable, AccessRefused, Fenced) as error:
            vitals.interrupted(str(error))
            _log.warning(f"{doing} interrupted", reason=vitals.failure)
        except (LogGap, UnknownMark) as error:
            vitals.interrupted(str(error))
            _log.error(f"the log is not whole, {doing} stands still", reason=vitals.failure)
        except Exception as error:  # noqa: BLE001 - a fault of ours must be seen, and must not end the flow in silence
            vitals.interrupted(f"{doing} failed ({type(error).__name__}: {error}); please report it")
            _log.exception(f"{doing} failed", reason=repr(error))
        # Jitter, so that many who lost one server do not come back as one.
        await runtime.sleep(pause() * (0.5 + runtime.random.random() / 2))
