-- Messages that were wanted, what became of them, and answers that were given for idempotency keys.

create table public.messages (
    workspace_id text collate "C" not null,
    id uuid not null,
    message_id text collate "C" not null,
    template text collate "C" not null,
    recipient text collate "C",
    profile_id uuid,
    campaign text collate "C",
    number integer not null default 0,
    data bytea not null default '{}',
    status text collate "C" not null default 'queued'
        check (status in ('queued', 'waiting', 'sending', 'sent', 'refused', 'unknown')),
    subject text,
    reason text,
    created_at timestamptz not null,
    due_at timestamptz not null,
    sent_at timestamptz,
    attempts jsonb not null default '[]',
    claimed_by bigint,
    primary key (workspace_id, id)
) with (fillfactor = 80);

create index messages_due on public.messages (workspace_id, due_at) where status = 'queued';
create index messages_in_doubt on public.messages (workspace_id, due_at) where status = 'sending';
create index messages_by_time on public.messages (workspace_id, created_at desc, id desc);
create index messages_by_status on public.messages (workspace_id, status, created_at desc, id desc);
create index messages_of_profile on public.messages (profile_id) where profile_id is not null;

comment on table public.messages is 'The outbox. A row is `sending`, durably, before the mail service is given the message.';
comment on column public.messages.status is '`waiting`: its person has no address yet.';
comment on column public.messages.id is 'Of a campaign''s: made of the campaign, the profile and the number of its entry.';
comment on column public.messages.message_id is 'Of RFC 5322: the same for each attempt, so that a mail service can be asked for it.';
comment on column public.messages.attempts is 'The latest ones: [microseconds since 1970, outcome, detail] each.';
comment on column public.messages.claimed_by is 'The session of the worker that sends it; null if it has given it up.';

create table public.message_marks (
    workspace_id text collate "C" primary key,
    next_offset bigint not null
);

comment on table public.message_marks is 'How far the stream of changes was read.';

create table public.idempotency_keys (
    workspace_id text collate "C" not null,
    route text collate "C" not null,
    key text collate "C" not null,
    request_hash bytea not null,
    status integer not null,
    body bytea not null,
    created_at timestamptz not null,
    primary key (workspace_id, route, key)
);

create index idempotency_keys_by_time on public.idempotency_keys (workspace_id, created_at);

comment on table public.idempotency_keys is 'What was answered for a key, to be answered again; forgotten after a day.';

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    tables constant text := 'public.messages, public.message_marks, public.idempotency_keys';
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        execute format('grant select, insert, update, delete on %s to obverse_worker', tables);
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        execute format('grant select on %s to obverse_api', tables);
        grant insert on public.messages, public.idempotency_keys to obverse_api;
        grant update (status, due_at, sent_at, reason, attempts, claimed_by) on public.messages to obverse_api;
    end if;
end
$$;
