-- The log: one row per appended group of records, in segments of time that are dropped whole.

create table public.event_log (
    workspace_id text collate "C" not null,
    stream text collate "C" not null,
    partition integer not null,
    first_offset bigint not null check (first_offset >= 0),
    count integer not null check (count > 0),
    appended_at timestamptz not null,
    checksum bigint not null,
    body bytea not null,
    primary key (workspace_id, stream, partition, first_offset, appended_at)
) partition by range (stream, appended_at);

-- The body is compressed before it comes here.
alter table public.event_log alter column body set storage external;

comment on table public.event_log is 'What came in, in order. Rows are never changed and never deleted one by one.';
comment on column public.event_log.count is 'How many records the body holds; the next row begins at first_offset + count.';
comment on column public.event_log.checksum is 'CRC-32 of all other columns.';
comment on column public.event_log.body is 'Format version (1 byte), key id (4 bytes, 0 for none), records compressed with zstd.';

-- Offsets go on from here when every row of a partition was dropped.
create table public.event_log_trimmed (
    workspace_id text collate "C" not null,
    stream text collate "C" not null,
    partition integer not null,
    end_offset bigint not null,
    appended_at timestamptz not null,
    primary key (workspace_id, stream, partition)
);

comment on table public.event_log_trimmed is 'Up to which offset the log has let go of its records.';

-- The catalogue is the only list of segments: it cannot differ from what is there.
create function public.event_log_segments()
returns table (name text, stream text, starts_at timestamptz, ends_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
    select segment.relname::text, bound[1], bound[2]::timestamptz, bound[3]::timestamptz
    from pg_inherits
    join pg_class as segment on segment.oid = inhrelid
    cross join lateral regexp_match(
        pg_get_expr(segment.relpartbound, segment.oid),
        'FROM \(''([a-z]+)'', ''([^'']+)''\) TO \(''[a-z]+'', ''([^'']+)''\)'
    ) as bound
    where inhparent = 'public.event_log'::regclass
$$;

-- Makes the segment of a moment and the one after it, if they are not there; returns when to ask again.
-- Runs as the owner, so that those who append need no right to create tables.
create function public.event_log_prepare(stream text, moment timestamptz, hours integer)
returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
#variable_conflict use_variable
declare
    width interval := make_interval(hours => hours);
    starts timestamptz;
    ends timestamptz;
    name text;
begin
    if stream !~ '^[a-z]{1,30}$' or hours not between 1 and 8784 then
        raise exception 'no segment of % hours for stream %', hours, stream using errcode = 'invalid_parameter_value';
    end if;
    -- Two makers exclude each other; neither reading nor appending waits for this lock.
    lock table public.event_log in share update exclusive mode;
    for step in 1..2 loop
        select s.starts_at, s.ends_at into starts, ends from public.event_log_segments() as s
        where s.stream = stream and s.starts_at <= moment and moment < s.ends_at;
        if not found then
            -- Other widths may have been in use before, so the neighbours bound the new segment.
            starts := date_bin(width, moment, '2000-01-01 00:00:00+00');
            ends := starts + width;
            starts := greatest(starts, (select max(s.ends_at) from public.event_log_segments() as s
                                        where s.stream = stream and s.ends_at <= moment));
            ends := least(ends, (select min(s.starts_at) from public.event_log_segments() as s
                                 where s.stream = stream and s.starts_at > moment));
            name := format('event_log_%s_%s', stream, to_char(starts, 'YYYYMMDD_HH24MI'));
            -- Made apart and then attached: `partition of` would lock readers and appenders out.
            execute format('create table public.%I (like public.event_log including all)', name);
            execute format('alter table public.event_log attach partition public.%I for values from (%L, %L) to (%L, %L)',
                           name, stream, starts, stream, ends);
        end if;
        moment := ends;
    end loop;
    return starts;
end
$$;

-- Drops the oldest segment of a stream that ended before a moment and holds records of this workspace only; returns its
-- name, or null when there is none. Gives up after a moment, so that appending never waits long behind it.
create function public.event_log_trim(workspace text, of_stream text, before timestamptz)
returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO' set lock_timeout = '300ms'
as $$
declare
    segment record;
    shared boolean;
begin
    for segment in select s.name from public.event_log_segments() as s
                   where s.stream = of_stream and s.ends_at <= before order by s.ends_at loop
        execute format('lock table public.%I in share mode', segment.name);
        execute format('select exists (select from public.%I where workspace_id < $1)
                            or exists (select from public.%I where workspace_id > $1)', segment.name, segment.name)
        into shared using workspace;
        continue when shared;
        execute format('insert into public.event_log_trimmed as known
                        select workspace_id, stream, partition, max(first_offset + count), max(appended_at)
                        from public.%I group by workspace_id, stream, partition
                        on conflict (workspace_id, stream, partition) do update
                        set end_offset = greatest(known.end_offset, excluded.end_offset),
                            appended_at = greatest(known.appended_at, excluded.appended_at)', segment.name);
        execute format('drop table public.%I', segment.name);
        return segment.name;
    end loop;
    return null;
exception when lock_not_available then
    return null;
end
$$;

revoke execute on function public.event_log_prepare(text, timestamptz, integer) from public;
revoke execute on function public.event_log_trim(text, text, timestamptz) from public;

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    role text;
begin
    foreach role in array array['obverse_collector', 'obverse_worker', 'obverse_api'] loop
        continue when not exists (select from pg_roles where rolname = role);
        execute format('grant select on public.event_log, public.event_log_trimmed to %I', role);
        continue when role = 'obverse_api';
        execute format('grant insert on public.event_log to %I', role);
        execute format('grant execute on function public.event_log_prepare(text, timestamptz, integer) to %I', role);
    end loop;
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant execute on function public.event_log_trim(text, text, timestamptz) to obverse_worker;
    end if;
end
$$;
