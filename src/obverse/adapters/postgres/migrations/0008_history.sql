-- What was decided of identity, beside the log: which profiles were made, linked and merged, when, and by which event.

create table public.identity_decisions (
    workspace_id text collate "C" not null,
    log_offset bigint not null,
    profile_id uuid not null,
    absorbed uuid[] not null default '{}',
    beside uuid[] not null default '{}',
    kind text collate "C" not null,
    event text collate "C" not null,
    received_at timestamptz not null,
    packed bytea not null,
    primary key (workspace_id, log_offset)
);

create index identity_decisions_of_profile on public.identity_decisions (profile_id);
create index identity_decisions_of_absorbed on public.identity_decisions using gin (absorbed)
    where cardinality(absorbed) > 0;
create index identity_decisions_beside on public.identity_decisions using gin (beside) where cardinality(beside) > 0;

comment on table public.identity_decisions is 'Decisions of identity, in the order in which they were taken.';
comment on column public.identity_decisions.log_offset is 'Its place in the log''s stream of decisions.';
comment on column public.identity_decisions.profile_id is 'Who goes on, at the time.';
comment on column public.identity_decisions.absorbed is 'Who became part of it, or is none of it any more.';
comment on column public.identity_decisions.beside is 'Whom else it moved: who lost an identifier, or was told of a refusal.';
comment on column public.identity_decisions.event is 'Message id of the event that it was taken for.';
comment on column public.identity_decisions.received_at is 'When that arrived.';
comment on column public.identity_decisions.packed is 'What the engine reads back; the other columns are made from it.';

-- Events that are asked for by who cannot append to the log; the collector does, and notes it here.
create table public.waiting_events (
    workspace_id text collate "C" not null,
    message_id text collate "C" not null,
    place bigint generated always as identity,
    source text collate "C" not null,
    type text collate "C" not null,
    asked_at timestamptz not null default now(),
    appended_at timestamptz,
    packed bytea not null,
    primary key (workspace_id, message_id)
);

create index waiting_events_waiting on public.waiting_events (workspace_id, place) where appended_at is null;

comment on table public.waiting_events is 'Events that were asked for here, and not sent by a source.';
comment on column public.waiting_events.place is 'Their order.';
comment on column public.waiting_events.appended_at is 'Null while it waits.';
comment on column public.waiting_events.packed is 'The event, as the log holds it.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update, delete on public.identity_decisions, public.waiting_events to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select on public.identity_decisions to obverse_api;
        grant select, insert on public.waiting_events to obverse_api;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_collector') then
        grant select on public.waiting_events to obverse_collector;
        grant update (appended_at) on public.waiting_events to obverse_collector;
    end if;
end
$$;
