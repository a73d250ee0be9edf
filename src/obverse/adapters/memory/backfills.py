"""The latest backfill, and what it is computed from, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs

from obverse.adapters.memory.profile_tables import Tables
from obverse.core.history import PastEvent, PastPlace
from obverse.core.tracking_plans import is_noted
from obverse.ports.backfills import Backfill


class MemoryBackfills:
    """See `Backfills`."""

    _tables: Tables

    async def backfill(self) -> Backfill | None:
        """See `Backfills.backfill`."""
        return self._tables.backfill

    async def note_backfill(self, backfill: Backfill) -> None:
        """See `Backfills.note_backfill`."""
        self._tables.backfill = backfill

    async def told_of(
        self, people: Collection[bytes], calls: Collection[tuple[str, str | None]], *, limit: int, after: int = 0
    ) -> Sequence[PastEvent]:
        """See `Backfills.told_of`."""
        tables, wanted, meant = self._tables, set(people), set(calls)
        found = [
            structs.replace(one, profile=tables.keeper(profile))
            for profile, told in tables.events.items()
            if tables.keeper(profile) in wanted
            for one in told
            if one.id > after and not meant.isdisjoint({(one.event.type, None), (one.event.type, one.event.name)})
        ]
        return sorted(found, key=lambda one: one.id)[:limit]

    async def places_of(
        self, people: Collection[bytes], calls: Collection[tuple[str, str | None]], *, limit: int, after: int = 0
    ) -> Sequence[PastPlace]:
        """See `Backfills.places_of`."""
        return [
            PastPlace(one.id, one.profile, one.partition, one.offset, one.event if is_noted(one.event) else None)
            for one in await self.told_of(people, calls, limit=limit, after=after)
        ]
