-- A log that is kept elsewhere, and has no fences of its own: who appends to it, where it ends, where to begin reading.

create table public.event_log_ends (
    workspace_id text collate "C" not null,
    stream text collate "C" not null,
    partition integer not null,
    epoch bigint not null,
    end_offset bigint not null default 0 check (end_offset >= 0),
    appended_at timestamptz,
    kept_offset bigint not null default 0 check (kept_offset <= end_offset),
    primary key (workspace_id, stream, partition)
) with (fillfactor = 50);

comment on table public.event_log_ends is 'Where each partition of a log that is kept elsewhere ends.';
comment on column public.event_log_ends.epoch is
    'Of its one appender. Raised before the next one writes anything, so an append that finds its own was not overtaken.';
comment on column public.event_log_ends.end_offset is 'After the last append that was acknowledged.';
comment on column public.event_log_ends.kept_offset is 'Before it nothing is shown, though the other side may still have it.';

create table public.event_log_positions (
    workspace_id text collate "C" not null,
    stream text collate "C" not null,
    partition integer not null,
    first_offset bigint not null check (first_offset >= 0),
    place text collate "C" not null,
    shard text collate "C" not null,
    sequence_number text collate "C" not null,
    epoch bigint not null,
    before_at timestamptz,
    primary key (workspace_id, stream, partition, first_offset)
);

comment on table public.event_log_positions is 'Where some offsets are found in a log that is kept elsewhere.';
comment on column public.event_log_positions.place is 'What the log is called there.';
comment on column public.event_log_positions.before_at is 'When the record before this offset was appended; null if there was none.';

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    role text;
begin
    foreach role in array array['obverse_collector', 'obverse_worker', 'obverse_api'] loop
        continue when not exists (select from pg_roles where rolname = role);
        execute format('grant select on public.event_log_ends, public.event_log_positions to %I', role);
        continue when role = 'obverse_api';
        execute format('grant insert, update on public.event_log_ends to %I', role);
        execute format('grant insert, update, delete on public.event_log_positions to %I', role);
    end loop;
end
$$;
