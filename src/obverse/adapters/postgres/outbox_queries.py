"""The SQL of the outbox. $1 is the workspace."""

from __future__ import annotations

from typing import Final

EPOCH: Final = """
select (extract(epoch from backend_start) * 1000000)::bigint as epoch from pg_stat_activity where pid = pg_backend_pid()
"""
"""Names this session: no other of this workspace's workers has begun in the same microsecond."""

MARK: Final = "select next_offset from public.message_marks where workspace_id = $1"

MOVE_MARK: Final = """
insert into public.message_marks (workspace_id, next_offset) values ($1, $2)
on conflict (workspace_id) do update set next_offset = excluded.next_offset
"""

PUT: Final = """
insert into public.messages (workspace_id, id, message_id, template, recipient, profile_id, campaign, number,
    data, created_at, due_at)
select $1, given.* from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::integer[],
    $9::bytea[], $10::timestamptz[], $11::timestamptz[])
    as given (id, message_id, template, recipient, profile_id, campaign, number, data, created_at, due_at)
on conflict (workspace_id, id) do nothing
"""

WAKE: Final = """
update public.messages set status = 'queued', due_at = $3
where workspace_id = $1 and profile_id = any ($2::uuid[]) and status = 'waiting'
"""

_COLUMNS: Final = (
    "id, message_id, template, recipient, profile_id, campaign, number, data, status, subject, reason, created_at, "
    "due_at, sent_at, attempts"
)

CLAIM: Final = f"""
with due as (
    select id from public.messages where workspace_id = $1 and status = 'queued' and due_at <= $2
    order by due_at limit $3 for update skip locked
)
update public.messages as message set status = 'sending', claimed_by = $4
from due where message.workspace_id = $1 and message.id = due.id
returning {", ".join(f"message.{name}" for name in _COLUMNS.split(", "))}
"""  # noqa: S608 - a part of our own

DOUBTS: Final = f"""
select {_COLUMNS} from public.messages
where workspace_id = $1 and status = 'sending' and due_at <= $2 and claimed_by is distinct from $4
order by due_at limit $3
"""  # noqa: S608 - as above

CLOCK_SET: Final = """
update public.messages set due_at = due_at + $2::interval
where workspace_id = $1 and status in ('queued', 'sending') and due_at > $3::timestamptz
    and ($4::timestamptz is null or created_at <= $4)
"""
"""What was made since by those who read the new time is as it should be."""

SETTLE: Final = """
update public.messages as message
set status = settled.status, claimed_by = null, reason = settled.reason,
    recipient = coalesce(settled.recipient, message.recipient), subject = coalesce(settled.subject, message.subject),
    due_at = coalesce(settled.due_at, message.due_at), sent_at = coalesce(settled.sent_at, message.sent_at),
    profile_id = coalesce(settled.profile_id, message.profile_id),
    attempts = case when settled.attempt is null then message.attempts
        when jsonb_array_length(message.attempts) >= $11
        then (message.attempts - 0) || jsonb_build_array(settled.attempt)
        else message.attempts || jsonb_build_array(settled.attempt) end
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[],
    $9::jsonb[], $10::uuid[]) as settled (id, status, recipient, subject, due_at, sent_at, reason, attempt, profile_id)
where message.workspace_id = $1 and message.id = settled.id
"""

FORGET: Final = "delete from public.idempotency_keys where workspace_id = $1 and created_at < $2"

TRY_LOCK: Final = "select pg_try_advisory_xact_lock($1)"
"""Whoever works on a request of a key holds it until its transaction ends. $1 is the key."""

RECALL: Final = """
select route, key, request_hash, status, body, created_at from public.idempotency_keys
where workspace_id = $1 and route = $2 and key = $3
"""

REMEMBER: Final = """
insert into public.idempotency_keys (workspace_id, route, key, request_hash, status, body, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""

FIND: Final = f"select {_COLUMNS} from public.messages where workspace_id = $1 and id = $2"  # noqa: S608 - as above

STATUSES: Final = "select id, status from public.messages where workspace_id = $1 and id = any ($2::uuid[])"

PAGE: Final = f"""
select {_COLUMNS} from public.messages
where workspace_id = $1 and (created_at, id) < ($2, $3) and ($4::text is null or status = $4)
    and starts_with(coalesce(recipient, ''), $5)
order by created_at desc, id desc limit $6
"""  # noqa: S608 - as above

COUNTS: Final = """
select campaign, status, count(*) as messages from public.messages where workspace_id = $1 group by campaign, status
"""

DUE_SINCE: Final = "select min(due_at) from public.messages where workspace_id = $1 and status = 'queued'"

RESOLVE: Final = """
update public.messages set status = $3, claimed_by = null, reason = null, due_at = $4,
    sent_at = case when $3 = 'sent' then $4 else sent_at end, attempts = attempts || jsonb_build_array($5::jsonb)
where workspace_id = $1 and id = $2 and status = 'unknown'
returning id
"""
