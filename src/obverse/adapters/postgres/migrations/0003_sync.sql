-- What each connection still has to write into its CRM, and what its records hold as far as we know.

create table public.sync_queue (
    workspace_id text collate "C" not null,
    connection text collate "C" not null,
    profile_id uuid not null,
    poke bigint not null default 1,
    due_at timestamptz not null,
    tries integer not null default 0,
    attempts jsonb not null default '[]',
    died_at timestamptz,
    fields jsonb not null default '{}',
    primary key (workspace_id, connection, profile_id)
) with (fillfactor = 80);

create index sync_queue_due on public.sync_queue (workspace_id, connection, due_at) where died_at is null;

comment on table public.sync_queue is 'Profiles to be compared with their records in a CRM; those with died_at are dead letters.';
comment on column public.sync_queue.poke is 'Grows with each change of the profile, so that an older one is not taken for settled.';
comment on column public.sync_queue.attempts is 'Those that failed, the latest ones: [microseconds since 1970, error] each.';
comment on column public.sync_queue.fields is 'Of a dead letter: what was to be written.';

create table public.sync_records (
    workspace_id text collate "C" not null,
    connection text collate "C" not null,
    profile_id uuid not null,
    record_id text collate "C",
    email text collate "C" not null,
    known jsonb not null default '{}',
    sending jsonb not null default '{}',
    synced_at timestamptz,
    primary key (workspace_id, connection, profile_id)
) with (fillfactor = 80);

create index sync_records_by_record on public.sync_records (workspace_id, connection, record_id);
create index sync_records_by_email on public.sync_records (workspace_id, connection, email);

comment on column public.sync_records.record_id is 'The CRM''s; null until it has answered for the first time.';
comment on column public.sync_records.known is 'What its fields hold: {field: [value, microseconds since 1970]}.';
comment on column public.sync_records.sending is 'What was given to the CRM and not answered: {field: value}.';

create table public.sync_standings (
    workspace_id text collate "C" not null,
    connection text collate "C" not null,
    state text not null,
    reason text,
    remedy text,
    last_success_at timestamptz,
    mapping text not null default '',
    primary key (workspace_id, connection)
);

comment on column public.sync_standings.mapping is 'Names the mapping for which every profile was queued.';

create table public.sync_marks (
    workspace_id text collate "C" primary key,
    next_offset bigint not null
);

comment on table public.sync_marks is 'How far the stream of changes was read.';

-- Of each field the state that is known last; of two at the same time, the first one's.
create function public.sync_later(one jsonb, other jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(name, state), '{}') from (
        select distinct on (name) name, state from (
            select key as name, value as state, 1 as place from jsonb_each(one)
            union all
            select key, value, 2 from jsonb_each(other)
        ) as told order by name, (state ->> 1)::bigint desc, place
    ) as latest
$$;

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    tables constant text := 'public.sync_queue, public.sync_records, public.sync_standings, public.sync_marks';
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        execute format('grant select, insert, update, delete on %s to obverse_worker', tables);
    end if;
    -- The collector hears a CRM's edits, the api has dead letters tried again; neither removes anything.
    if exists (select from pg_roles where rolname = 'obverse_collector') then
        grant select on public.sync_records, public.sync_queue to obverse_collector;
        grant update (known) on public.sync_records to obverse_collector;
        grant insert, update on public.sync_queue to obverse_collector;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        execute format('grant select on %s to obverse_api', tables);
        grant update (poke, due_at, tries, died_at, fields) on public.sync_queue to obverse_api;
    end if;
end
$$;
