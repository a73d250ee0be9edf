-- What was decided of identity, beside the log: which profiles were made, linked and merged, when, and by which event.

create table public.identity_decisions (
    workspace_id text collate "C" not null,
    log_offset bigint not null,
    profile_id uuid not null,
    absorbed uuid[] not null default '{}',
    kind text collate "C" not null,
    event text collate "C" not null,
    received_at timestamptz not null,
    packed bytea not null,
    primary key (workspace_id, log_offset)
);

create index identity_decisions_of_profile on public.identity_decisions (profile_id);
create index identity_decisions_of_absorbed on public.identity_decisions using gin (absorbed)
    where cardinality(absorbed) > 0;

comment on table public.identity_decisions is 'Decisions of identity, in the order in which they were taken.';
comment on column public.identity_decisions.log_offset is 'Its place in the log''s stream of decisions.';
comment on column public.identity_decisions.profile_id is 'Who goes on, at the time.';
comment on column public.identity_decisions.absorbed is 'Who became part of it.';
comment on column public.identity_decisions.event is 'Message id of the event that it was taken for.';
comment on column public.identity_decisions.received_at is 'When that arrived.';
comment on column public.identity_decisions.packed is 'What the engine reads back; the other columns are made from it.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update, delete on public.identity_decisions to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select on public.identity_decisions to obverse_api;
    end if;
end
$$;
