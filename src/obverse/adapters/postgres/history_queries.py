"""The SQL of what is kept of the past, each query with one line of purpose."""

from __future__ import annotations

DECIDED = "select coalesce(max(log_offset) + 1, 0) as decided from public.identity_decisions where workspace_id = $1"
"""How many decisions are kept, by the place of the last one."""

DECISIONS_OF = """
with recursive related as (
    select $2::uuid as id
    union
    select other.id from related cross join lateral (
        select unnest(absorbed) as id from public.identity_decisions
        where workspace_id = $1 and profile_id = related.id and cardinality(absorbed) > 0
        union all
        select profile_id from public.identity_decisions
        where workspace_id = $1 and absorbed @> array[related.id] and cardinality(absorbed) > 0
    ) as other
)
select decided.log_offset, decided.packed
from related cross join lateral (
    select log_offset, packed from public.identity_decisions
    where workspace_id = $1 and profile_id = related.id offset 0
) as decided
order by decided.log_offset
"""
"""The decisions on a profile and on all that merges have ever tied to it, each looked up by index."""
