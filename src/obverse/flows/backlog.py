"""What waits for the flows of a worker, and for how long; asked now and then, by whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from obverse.ports.engine import Engine
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outbox import Outbox
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import SyncQueue

PATIENCE: Final = 2.0
"""Seconds that asking may take: whoever watches a database that hangs must not hang too."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one queue of a flow."""

    flow: str
    queue: str
    """`events`, `changes`, `rejected`, `messages`, or the name of a connection."""
    count: int
    seconds: float | None = None
    """For how long the first of it has been due; None if that is not known, or nothing is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Asks the log and the queues."""

    log: EventLog
    engine: Engine
    queue: SyncQueue
    outbox: Outbox
    rejected_marks: Callable[[], Mapping[int, int]]
    """How far rejected events are kept, by partition."""
    runtime: Runtime

    async def measure(self) -> Sequence[Waiting]:
        """Return what could be learnt within `PATIENCE`; what cannot be reached is left out."""
        found: list[Waiting] = []
        try:
            async with asyncio.timeout(PATIENCE):
                async for one in self._all():
                    found.append(one)  # noqa: PERF401 - what was learnt before a failure is told
        except (Unreachable, AccessRefused, TimeoutError):
            pass
        return found

    async def _all(self) -> AsyncIterator[Waiting]:
        folded = self.engine.progress.folded
        events = {one: end for one, (_, end) in (await self.log.bounds(Stream.EVENTS)).items()}
        yield Waiting("unify", "events", sum(end - folded.get(one, 0) for one, end in events.items()))
        rejected, kept = await self.log.bounds(Stream.REJECTED), self.rejected_marks()
        waiting = sum(end - kept.get(one, 0) for one, (_, end) in rejected.items())
        yield Waiting("keep_rejected", "rejected", waiting)
        ((_, changes),) = (await self.log.bounds(Stream.CHANGES)).values()
        yield Waiting("activate", "changes", changes - await self.queue.mark())
        for name, (_, figures) in (await self.queue.standings()).items():
            yield Waiting("activate", name, figures.waiting, self._since(figures.due_since))
        yield Waiting("deliver", "changes", changes - await self.outbox.mark())
        counts = await self.outbox.counts()
        queued = sum(by_status.get("queued", 0) for by_status in counts.values())
        yield Waiting("deliver", "messages", queued, self._since(await self.outbox.due_since()))

    def _since(self, due: int | None) -> float | None:
        if due is None or due > self.runtime.now():
            return None
        return (self.runtime.now() - due) / 1_000_000
