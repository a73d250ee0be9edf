"""Whose events a part of the log held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from obverse.adapters.postgres.reading import Reading
from obverse.core.replays import Span

_LIMIT: Final = 900.0
"""Seconds: all events are looked at."""

# No index has places of the log: it would cost each event that comes, for what is asked a few times a year.
_PEOPLE_OF: Final = """
with told as (
    select distinct event.profile_id from public.event_stream as event
    join unnest($2::integer[], $3::bigint[], $4::bigint[]) as span (log_partition, first, before)
        on event.log_partition = span.log_partition
    where event.workspace_id = $1 and event.log_offset >= span.first and event.log_offset < span.before
)
select distinct coalesce(person.merged_into, person.id) as id
from told join public.customer_profiles as person on person.id = told.profile_id and person.workspace_id = $1
where $5::uuid is null or coalesce(person.merged_into, person.id) > $5
order by id limit $6
"""
"""The people of some spans, by one look at all events."""


class PostgresPeopleOfSpans(Reading):
    """See `PeopleOfSpans`."""

    async def people_of(
        self, spans: Mapping[int, Span], *, limit: int, after: bytes | None = None
    ) -> Sequence[bytes]:  # fmt: skip
        """See `PeopleOfSpans.people_of`."""
        rows = await self._read(
            _PEOPLE_OF,
            list(spans),
            [one.first for one in spans.values()],
            [one.before for one in spans.values()],
            None if after is None else UUID(bytes=after),
            limit,
            limit=_LIMIT,
        )
        return [row["id"].bytes for row in rows]
