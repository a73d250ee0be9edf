"""Port: how far definitions on their way are computed from history, and that history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from obverse.core.history import PastEvent, PastPlace


class Phase(StrEnum):
    """Where a backfill stands."""

    FILLING = "filling"
    """Traits are computed from history, unseen."""
    TURNING = "turning"
    """They are, for everybody; now everybody is judged by them."""
    DONE = "done"


class Backfill(msgspec.Struct, frozen=True):
    """How definitions of one version are computed from history."""

    version: int
    marks: Mapping[int, int]
    """By partition of the log, the offset from which on they are folded as events come; what is before is history."""
    phase: Phase = Phase.FILLING
    names: Sequence[str] = ()
    """Traits whose value it may change."""


class Backfills(Protocol):
    """The part of a `ProfileStore` that remembers the latest backfill, and tells of people's events."""

    async def backfill(self) -> Backfill | None:
        """
        Return the latest one, None before the first.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def note_backfill(self, backfill: Backfill) -> None:
        """
        Remember this one instead of the one before.

        Raises:
            Unreachable: nothing is known; read, and note it again.
        """
        ...

    async def told_of(
        self, people: Collection[bytes], calls: Collection[tuple[str, str | None]], *, limit: int, after: int = 0
    ) -> Sequence[PastEvent]:
        """
        Return events of some people, in the order of the fold: those of these types and names (None: of any name).

        Those of profiles that were merged into one of them are told as the keeper's. `after` is an event id: only later
        ones are returned.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def places_of(
        self, people: Collection[bytes], calls: Collection[tuple[str, str | None]], *, limit: int, after: int = 0
    ) -> Sequence[PastPlace]:
        """
        Return where the log had the events that `told_of` tells, in the same order.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
