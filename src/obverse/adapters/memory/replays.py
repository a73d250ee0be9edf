"""A ledger of replays in memory: for tests and for trying things out."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from obverse.core.replays import Report, Wanted
from obverse.ports.replays import OPEN, NotOpen, Replay, Replays, ReplayStage, ReplaysWorker
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReplaysSettings:
    """The `[replays.memory]` table of the settings file."""

    workspace: str = "main"


async def open_replays(settings: MemoryReplaysSettings, runtime: Runtime) -> Replays:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.replays:memory`. Each call opens an empty ledger of its own."""
    return MemoryReplays()


class MemoryReplays:
    """See `Replays`."""

    def __init__(self) -> None:
        self.kept: dict[int, Replay] = {}
        self.turn = asyncio.Lock()

    async def open_worker(self) -> ReplaysWorker:
        """See `Replays.open_worker`."""
        await self.turn.acquire()
        return MemoryReplaysWorker(self)

    async def ask(self, wanted: Wanted, *, by: str, at: int) -> int:
        """See `Replays.ask`."""
        one = Replay(id=len(self.kept) + 1, wanted=wanted, by=by, asked_at=at)
        self.kept[one.id] = one
        return one.id

    async def find(self, id_: int) -> Replay | None:
        """See `Replays.find`."""
        return self.kept.get(id_)

    async def page(self, *, limit: int, before: int | None = None) -> Sequence[Replay]:
        """See `Replays.page`."""
        return [one for one in reversed(self.kept.values()) if before is None or one.id < before][:limit]

    async def confirm(self, id_: int, *, by: str) -> Replay | None:
        """See `Replays.confirm`."""
        return self._go_on(id_, {ReplayStage.PLANNED}, state=ReplayStage.RUNNING, confirmed_by=by, done=0)

    async def cancel(self, id_: int, *, at: int) -> Replay | None:
        """See `Replays.cancel`."""
        return self._go_on(id_, OPEN, state=ReplayStage.CANCELLED, settled_at=at)

    def _go_on(self, id_: int, states: Collection[ReplayStage], **fields: Any) -> Replay | None:
        known = self.kept.get(id_)
        if known is None:
            return None
        if known.state not in states:
            raise NotOpen(f"it is {known.state}")
        return self.note(id_, **fields)

    def note(self, id_: int, **fields: Any) -> Replay:
        """Have a replay be otherwise."""
        self.kept[id_] = structs.replace(self.kept[id_], **fields)
        return self.kept[id_]

    async def close(self) -> None:
        """See `Replays.close`."""


class MemoryReplaysWorker:
    """See `ReplaysWorker`."""

    def __init__(self, of: MemoryReplays) -> None:
        self._of = of
        self._closed = False

    async def next(self) -> Replay | None:
        """See `ReplaysWorker.next`."""
        waiting = (ReplayStage.PLANNING, ReplayStage.RUNNING)
        return next((one for one in self._of.kept.values() if one.state in waiting), None)

    async def progress(self, id_: int, done: int) -> bool:
        """See `ReplaysWorker.progress`."""
        return self._note(id_, done=done)

    async def planned(self, id_: int, plan: Report) -> bool:
        """See `ReplaysWorker.planned`."""
        return self._note(id_, state=ReplayStage.PLANNED, plan=plan)

    async def settle(
        self, id_: int, state: ReplayStage, *, at: int, result: Report | None = None, reason: str | None = None
    ) -> bool:
        """See `ReplaysWorker.settle`."""
        return self._note(id_, state=state, settled_at=at, result=result, reason=reason)

    def _note(self, id_: int, **fields: Any) -> bool:
        known = self._of.kept.get(id_)
        if known is None or known.state not in OPEN:
            return False
        self._of.note(id_, **fields)
        return True

    async def close(self) -> None:
        """See `ReplaysWorker.close`."""
        if not self._closed:
            self._closed = True
            self._of.turn.release()
