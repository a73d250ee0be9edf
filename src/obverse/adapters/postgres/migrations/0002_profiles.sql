-- Profiles, their events and what was refused. The two tables of plain SQL come first; their first columns never change.

create table public.customer_profiles (
    id uuid primary key,
    identity_graph jsonb,
    computed_traits jsonb,
    timestamp timestamptz default now(),
    workspace_id text collate "C" not null default 'main',
    merged_into uuid,
    attributes jsonb,
    state bytea
) with (toast_tuple_target = 8160, fillfactor = 80);

-- A profile is written often and read by few: squeezing it costs more than the space is worth.
alter table public.customer_profiles alter column state set storage external;

-- Which profiles were merged into one: few, and asked for whenever its events are read.
create index customer_profiles_merged_into on public.customer_profiles (merged_into) where merged_into is not null;

comment on table public.customer_profiles is 'One row a person, and one for each profile that was merged away.';
comment on column public.customer_profiles.timestamp is 'When it changed last.';
comment on column public.customer_profiles.merged_into is
    'The profile that holds this one now, never one that was merged away itself; null for a person.';
comment on column public.customer_profiles.attributes is 'What systems told of the person: one flat object, the winning values.';
comment on column public.customer_profiles.state is 'What the engine reads back; the other columns are made from it.';

create table public.event_stream (
    event_id bigserial,
    profile_id uuid,
    event_type varchar(255),
    properties jsonb,
    ingested_at timestamptz default now(),
    workspace_id text collate "C" not null default 'main',
    type text,
    message_id text,
    source text,
    user_id text,
    anonymous_id text,
    name text,
    context jsonb,
    integrations jsonb,
    extra jsonb,
    timestamp timestamptz,
    original_timestamp timestamptz,
    sent_at timestamptz,
    group_id text,
    previous_id text,
    log_partition integer,
    log_offset bigint,
    properties_as_sent bytea,
    context_as_sent bytea,
    integrations_as_sent bytea,
    extra_as_sent bytea,
    primary key (event_id)
) partition by range (event_id);

create index event_stream_of_profile on public.event_stream (profile_id, event_id);
create index event_stream_by_time on public.event_stream using brin (ingested_at) with (autosummarize = on);

comment on table public.event_stream is 'Every event, in ranges of event_id that are dropped whole. See person_events.';
comment on column public.event_stream.profile_id is 'The profile at the time; person_events follows it to the one that holds it now.';
comment on column public.event_stream.event_type is 'The name of a track, else the type of the call; its first 255 characters.';
comment on column public.event_stream.ingested_at is 'When it arrived.';
comment on column public.event_stream.type is 'Type of the call: track, identify, page, screen, group or alias.';
comment on column public.event_stream.name is 'The name of a track, page or screen, whole.';
comment on column public.event_stream.timestamp is 'When it happened, corrected for the clock of the sender.';
comment on column public.event_stream.log_offset is 'Its place in log_partition of the log.';
comment on column public.event_stream.properties_as_sent is
    'The text of properties, if it held what jsonb cannot (a NUL, half a character, an endless number); else null.';

-- Whoever writes says so here: a writer of an older epoch writes no more. The figures are what this writer added.
create table public.checkpoint_writers (
    workspace_id text collate "C" not null,
    writer text collate "C" not null,
    epoch bigint not null,
    opened_at timestamptz not null default now(),
    profiles bigint not null default 0,
    merges bigint not null default 0,
    events bigint not null default 0,
    rejected bigint not null default 0,
    primary key (workspace_id, writer)
);

create table public.checkpoints (
    workspace_id text collate "C" not null,
    writer text collate "C" not null,
    stream text collate "C" not null,
    partition integer not null,
    next_offset bigint not null,
    at timestamptz not null default now(),
    primary key (workspace_id, writer, stream, partition)
);

comment on table public.checkpoints is 'How far each writer has read the log; written in one transaction with what it read.';

create table public.profile_identifiers (
    workspace_id text collate "C" not null,
    identifier text collate "C" not null,
    profile_id uuid not null,
    primary key (workspace_id, identifier)
);

comment on column public.profile_identifiers.profile_id is 'Whose it is; if that was merged away, its merged_into.';

create table public.audience_members (
    workspace_id text collate "C" not null,
    audience text collate "C" not null,
    profile_id uuid not null,
    number integer not null,
    since timestamptz not null,
    primary key (workspace_id, audience, profile_id)
);

create index audience_members_of_profile on public.audience_members (profile_id);

comment on column public.audience_members.number is 'How often the profile has entered, this time included.';

create table public.rejected_events (
    rejected_id bigserial primary key,
    workspace_id text collate "C" not null default 'main',
    source text collate "C" not null,
    received_at timestamptz not null,
    code text collate "C" not null,
    reason text collate "C" not null,
    field text collate "C",
    message_id text collate "C",
    type text collate "C",
    body bytea not null
);

comment on column public.rejected_events.body is 'What was sent: the event whole, or the beginning of what could not be read.';

-- Checking the key costs as much as writing the event, and the writer makes no event without its profile.
do $$
begin
    execute 'alter table public.event_stream add foreign key (profile_id) references public.customer_profiles (id)'
        || case when current_setting('server_version_num')::integer >= 180000 then ' not enforced' else '' end;
end
$$;

-- Two halves, so that the events of one person are found by index in either.
create view public.person_events with (security_invoker = true) as
    select event.event_id, event.profile_id, event.event_type, event.properties, event.ingested_at,
        event.workspace_id, event.type, event.message_id, event.source, event.user_id, event.anonymous_id,
        event.name, event.context, event.integrations, event.extra, event.timestamp, event.original_timestamp,
        event.sent_at, event.group_id, event.previous_id, event.log_partition, event.log_offset,
        event.properties_as_sent, event.context_as_sent, event.integrations_as_sent, event.extra_as_sent,
        event.profile_id as recorded_profile_id
    from public.event_stream as event
    left join public.customer_profiles as profile on profile.id = event.profile_id
    where profile.merged_into is null
    union all
    select event.event_id, profile.merged_into, event.event_type, event.properties, event.ingested_at,
        event.workspace_id, event.type, event.message_id, event.source, event.user_id, event.anonymous_id,
        event.name, event.context, event.integrations, event.extra, event.timestamp, event.original_timestamp,
        event.sent_at, event.group_id, event.previous_id, event.log_partition, event.log_offset,
        event.properties_as_sent, event.context_as_sent, event.integrations_as_sent, event.extra_as_sent,
        event.profile_id
    from public.customer_profiles as profile
    join public.event_stream as event on event.profile_id = profile.id
    where profile.merged_into is not null;

comment on view public.person_events is 'event_stream, each event with the profile that holds it now.';

-- The catalogue is the only list of partitions: it cannot differ from what is there.
create function public.event_stream_partitions()
returns table (name text, first_id bigint, end_id bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select part.relname::text, bound[1]::bigint, bound[2]::bigint
    from pg_inherits
    join pg_class as part on part.oid = inhrelid
    cross join lateral regexp_match(
        pg_get_expr(part.relpartbound, part.oid), 'FROM \(''?(\d+)''?\) TO \(''?(\d+)''?\)'
    ) as bound
    where inhparent = 'public.event_stream'::regclass
$$;

-- Has partitions for so many events more, and a whole one beyond; returns the event_id at which they end.
-- Runs as the owner, so that the writer needs no right to create tables.
create function public.event_stream_prepare(events bigint, width bigint default 10000000)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    needed bigint;
    reached bigint;
    part text;
begin
    if events < 0 or width not between 1 and 1000000000000 then
        raise exception 'no partitions of % ids for % events', width, events using errcode = 'invalid_parameter_value';
    end if;
    select last_value + 1 + events + width into needed from public.event_stream_event_id_seq;
    select coalesce(max(end_id), 0) into reached from public.event_stream_partitions();
    if reached >= needed then
        return reached;
    end if;
    -- Two makers exclude each other; nobody who reads or writes waits for this lock.
    lock table public.event_stream in share update exclusive mode;
    select coalesce(max(end_id), 0) into reached from public.event_stream_partitions();
    while reached < needed loop
        part := format('event_stream_%s', reached);
        -- Made apart and then attached: `partition of` would lock readers and writers out.
        execute format('create table public.%I (like public.event_stream including all) with (toast_tuple_target = 8160)',
                       part);
        execute format('alter table public.event_stream attach partition public.%I for values from (%L) to (%L)',
                       part, reached, reached + width);
        reached := reached + width;
    end loop;
    return reached;
end
$$;

-- Drops the oldest partition if all of its events, of every workspace, arrived before a moment; returns its name, or
-- null when there is none. Gives up after a moment, so that nobody waits long behind it.
create function public.event_stream_trim(before timestamptz)
returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '300ms'
as $$
declare
    oldest record;
    needed boolean;
begin
    select p.name, p.end_id into oldest from public.event_stream_partitions() as p order by p.first_id limit 1;
    if oldest.end_id is null or oldest.end_id > (select last_value from public.event_stream_event_id_seq) then
        return null;
    end if;
    execute format('lock table public.%I in share mode', oldest.name);
    execute format('select exists (select from public.%I where ingested_at >= $1)', oldest.name) into needed using before;
    if needed then
        return null;
    end if;
    execute format('drop table public.%I', oldest.name);
    return oldest.name;
exception when lock_not_available then
    return null;
end
$$;

revoke execute on function public.event_stream_prepare(bigint, bigint) from public;
revoke execute on function public.event_stream_trim(timestamptz) from public;

select public.event_stream_prepare(0);

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    tables constant text := 'public.customer_profiles, public.event_stream, public.checkpoint_writers,
        public.checkpoints, public.profile_identifiers, public.audience_members, public.rejected_events';
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        execute format('grant select, insert, update, delete on %s to obverse_worker', tables);
        grant select on public.person_events to obverse_worker;
        grant usage on sequence public.event_stream_event_id_seq, public.rejected_events_rejected_id_seq to obverse_worker;
        grant execute on function public.event_stream_prepare(bigint, bigint) to obverse_worker;
        grant execute on function public.event_stream_trim(timestamptz) to obverse_worker;
        -- A checkpoint is put down in temporary tables first.
        if has_database_privilege(current_database(), 'temporary with grant option') then
            execute format('grant temporary on database %I to obverse_worker', current_database());
        end if;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        execute format('grant select on %s, public.person_events to obverse_api', tables);
    end if;
end
$$;
