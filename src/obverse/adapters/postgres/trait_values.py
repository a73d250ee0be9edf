"""The values of traits: read from the profiles, from a part of their table's pages if there are many."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.connection import borrowed, trouble
from obverse.adapters.postgres.profile_rows import to_micros
from obverse.adapters.postgres.profile_writer import LOST
from obverse.adapters.postgres.reading import READ_LIMIT, Reading
from obverse.ports.trait_values import TraitSample, ValueCounts

LARGEST: Final = 32 << 20
"""Bytes of all values of one answer."""

EVERYBODY: Final = """
select count(*) from public.customer_profiles where workspace_id = $1 and merged_into is null
"""
# Always the same pages, so that figures do not move while nothing has.
COUNTED: Final = """
with people as materialized (
    select computed_traits from public.customer_profiles tablesample system ($3::float8) repeatable (0)
    where workspace_id = $1 and merged_into is null
)
select (select count(*) from people) as looked_at, t.name,
    count(*) filter (where jsonb_typeof(s.computed_traits -> t.name) <> 'null') as having
from unnest($2::text[]) as t (name) left join people as s on true
group by t.name
"""
SAMPLED: Final = """
with people as (
    select computed_traits -> $2::text as value, timestamp
    from public.customer_profiles tablesample system ($3::float8) repeatable (0)
    where workspace_id = $1 and merged_into is null
), measured as (
    select value, timestamp,
        sum(coalesce(octet_length(value::text), 0)) over (rows unbounded preceding) as size
    from people
)
select count(*) as looked_at, max(timestamp) filter (where jsonb_typeof(value) <> 'null') as newest,
    array_agg(value::text) filter (where jsonb_typeof(value) <> 'null') as values
from measured where size <= $4
"""


class PostgresTraitValues(Reading):
    """See `TraitValues`."""

    async def count_values(self, traits: Collection[str], *, most: int) -> ValueCounts:
        """See `TraitValues.count_values`."""
        names = {tidy(name): name for name in traits}
        everybody, rows = await self._look(COUNTED, most, list(names))
        having = {names[row["name"]]: row["having"] for row in rows}
        looked_at = rows[0]["looked_at"] if rows else 0
        return ValueCounts(everybody=everybody, looked_at=min(looked_at, everybody), having=having)

    async def sample_values(self, trait: str, *, most: int) -> TraitSample:
        """See `TraitValues.sample_values`."""
        everybody, (row,) = await self._look(SAMPLED, most, tidy(trait), LARGEST)
        return TraitSample(
            everybody=everybody,
            looked_at=row["looked_at"],
            values=[value.encode() for value in row["values"] or ()],
            newest=None if row["newest"] is None else to_micros(row["newest"]),
        )

    async def _look(self, query: str, most: int, wanted: Any, *more: Any) -> tuple[int, Any]:
        """How many there are, and what a query finds among about `most` of them."""
        try:
            async with (
                borrowed(self._readers, limit=READ_LIMIT) as reader,
                reader.transaction(isolation="repeatable_read", readonly=True),
            ):
                everybody = await reader.fetchval(EVERYBODY, self._workspace, timeout=READ_LIMIT)
                percent = min(100.0, 100 * most / max(1, everybody))
                return everybody, await reader.fetch(query, self._workspace, wanted, percent, *more, timeout=READ_LIMIT)
        except LOST as error:
            raise trouble(error, "look at the values of traits") from error
