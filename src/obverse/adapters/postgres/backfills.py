"""The latest backfill, and what it is computed from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import msgspec

from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.profile_rows import unpack_event
from obverse.adapters.postgres.reading import Reading
from obverse.core.history import PastEvent, PastPlace
from obverse.core.tracking_plans import NOTE
from obverse.ports.backfills import Backfill, Phase

_BACKFILL: Final = "select version, marks, phase, names from public.backfills where workspace_id = $1"
"""The latest backfill."""

_NOTE: Final = """
insert into public.backfills (workspace_id, version, marks, phase, names) values ($1, $2, $3, $4, $5)
on conflict (workspace_id) do update
set version = excluded.version, marks = excluded.marks, phase = excluded.phase, names = excluded.names, noted_at = now()
"""
"""Put another one in its place."""

_PARTS: Final = """
with parts as (
    select one as id, one as owner from unnest($2::uuid[]) as one
    union all
    select id, merged_into from public.customer_profiles where merged_into = any ($2::uuid[]) and workspace_id = $1
)
"""
"""Some people, and those who are part of them by now."""

_WHICH: Final = """
    where profile_id = part.id and workspace_id = $1 and event_id > $3
        and (type = any ($4::text[]) or (type, name) in (select * from unnest($5::text[], $6::text[])))
    order by event_id limit $7
) as event
order by event_id limit $7
"""
"""The earliest events of these, each person's found by index."""

_WHOLE: Final = """
    event_id, log_partition, log_offset,
    type, message_id, source, ingested_at, timestamp, user_id, anonymous_id, name, properties, context,
    integrations, extra, original_timestamp, sent_at, group_id, previous_id,
    properties_as_sent, context_as_sent, integrations_as_sent, extra_as_sent
"""

_TOLD_OF: Final = f"""
{_PARTS}
select part.owner, event.* from parts as part cross join lateral (
    select {_WHOLE}
    from public.event_stream
{_WHICH}
"""  # noqa: S608 - our own texts
"""Events of some people."""

_PLACES_OF: Final = f"""
{_PARTS}
select part.owner, event.* from parts as part cross join lateral (
    select event_id, log_partition, log_offset, extra ? $8 as noted
    from public.event_stream
{_WHICH}
"""  # noqa: S608 - our own texts
"""Where the log had them, and whether a tracking plan has noted something on them."""

_NOTED: Final = f"""
select {_WHOLE} from public.event_stream where event_id = any ($2::bigint[]) and workspace_id = $1
"""  # noqa: S608 - our own texts
"""Events by their ids."""


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
        rows = await self._read(_TOLD_OF, *_asked(people, calls, limit, after))
        return [
            PastEvent(row["event_id"], row["owner"].bytes, row["log_partition"], row["log_offset"], unpack_event(row))
            for row in rows
        ]

    async def places_of(
        self, people: Collection[bytes], calls: Collection[tuple[str, str | None]], *, limit: int, after: int = 0
    ) -> Sequence[PastPlace]:
        """See `Backfills.places_of`."""
        rows = await self._read(_PLACES_OF, *_asked(people, calls, limit, after), NOTE)
        noted = [row["event_id"] for row in rows if row["noted"]]
        events = {row["event_id"]: unpack_event(row) for row in await self._read(_NOTED, noted)} if noted else {}
        return [
            PastPlace(
                row["event_id"],
                row["owner"].bytes,
                row["log_partition"],
                row["log_offset"],
                events.get(row["event_id"]),
            )
            for row in rows
        ]


def _asked(
    people: Collection[bytes], calls: Collection[tuple[str, str | None]], limit: int, after: int
) -> tuple[object, ...]:
    """Who and what is asked for, in the words of `_PARTS` and `_WHICH`."""
    named = [(tidy(kind), tidy(name)) for kind, name in calls if name is not None]
    return (
        [UUID(bytes=one) for one in people],
        after,
        [tidy(kind) for kind, name in calls if name is None],
        [kind for kind, _ in named],
        [name for _, name in named],
        limit,
    )
