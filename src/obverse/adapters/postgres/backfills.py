"""The latest backfill, and what it is computed from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import msgspec

from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.profile_rows import unpack_event
from obverse.adapters.postgres.reading import Reading
from obverse.core.history import PastEvent
from obverse.ports.backfills import Backfill, Phase

_BACKFILL: Final = "select version, marks, phase, names from public.backfills where workspace_id = $1"
"""The latest backfill."""

_NOTE: Final = """
insert into public.backfills (workspace_id, version, marks, phase, names) values ($1, $2, $3, $4, $5)
on conflict (workspace_id) do update
set version = excluded.version, marks = excluded.marks, phase = excluded.phase, names = excluded.names, noted_at = now()
"""
"""Put another one in its place."""

_TOLD_OF: Final = """
with parts as (
    select one as id, one as owner from unnest($2::uuid[]) as one
    union all
    select id, merged_into from public.customer_profiles where merged_into = any ($2::uuid[]) and workspace_id = $1
)
select part.owner, event.* from parts as part cross join lateral (
    select event_id, log_partition, log_offset,
        type, message_id, source, ingested_at, timestamp, user_id, anonymous_id, name, properties, context,
        integrations, extra, original_timestamp, sent_at, group_id, previous_id,
        properties_as_sent, context_as_sent, integrations_as_sent, extra_as_sent
    from public.event_stream
    where profile_id = part.id and workspace_id = $1 and event_id > $3
        and (type = any ($4::text[]) or (type, name) in (select * from unnest($5::text[], $6::text[])))
    order by event_id limit $7
) as event
order by event_id limit $7
"""
"""The earliest events of some people, each person's found by index."""


class PostgresBackfills(Reading):
    """See `Backfills`."""

    async def backfill(self) -> Backfill | None:
        """See `Backfills.backfill`."""
        for row in await self._read(_BACKFILL):
            marks = {int(part): offset for part, offset in msgspec.json.decode(row["marks"]).items()}
            return Backfill(row["version"], marks, Phase(row["phase"]), tuple(row["names"]))
        return None

    async def note_backfill(self, backfill: Backfill) -> None:
        """See `Backfills.note_backfill`."""
        marks = msgspec.json.encode({str(part): offset for part, offset in backfill.marks.items()}).decode()
        names = [tidy(one) for one in backfill.names]
        await self._read(_NOTE, backfill.version, marks, backfill.phase.value, names)

    async def told_of(
        self, people: Collection[bytes], calls: Collection[tuple[str, str | None]], *, limit: int, after: int = 0
    ) -> Sequence[PastEvent]:
        """See `Backfills.told_of`."""
        whole = [tidy(kind) for kind, name in calls if name is None]
        named = [(tidy(kind), tidy(name)) for kind, name in calls if name is not None]
        rows = await self._read(
            _TOLD_OF,
            [UUID(bytes=one) for one in people],
            after,
            whole,
            [kind for kind, _ in named],
            [name for _, name in named],
            limit,
        )
        return [
            PastEvent(row["event_id"], row["owner"].bytes, row["log_partition"], row["log_offset"], unpack_event(row))
            for row in rows
        ]
