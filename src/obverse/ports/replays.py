"""Port: the ledger of replays. What was asked to be sent again, what that would do, and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from obverse.core.replays import Report, Wanted


class ReplayStage(StrEnum):
    """Where a replay stands."""

    PLANNING = "planning"
    """It is found out what it would do."""
    PLANNED = "planned"
    """Nothing is done before somebody says so."""
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """It cannot be done, as the reason says."""
    CANCELLED = "cancelled"


OPEN = frozenset({ReplayStage.PLANNING, ReplayStage.PLANNED, ReplayStage.RUNNING})
"""From these a replay goes on, or is cancelled."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """One replay."""

    id: int
    """Grows in the order in which they were asked for."""
    wanted: Wanted
    by: str
    """Who asked."""
    asked_at: int
    """Microseconds since 1970, as are all times here."""
    state: ReplayStage = ReplayStage.PLANNING
    done: int = 0
    """People and changes that were gone through by now, of this step."""
    plan: Report | None = None
    confirmed_by: str | None = None
    result: Report | None = None
    reason: str | None = None
    """Why it was refused."""
    settled_at: int | None = None
    """When it was done, refused or cancelled."""


class NotOpen(Exception):
    """The replay is not where it could go on from; the message says where it is."""


class ReplaysWorker(Protocol):
    """The one that does a workspace's replays, until it is closed or its process ends."""

    async def next(self) -> Replay | None:
        """Return the replay that was asked for first among those that are planned or run; None if there is none."""
        ...

    async def progress(self, id_: int, done: int) -> bool:
        """Note how far a replay is; False, and nothing noted, if it was cancelled."""
        ...

    async def planned(self, id_: int, plan: Report) -> bool:
        """Note what a replay would do: it is `PLANNED` from now on; False, and nothing noted, if it was cancelled."""
        ...

    async def settle(
        self, id_: int, state: ReplayStage, *, at: int, result: Report | None = None, reason: str | None = None
    ) -> bool:
        """Note what became of a replay: done or refused; False, and nothing noted, if it was cancelled."""
        ...

    async def close(self) -> None:
        """Let the next worker in."""
        ...


class Replays(Protocol):
    """
    One workspace's ledger.

    Promises, proved for every adapter by `obverse.contracts.replays`:

    * one worker at a time;
    * what was noted is there for the next worker, through any crash;
    * a replay runs only after somebody has confirmed its plan; one that was cancelled never goes on;
    * nothing of it is of another workspace.

    Every method, of the worker too, raises `Unreachable` where nothing can be read or written now.
    """

    async def open_worker(self) -> ReplaysWorker:
        """Become the worker, waiting for the former one to go."""
        ...

    async def ask(self, wanted: Wanted, *, by: str, at: int) -> int:
        """Have a replay planned; return its id."""
        ...

    async def find(self, id_: int) -> Replay | None:
        """Return a replay."""
        ...

    async def page(self, *, limit: int, before: int | None = None) -> Sequence[Replay]:
        """Return replays, the latest first; of those with smaller ids than `before`, if it is given."""
        ...

    async def confirm(self, id_: int, *, by: str) -> Replay | None:
        """
        Have a replay that is planned run; return it as it is then, None if there is none.

        Raises:
            NotOpen: it is not planned.
        """
        ...

    async def cancel(self, id_: int, *, at: int) -> Replay | None:
        """
        Have a replay go no further; what it did stays done. Return it as it is then, None if there is none.

        Raises:
            NotOpen: it was settled.
        """
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...
