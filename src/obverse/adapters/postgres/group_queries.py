"""The SQL of groups, each query with one line of purpose."""

from __future__ import annotations

WRITE = """
insert into public.groups (workspace_id, group_id, attributes, packed, first_seen, changed_at)
select $1, given.group_id, given.attributes::jsonb, given.packed, given.first_seen, given.changed_at
from unnest($2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[])
    as given (group_id, attributes, packed, first_seen, changed_at)
on conflict (workspace_id, group_id) do update
set attributes = excluded.attributes, packed = excluded.packed, first_seen = excluded.first_seen,
    changed_at = excluded.changed_at
"""
"""Write groups."""

LOAD = "select packed from public.groups where workspace_id = $1 and group_id = any ($2::text[])"
"""Groups by their ids."""

PAGE = """
select packed from public.groups
where workspace_id = $1 and group_id >= $2 and ($3::text is null or group_id < $3) and group_id > $4
order by group_id limit $5
"""
"""Groups whose ids are within a range, a page at a time."""

MEMBERS = """
with member as materialized (
    select id from public.customer_profiles
    where workspace_id = $1 and groups @> array[$2::text] and cardinality(groups) > 0
)
select profile.known, profile.state
from (select id from member where id > $3 order by id limit $4) as page
cross join lateral (select known, state from public.customer_profiles where id = page.id limit 1) as profile
order by page.id
"""
"""
Who is a member of a group, a page at a time. All are found first, by index: a planner that thinks them many would look
through everybody in order of their ids.
"""

SIZE = """
select count(*) from public.customer_profiles
where workspace_id = $1 and groups @> array[$2::text] and cardinality(groups) > 0
"""
"""How many members a group has."""
