"""
The SQL of the profile store, each query with one line of purpose.

A `lateral … limit 1` looks each row up by index. A join would too, most of the time, but a planner that has not seen
a table grow may read all of it for every slice.
"""

from __future__ import annotations

LOCK = "select pg_try_advisory_lock($1)"
"""Become the writer of one name, unless another session is."""

SETTLE = """
set plan_cache_mode = force_custom_plan;
set work_mem = '32MB';
set temp_buffers = '32MB';
set idle_in_transaction_session_timeout = '60s';
set tcp_keepalives_idle = 5;
set tcp_keepalives_interval = 2;
set tcp_keepalives_count = 3;
create temporary table staged_profiles
    (id uuid, identity_graph jsonb, computed_traits jsonb, attributes jsonb, known bytea, state bytea,
    groups text[], consents jsonb, changed_at timestamptz, due_at timestamptz, moved boolean)
    on commit delete rows;
create temporary table staged_identifiers (identifier text collate "C", profile_id uuid) on commit delete rows;
create temporary table staged_members (audience text collate "C", profile_id uuid, number integer, since timestamptz)
    on commit delete rows;
alter table pg_temp.staged_profiles set (toast_tuple_target = 8160),
    alter column identity_graph set storage external, alter column computed_traits set storage external,
    alter column attributes set storage external, alter column known set storage external,
    alter column consents set storage external, alter column state set storage external;
"""
"""
Make a writer's session: plans for the tables as they are now, room to put a checkpoint down, and a server that
notices within seconds when the writer's machine is gone, so that the next writer gets the lock.
"""

TAKE_OVER = """
insert into public.checkpoint_writers as known (workspace_id, writer, epoch) values ($1, $2, 1)
on conflict (workspace_id, writer) do update set epoch = known.epoch + 1, opened_at = now()
returning epoch
"""
"""Begin an epoch: from now on the former writer of this name writes no more."""

MARKS = "select stream, partition, next_offset from public.checkpoints where workspace_id = $1 and writer = $2"
"""How far this name has read."""

PREPARE = "select public.event_stream_prepare($1)"
"""Have partitions for so many events more, and one beyond."""

FENCE = "select epoch from public.checkpoint_writers where workspace_id = $1 and writer = $2 for update"
"""Whose turn it is to write; nobody takes over before this transaction ends."""

WRITE_PROFILES = """
with returned as (
    select count(*) as number
    from pg_temp.staged_profiles as given cross join lateral (
        select from public.customer_profiles where id = given.id and merged_into is not null limit 1
    ) as known
),
written as (
    insert into public.customer_profiles as known
        (id, workspace_id, identity_graph, computed_traits, attributes, known, groups, consents, state, timestamp,
        due_at, number)
    select id, $1, identity_graph, computed_traits, attributes, known, groups, consents, state, changed_at, due_at,
        -- Whoever is new has it, and few others.
        case when known is not null then nextval('public.customer_profiles_number_seq') end
    from pg_temp.staged_profiles
    on conflict (id) do update
    set identity_graph = coalesce(excluded.identity_graph, known.identity_graph),
        attributes = coalesce(excluded.attributes, known.attributes),
        known = coalesce(excluded.known, known.known),
        groups = coalesce(excluded.groups, known.groups),
        consents = coalesce(excluded.consents, known.consents), number = coalesce(known.number, excluded.number),
        computed_traits = excluded.computed_traits, state = excluded.state, timestamp = excluded.timestamp,
        due_at = excluded.due_at, merged_into = null
    where known.workspace_id = excluded.workspace_id
    -- No transaction has replaced a row that is new.
    returning xmax = 0 as created
)
select count(*) as written, count(*) filter (where created) + (select number from returned) as people,
    (select number from returned) as returned
from written
"""
"""Write profiles; returns how many were written, how many people that makes more, and how many came back."""

EMPTY = "truncate pg_temp.staged_profiles, pg_temp.staged_members, pg_temp.staged_identifiers"
"""Make room for the next slice."""

CLAIM = """
insert into public.profile_identifiers (workspace_id, identifier, profile_id)
select $1, given.identifier, given.profile_id
from pg_temp.staged_identifiers as given
left join lateral (
    select profile_id from public.profile_identifiers where workspace_id = $1 and identifier = given.identifier limit 1
) as known on true
where known.profile_id is distinct from given.profile_id
order by given.identifier
on conflict (workspace_id, identifier) do update set profile_id = excluded.profile_id
"""
"""Give identifiers to profiles; those that stay where they are cost a look only."""

REMOVE_MEMBERS = """
delete from public.audience_members where ctid = any (array(
    select known.place
    from pg_temp.staged_profiles as given
    cross join lateral (
        select ctid as place, audience from public.audience_members
        where profile_id = given.id and workspace_id = $1 offset 0
    ) as known
    where given.moved and not exists (
        select from pg_temp.staged_members as member
        where member.profile_id = given.id and member.audience = known.audience
    )
))
"""
"""Take profiles out of the audiences that they are no longer in."""

ADD_MEMBERS = """
insert into public.audience_members (workspace_id, audience, profile_id, number, since)
select $1, given.audience, given.profile_id, given.number, given.since
from pg_temp.staged_members as given
left join lateral (
    select number, since from public.audience_members
    where workspace_id = $1 and audience = given.audience and profile_id = given.profile_id limit 1
) as known on true
where (known.number, known.since) is distinct from (given.number, given.since)
order by given.profile_id, given.audience
on conflict (workspace_id, audience, profile_id) do update set number = excluded.number, since = excluded.since
"""
"""Put profiles into the audiences that they are in; those that are there already cost a look only."""

SET_ASIDE = """
with given as (
    select *
    from unnest($2::text[], $3::integer[], $4::text[], $5::timestamptz[]) as given (identifier, profiles, event, at)
),
kept as (
    insert into public.set_aside_identifiers (workspace_id, identifier, profiles, event, at)
    select $1, given.* from given
    on conflict (workspace_id, identifier) do update
    set profiles = excluded.profiles, event = excluded.event, at = excluded.at
)
delete from public.profile_identifiers
where workspace_id = $1 and identifier in (select identifier from given)
"""
"""Set identifiers aside: they are listed, and nobody's."""

ALL_SET_ASIDE = """
select identifier, profiles, event, at from public.set_aside_identifiers where workspace_id = $1 order by identifier
"""
"""Every identifier that was set aside."""

ABSORB = """
with given as materialized (
    select lost, coalesce(next.keeper, given.keeper) as keeper
    from unnest($2::uuid[], $3::uuid[]) as given (lost, keeper)
    left join lateral (
        select merged_into as keeper from public.customer_profiles where id = given.keeper limit 1
    ) as next on true
),
people as (
    select count(*) as number
    from given cross join lateral (
        select from public.customer_profiles where id = lost and merged_into is null limit 1
    ) as known
),
written as (
    insert into public.customer_profiles as known
        (id, workspace_id, identity_graph, computed_traits, merged_into, timestamp)
    select lost, $1, '{"edges": [], "identifiers": []}', '{}', keeper, now() from given order by lost
    on conflict (id) do update
    set identity_graph = excluded.identity_graph, computed_traits = excluded.computed_traits, attributes = null,
        known = null, groups = null, state = null, due_at = null, merged_into = excluded.merged_into,
        timestamp = excluded.timestamp
    where known.workspace_id = excluded.workspace_id and known.merged_into is distinct from excluded.merged_into
    returning xmax = 0 as created
)
select count(*) filter (where created) + (select number from people) as merges, (select number from people) as people
from written
"""
"""Let profiles be absorbed; returns how many merges that makes more, and how many people less."""

SHORTEN = """
update public.customer_profiles as known set merged_into = last.keeper
from (
    select early.id, middle.keeper
    from unnest($2::uuid[]) as lost
    cross join lateral (select merged_into as keeper from public.customer_profiles where id = lost limit 1) as middle
    cross join lateral (select id from public.customer_profiles where merged_into = lost offset 0) as early
) as last
where known.workspace_id = $1 and known.id = last.id
"""
"""Lead what was merged into the absorbed profiles to their keepers, so that one step always arrives."""

LEAVE = "delete from public.audience_members where workspace_id = $1 and profile_id = any ($2::uuid[])"
"""Take absorbed profiles out of all audiences."""

MARK = """
with figures as (
    update public.checkpoint_writers
    set profiles = profiles + $3, merges = merges + $4, events = events + $5, rejected = rejected + $6
    where workspace_id = $1 and writer = $2
)
insert into public.checkpoints (workspace_id, writer, stream, partition, next_offset)
select $1, $2, given.* from unnest($7::text[], $8::integer[], $9::bigint[]) as given
on conflict (workspace_id, writer, stream, partition) do update set next_offset = excluded.next_offset, at = now()
"""
"""Note how far the writer has read, and what it added."""

LOAD = """
with found as (
    select profile_id as id from public.profile_identifiers where workspace_id = $1 and identifier = any ($2::text[])
    union
    select unnest($3::uuid[])
)
select known, state from public.customer_profiles
where workspace_id = $1 and state is not null and id in (
    select coalesce(profile.merged_into, profile.id)
    from found join public.customer_profiles as profile on profile.id = found.id
)
"""
"""Profiles that own one of the identifiers or have one of the ids, each once."""

LOAD_NAMED = """
with named as (
    select identifier as name, profile_id as id from public.profile_identifiers
    where workspace_id = $1 and identifier = any ($2::text[])
    union all
    select * from unnest($3::text[], $4::uuid[])
)
select named.name, owner.known, owner.state
from named
cross join lateral (
    select coalesce(merged_into, id) as id from public.customer_profiles
    where workspace_id = $1 and id = named.id limit 1
) as holder
cross join lateral (select known, state from public.customer_profiles where id = holder.id limit 1) as owner
where owner.state is not null
"""
"""The profile that each identifier or id leads to."""

DUE = """
select (extract(epoch from due_at) * 1000000)::bigint as at, id from public.customer_profiles
where workspace_id = $1 and due_at <= $2 and (due_at, id) > ($3, $4) order by due_at, id limit $5
"""
"""Whose instant has come, the earliest first."""

PEOPLE = """
select id from public.customer_profiles
where workspace_id = $1 and merged_into is null and id > $2 order by id limit $3
"""
"""Everybody, a page at a time."""

SEARCH = """
with matched as (
    select found.* from unnest($2::text[], $3::text[]) as wanted (low, high)
    cross join lateral (
        select identifier, profile_id from public.profile_identifiers
        where workspace_id = $1 and identifier >= wanted.low and identifier < wanted.high and identifier > $4
        order by identifier limit $5
    ) as found
    order by identifier limit $5
)
select matched.identifier, owner.known, owner.state
from matched
cross join lateral (
    select coalesce(merged_into, id) as id from public.customer_profiles where id = matched.profile_id limit 1
) as holder
cross join lateral (select known, state from public.customer_profiles where id = holder.id limit 1) as owner
where owner.state is not null
order by matched.identifier
"""
"""Identifiers within ranges, with the profile whose they are."""

MEMBERS = """
select member.profile_id, member.number, member.since, profile.known, profile.state
from (
    select profile_id, number, (extract(epoch from since) * 1000000)::bigint as since from public.audience_members
    where workspace_id = $1 and audience = $2 and profile_id > $3 order by profile_id limit $4
) as member
cross join lateral (select known, state from public.customer_profiles where id = member.profile_id limit 1) as profile
order by member.profile_id
"""
"""Who is in an audience, a page at a time."""

EVENTS_OF = """
with person as (
    select coalesce(merged_into, id) as id from public.customer_profiles where workspace_id = $1 and id = $2
),
parts as (
    select id from person
    union all
    select profile.id from public.customer_profiles as profile join person on profile.merged_into = person.id
)
select event.* from parts cross join lateral (
    select event_id, type, message_id, source, ingested_at, timestamp, user_id, anonymous_id, name, properties, context,
        integrations, extra, original_timestamp, sent_at, group_id, previous_id,
        properties_as_sent, context_as_sent, integrations_as_sent, extra_as_sent
    from public.event_stream
    where profile_id = parts.id and workspace_id = $1 and event_id < $4
    order by event_id desc limit $3
) as event
order by event_id desc limit $3
"""
"""The latest events of a profile and of those merged into it, each found by index."""

REJECTED = """
select rejected_id, source, received_at, code, reason, field, message_id, type, body, state, settled_at, correction
from public.rejected_events
where workspace_id = $1 and ($2::text is null or source = $2) and ($3::text is null or code = $3)
    and ($4::text is null or state = $4) and ($5::bigint[] is null or rejected_id = any($5))
    and ($6::text is null or event_type = $6) and ($7::text is null or user_id = $7 or anonymous_id = $7)
    and rejected_id < $8
order by rejected_id desc limit $9
"""
"""The latest rejected events."""

REJECTED_COUNTS = """
select source, code, state, count(*) as count from public.rejected_events where workspace_id = $1
group by source, code, state order by source, code, state
"""
"""How many rejected events there are of each kind."""

ASK_REPLAY = """
update public.rejected_events set state = 'waiting', correction = $8
where workspace_id = $1 and ($2::text is null or source = $2) and ($3::text is null or code = $3)
    and ($4::text is null or state = $4) and ($5::bigint[] is null or rejected_id = any($5))
    and ($6::text is null or event_type = $6) and ($7::text is null or user_id = $7 or anonymous_id = $7)
    and state = 'open'
returning rejected_id
"""
"""Have rejected events wait to be sent again."""

WAITING_REPLAYS = """
select rejected_id, source, received_at, code, reason, field, message_id, type, body, state, settled_at, correction
from public.rejected_events where workspace_id = $1 and state = 'waiting' order by rejected_id limit $2
"""
"""What waits to be sent again, the earliest first."""

SETTLE_REPLAY = """
update public.rejected_events
set state = case when $4::text is null then 'replayed' else 'open' end, settled_at = $3,
    code = coalesce($4, code), reason = coalesce($5, reason), field = case when $4::text is null then field else $6 end
where workspace_id = $1 and rejected_id = $2 and state = 'waiting'
"""
"""Note what became of a rejected event that was sent again."""

OWNERS = """
select owned.identifier, coalesce(profile.merged_into, profile.id) as profile
from public.profile_identifiers as owned join public.customer_profiles as profile on profile.id = owned.profile_id
where owned.workspace_id = $1
"""
"""Every identifier with the profile whose it is."""

REFUSED = """
select pair ->> 'rule' as rule, count(distinct (pair ->> 'a', pair ->> 'b')) as count,
    case when pair ->> 'rule' = 'undone' then array_agg(distinct array[pair ->> 'a', pair ->> 'b']) end as undone
from public.customer_profiles
cross join lateral jsonb_array_elements(identity_graph -> 'refused') as pair
where workspace_id = $1 and merged_into is null group by 1
"""
"""How many pairs each rule is against; both sides tell of a pair. Those that somebody has taken back by name."""

ACCEPTED = """
select distinct pair ->> 'a' as one, pair ->> 'b' as other
from public.customer_profiles
cross join lateral jsonb_array_elements(identity_graph -> 'edges') as pair
where workspace_id = $1 and merged_into is null and pair ->> 'rule' = 'accepted'
"""
"""Pairs of which somebody has said that they are of one person."""

MARKS_OF = """
select stream, partition, next_offset from public.checkpoints where workspace_id = $1 and writer = $2
"""
"""How far a writer has read."""

OVERVIEW = """
select coalesce(sum(profiles), 0)::bigint as profiles, coalesce(sum(merges), 0)::bigint as merges,
    coalesce(sum(events), 0)::bigint as events, coalesce(sum(rejected), 0)::bigint as rejected,
    (
        select array_agg(counted) from (
            select audience, count(*) as members from public.audience_members where workspace_id = $1 group by audience
        ) as counted
    ) as audiences,
    (
        select array_agg(mark) from (
            select writer, stream, partition, next_offset from public.checkpoints where workspace_id = $1
        ) as mark
    ) as marks
from public.checkpoint_writers where workspace_id = $1
"""
"""The workspace's figures, all as of one moment."""
