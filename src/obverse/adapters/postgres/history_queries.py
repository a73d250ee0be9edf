"""The SQL of what is kept of the past, and of events that wait, each query with one line of purpose."""

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
select distinct on (decided.log_offset) decided.log_offset, decided.packed
from related cross join lateral (
    select log_offset, packed from public.identity_decisions
    where workspace_id = $1 and profile_id = related.id
    union all
    select log_offset, packed from public.identity_decisions
    where workspace_id = $1 and beside @> array[related.id] and cardinality(beside) > 0
    offset 0
) as decided
order by decided.log_offset
"""
"""The decisions on a profile and on all that merges have ever tied to it, each looked up by index."""

PAST_EVENTS = """
select event.* from unnest($2::uuid[]) as part (id) cross join lateral (
    select event_id, profile_id, log_partition, log_offset,
        type, message_id, source, ingested_at, timestamp, user_id, anonymous_id, name, properties, context,
        integrations, extra, original_timestamp, sent_at, group_id, previous_id,
        properties_as_sent, context_as_sent, integrations_as_sent, extra_as_sent
    from public.event_stream
    where profile_id = part.id and workspace_id = $1 and event_id > $4 and ingested_at <= $3
    order by event_id limit $5
) as event
order by event_id limit $5
"""
"""The earliest events of some profiles that arrived by a time, each found by index."""

REMAINS = """
select person.known, person.state,
    (select count(*) from public.event_stream where workspace_id = $1 and profile_id = any ($2::uuid[])) as events,
    (
        select first.ingested_at from unnest($2::uuid[]) as part (id) cross join lateral (
            select event_id, ingested_at from public.event_stream
            where profile_id = part.id and workspace_id = $1 order by event_id limit 1
        ) as first
        order by first.event_id limit 1
    ) as since
from (select) as once left join public.customer_profiles as person
    on person.workspace_id = $1 and person.id = any ($2::uuid[]) and person.state is not null
"""
"""How many events of some profiles are kept, since when; and who of them are people."""

ASK_IDENTITY = """
insert into public.identity_requests (workspace_id, request_id, kind, one, other, asked_by, why, asked_at)
values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning place
"""
"""Have a request of identity wait, unless there is one of its id."""

WAITING_IDENTITY = """
select request_id, kind, one, other, asked_by, why, asked_at, done, detail from public.identity_requests
where workspace_id = $1 and done is null order by place limit $2
"""
"""Requests of identity that wait, in the order in which they were asked."""

IDENTITY_REQUEST = """
select request_id, kind, one, other, asked_by, why, asked_at, done, detail from public.identity_requests
where workspace_id = $1 and request_id = $2
"""
"""One request of identity."""

SETTLE_IDENTITY = """
update public.identity_requests as request set done = given.done, detail = given.detail
from unnest($2::text[], $3::boolean[], $4::text[]) as given (request_id, done, detail)
where request.workspace_id = $1 and request.request_id = given.request_id and request.done is null
"""
"""Note what became of requests of identity."""

MOVE_EVENTS = """
update public.event_stream as event set profile_id = given.profile_id
from unnest($2::bigint[], $3::uuid[]) as given (event_id, profile_id)
where event.event_id = given.event_id and event.workspace_id = $1
"""
"""Give events to another profile."""

RELEASE = "delete from public.profile_identifiers where workspace_id = $1 and identifier = any ($2::text[])"
"""Let identifiers be nobody's."""

ASK_EVENT = """
insert into public.waiting_events (workspace_id, message_id, source, type, packed) values ($1, $2, $3, $4, $5)
on conflict do nothing returning place
"""
"""Have an event wait, unless one of its message id was ever asked for."""

ASK_EVENTS = """
insert into public.waiting_events (workspace_id, message_id, source, type, packed)
select $1, one.message_id, one.source, one.type, one.packed
from unnest($2::text[], $3::text[], $4::text[], $5::bytea[]) with ordinality
    as one (message_id, source, type, packed, place)
order by one.place
on conflict do nothing
"""
"""Have many events wait, as above."""

FORGET_EVENTS = """
delete from public.waiting_events where workspace_id = $1 and source = $2 and appended_at < $3
"""
"""Forget events that were appended."""

WAITING_EVENTS = """
select packed from public.waiting_events where workspace_id = $1 and appended_at is null order by place limit $2
"""
"""Events that wait, in the order in which they were asked for."""

SETTLE_EVENT = """
update public.waiting_events set appended_at = $3 where workspace_id = $1 and message_id = $2 and appended_at is null
"""
"""Note that an event was appended."""
