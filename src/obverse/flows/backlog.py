"""What waits for the flows of a worker, and for how long; asked now and then, by whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from obverse.flows.waiting import Ends, Queues, Waiting, behind, seconds
from obverse.ports.engine import Engine
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outbox import Outbox
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.replays import Replays, ReplayStage
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import SyncQueue

PATIENCE: Final = 2.0
"""Seconds that asking may take: whoever watches a database that hangs must not hang too."""
_REPLAYS: Final = 100
"""Of the ledger, the latest that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Asks the log and the queues."""

    log: EventLog
    engine: Engine
    queue: SyncQueue
    outbox: Outbox
    rejected_marks: Callable[[], Mapping[int, int]]
    """How far rejected events are kept, by partition."""
    replays: Replays
    runtime: Runtime
    keeps: bool = True
    """Whether the engine keeps what is folded here: where it only decides, it is not known how far the fold is."""
    _ends: dict[str, Ends] = field(default_factory=dict)
    """By flow."""
    _ledger: Queues = field(default_factory=Queues)

    async def measure(self, flows: Container[str]) -> Sequence[Waiting]:
        """
        Return what could be learnt of these flows within `PATIENCE`; what cannot be reached is left out.

        Of flows that others do it is not known here how far they are.
        """
        found: list[Waiting] = []
        try:
            async with asyncio.timeout(PATIENCE):
                for flow, ask in self._asked().items():
                    if flow in flows:
                        async for one in ask():
                            found.append(one)  # noqa: PERF401 - what was learnt before a failure is told
        except (Unreachable, AccessRefused, TimeoutError):
            pass
        return found

    def _asked(self) -> Mapping[str, Callable[[], AsyncIterator[Waiting]]]:
        return {
            "unify": self._of_unify,
            "keep_rejected": self._of_rejected,
            "activate": self._of_activate,
            "deliver": self._of_deliver,
            "replaying": self._of_replaying,
        }

    async def _of_unify(self) -> AsyncIterator[Waiting]:
        if self.keeps:
            yield await self._of_stream("unify", Stream.EVENTS, self.engine.progress.folded)

    async def _of_rejected(self) -> AsyncIterator[Waiting]:
        yield await self._of_stream("keep_rejected", Stream.REJECTED, self.rejected_marks())

    async def _of_activate(self) -> AsyncIterator[Waiting]:
        yield await self._of_stream("activate", Stream.CHANGES, {0: await self.queue.mark()})
        for name, (_, figures) in (await self.queue.standings()).items():
            yield Waiting("activate", name, figures.waiting, seconds(figures.due_since, self.runtime.now()))

    async def _of_deliver(self) -> AsyncIterator[Waiting]:
        yield await self._of_stream("deliver", Stream.CHANGES, {0: await self.outbox.mark()})
        counts = await self.outbox.counts()
        queued = sum(by_status.get("queued", 0) for by_status in counts.values())
        yield Waiting("deliver", "messages", queued, seconds(await self.outbox.due_since(), self.runtime.now()))

    async def _of_replaying(self) -> AsyncIterator[Waiting]:
        ledger = await self.replays.page(limit=_REPLAYS)
        self._ledger.seen("replays", sum(one.state in _GOING_ON for one in ledger), self.runtime.now())
        for one in self._ledger.waiting("replaying", self.runtime.now()):
            yield one

    async def _of_stream(self, flow: str, stream: Stream, marks: Mapping[int, int]) -> Waiting:
        """What a flow that reads a stream has not come to yet."""
        ends = {one: end for one, (_, end) in (await self.log.bounds(stream)).items()}
        looks, now = self._ends.setdefault(flow, Ends()), self.runtime.now()
        looks.look(ends, now)
        looks.forget(marks)
        return Waiting(flow, stream, behind(ends, marks), seconds(looks.since(marks), now))


_GOING_ON: Final = frozenset({ReplayStage.PLANNING, ReplayStage.RUNNING})
"""What is planned by now waits for a person, not for us."""
