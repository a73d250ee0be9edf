"""
The SQL of the queues of syncs. $1 is the workspace, $2 the connection, unless it is said otherwise.

A worker, collectors and the api write at once. Whoever writes several rows locks records before tasks, and each by
profile; else two would wait for each other, and PostgreSQL would end one of them after a second.
"""

from __future__ import annotations

MARK = "select next_offset from public.sync_marks where workspace_id = $1"

MOVE_MARK = """
insert into public.sync_marks (workspace_id, next_offset) values ($1, $2)
on conflict (workspace_id) do update set next_offset = excluded.next_offset
"""

_POKE = """
on conflict (workspace_id, connection, profile_id) do update
set poke = known.poke + 1, due_at = excluded.due_at, tries = 0, died_at = null, fields = '{}'
"""

PUT = f"""
insert into public.sync_queue as known (workspace_id, connection, profile_id, due_at)
select $1, $2, profile_id, $4 from unnest($3::uuid[]) as touched (profile_id) order by profile_id
{_POKE}
"""  # noqa: S608 - a part of our own

_TASK = "profile_id, poke, due_at, tries, attempts, died_at, fields"

DUE = f"""
select {_TASK} from public.sync_queue
where workspace_id = $1 and connection = $2 and died_at is null and due_at <= $3 order by due_at limit $4
"""  # noqa: S608 - as above

NEXT_DUE = """
select min(due_at) as due_at from public.sync_queue where workspace_id = $1 and connection = $2 and died_at is null
"""

CLOCK_SET = """
with later as materialized (
    select profile_id from public.sync_queue
    where workspace_id = $1 and connection = $2 and died_at is null and due_at > $4 and tries >= $5
    order by profile_id for update
)
update public.sync_queue as task set due_at = due_at + $3::interval
from later where task.workspace_id = $1 and task.connection = $2 and task.profile_id = later.profile_id
"""
"""What was queued since by those who read the new time is as it should be, and was not tried."""

PAGE_TASKS = f"""
select {_TASK} from public.sync_queue
where workspace_id = $1 and connection = $2 and (died_at is not null) = $3 and profile_id > $4
order by profile_id limit $5
"""  # noqa: S608 - as above

RETRY = """
with dead as materialized (
    select profile_id from public.sync_queue
    where workspace_id = $1 and connection = $2 and died_at is not null
        and ($3::uuid[] is null or profile_id = any ($3))
    order by profile_id for update
)
update public.sync_queue as task set poke = poke + 1, due_at = $4, tries = 0, died_at = null, fields = '{}'
from dead where task.workspace_id = $1 and task.connection = $2 and task.profile_id = dead.profile_id
returning task.profile_id
"""

LOCK_RECORDS = """
select from public.sync_records
where workspace_id = $1 and connection = $2 and (profile_id = any ($3::uuid[]) or record_id = any ($4::text[]))
order by profile_id for update
"""

LOCK_TASKS = """
select from public.sync_queue where workspace_id = $1 and connection = $2 and profile_id = any ($3::uuid[])
order by profile_id for update
"""

BEGIN = """
insert into public.sync_records as known (workspace_id, connection, profile_id, email, sending)
select $1, $2, given.* from unnest($3::uuid[], $4::text[], $5::jsonb[]) as given (profile_id, email, sending)
order by given.profile_id
on conflict (workspace_id, connection, profile_id) do update
set email = excluded.email, sending = known.sending || excluded.sending
"""

CARRY_OVER = """
update public.sync_records as own set record_id = other.record_id, known = other.known
from unnest($3::uuid[], $4::text[]) as written (profile_id, record_id)
join public.sync_records as other on other.workspace_id = $1 and other.connection = $2
    and other.record_id = written.record_id and other.profile_id <> written.profile_id
where own.workspace_id = $1 and own.connection = $2 and own.profile_id = written.profile_id
    and own.record_id is distinct from written.record_id
"""
"""What was told of a record while it was written for another profile is known of it still."""

TAKE_OVER = """
delete from public.sync_records as other
using unnest($3::uuid[], $4::text[]) as written (profile_id, record_id)
where other.workspace_id = $1 and other.connection = $2
    and other.record_id = written.record_id and other.profile_id <> written.profile_id
"""
"""A record is one profile's: the one that it was written for last."""

WRITE = """
insert into public.sync_records as former (workspace_id, connection, profile_id, record_id, email, known, earlier,
    synced_at)
select $1, $2, given.*
from unnest($3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::timestamptz[])
    as given (profile_id, record_id, email, known, earlier, synced_at)
order by given.profile_id
on conflict (workspace_id, connection, profile_id) do update
set record_id = excluded.record_id, email = excluded.email, sending = '{}', earlier = excluded.earlier,
    synced_at = excluded.synced_at,
    known = case when coalesce(former.record_id, excluded.record_id) = excluded.record_id
        then public.sync_later(excluded.known, former.known) else excluded.known end
"""
"""What was told of one that was being made is known by its address."""

NOT_SENT = """
update public.sync_records as record set sending = before.sending
from unnest($3::uuid[], $4::jsonb[]) as before (profile_id, sending)
where record.workspace_id = $1 and record.connection = $2 and record.profile_id = before.profile_id
"""

DONE = """
delete from public.sync_queue as task using unnest($3::uuid[], $4::bigint[]) as settled (profile_id, poke)
where task.workspace_id = $1 and task.connection = $2
    and task.profile_id = settled.profile_id and task.poke = settled.poke
"""

FAILED = """
update public.sync_queue as task
set attempts = case when jsonb_array_length(task.attempts) >= $9 then task.attempts - 0 else task.attempts end
        || jsonb_build_array(settled.attempt),
    due_at = case when task.poke = settled.poke then coalesce(settled.due_at, task.due_at) else task.due_at end,
    died_at = case when task.poke = settled.poke then settled.died_at else task.died_at end,
    fields = case when task.poke = settled.poke then settled.fields else task.fields end,
    tries = case when task.poke = settled.poke then task.tries + 1 else task.tries end
from unnest($3::uuid[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::jsonb[], $8::jsonb[])
    as settled (profile_id, poke, due_at, died_at, fields, attempt)
where task.workspace_id = $1 and task.connection = $2 and task.profile_id = settled.profile_id
"""

STAND = """
insert into public.sync_standings (workspace_id, connection, state, reason, remedy, last_success_at, mapping)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (workspace_id, connection) do update
set state = excluded.state, reason = excluded.reason, remedy = excluded.remedy,
    last_success_at = excluded.last_success_at, mapping = excluded.mapping
"""

_RECORD = "profile_id, record_id, email, known, sending, earlier, synced_at"

RECORDS = f"""
select {_RECORD} from public.sync_records where workspace_id = $1 and connection = $2 and record_id = any ($3::text[])
union
select {_RECORD} from public.sync_records where workspace_id = $1 and connection = $2 and profile_id = any ($4::uuid[])
union
select {_RECORD} from public.sync_records where workspace_id = $1 and connection = $2 and email = any ($5::text[])
"""  # noqa: S608 - as above

PAGE_RECORDS = f"""
select {_RECORD} from public.sync_records
where workspace_id = $1 and connection = $2 and record_id is not null and profile_id > $3 and starts_with(email, $4)
order by profile_id limit $5
"""  # noqa: S608 - as above

HEAR = f"""
with heard as (select * from unnest($3::uuid[], $4::jsonb[], $6::jsonb[]) as one (profile_id, told, answered)),
held as materialized (
    select profile_id from public.sync_records
    where workspace_id = $1 and connection = $2 and profile_id = any ($3::uuid[])
    order by profile_id for update
),
noted as (
    update public.sync_records as record set known = public.sync_later(record.known, heard.told),
        sending = record.sending - array(
            select key from jsonb_each_text(heard.answered) where record.sending ->> key = value
        )
    from heard join held using (profile_id)
    where record.workspace_id = $1 and record.connection = $2 and record.profile_id = heard.profile_id
    returning 1
)
insert into public.sync_queue as known (workspace_id, connection, profile_id, due_at)
select $1, $2, profile_id, $5 from heard where (select count(*) from noted) >= 0 order by profile_id
{_POKE}
"""  # noqa: S608 - as above
"""One row a profile. What is counted has to be done before the tasks are locked."""

STANDINGS = """
select coalesce(standing.connection, counted.connection) as connection, standing.state, standing.reason,
    standing.remedy, standing.last_success_at, standing.mapping, counted.waiting, counted.dead, counted.records,
    counted.due_since
from (select * from public.sync_standings where workspace_id = $1) as standing
full join (
    select connection, sum(waiting)::bigint as waiting, sum(dead)::bigint as dead, sum(records)::bigint as records,
        min(due_since) as due_since
    from (
        select connection, count(*) filter (where died_at is null) as waiting,
            count(*) filter (where died_at is not null) as dead, 0 as records,
            min(due_at) filter (where died_at is null) as due_since
        from public.sync_queue where workspace_id = $1 group by connection
        union all
        select connection, 0, 0, count(*), null from public.sync_records
        where workspace_id = $1 and record_id is not null group by connection
    ) as part group by connection
) as counted on counted.connection = standing.connection
"""
"""How every connection is, and how much there is of it. $1 is the workspace."""
