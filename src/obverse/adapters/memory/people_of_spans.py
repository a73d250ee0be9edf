"""Whose events a part of the log held, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obverse.adapters.memory.profile_tables import Tables
from obverse.core.replays import Span

_NONE = Span(0, 0)


class MemoryPeopleOfSpans:
    """See `PeopleOfSpans`."""

    _tables: Tables

    async def people_of(
        self, spans: Mapping[int, Span], *, limit: int, after: bytes | None = None
    ) -> Sequence[bytes]:  # fmt: skip
        """See `PeopleOfSpans.people_of`."""
        tables = self._tables
        found = {
            tables.keeper(profile)
            for profile, told in tables.events.items()
            for one in told
            if (span := spans.get(one.partition, _NONE)).first <= one.offset < span.before
        }
        return sorted(one for one in found if after is None or one > after)[:limit]
