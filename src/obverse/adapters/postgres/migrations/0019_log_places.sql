-- Which log is in force, and how a log begins that takes another one's place.

create table public.log_places (
    workspace_id text collate "C" primary key,
    adapter text not null,
    moving_to text,
    held_at timestamptz
);

comment on table public.log_places is 'Where the records of what came in are.';
comment on column public.log_places.adapter is 'The adapter of the log that is in force.';
comment on column public.log_places.moving_to is 'The adapter of the log that they are copied to; null if they are not.';
comment on column public.log_places.held_at is 'When whoever moves the log last asked all others to let go of it.';

-- Has empty partitions begin at offsets. Returns one that is not empty, and changes none then; else null.
create function public.event_log_begin(workspace text, of_stream text, partitions integer[], offsets bigint[])
returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    used integer;
begin
    if array_length(partitions, 1) is distinct from array_length(offsets, 1) or 0 > any (offsets) then
        raise exception 'one offset a partition is wanted, 0 or more' using errcode = 'invalid_parameter_value';
    end if;
    select wanted.number into used from unnest(partitions) as wanted (number)
    where exists (select from public.event_log as log
                  where log.workspace_id = workspace and log.stream = of_stream and log.partition = wanted.number)
       or exists (select from public.event_log_trimmed as trimmed
                  where trimmed.workspace_id = workspace and trimmed.stream = of_stream
                    and trimmed.partition = wanted.number and trimmed.end_offset > 0)
    order by wanted.number limit 1;
    if used is not null then
        return used;
    end if;
    insert into public.event_log_trimmed (workspace_id, stream, partition, end_offset, appended_at)
    select workspace, of_stream, wanted.number, wanted.first, 'epoch'
    from unnest(partitions, offsets) as wanted (number, first)
    on conflict (workspace_id, stream, partition) do update set end_offset = excluded.end_offset;
    return null;
end
$$;

revoke execute on function public.event_log_begin(text, text, integer[], bigint[]) from public;

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    role text;
begin
    foreach role in array array['obverse_collector', 'obverse_worker', 'obverse_api'] loop
        continue when not exists (select from pg_roles where rolname = role);
        execute format('grant select, insert on public.log_places to %I', role);
    end loop;
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant update on public.log_places to obverse_worker;
        grant execute on function public.event_log_begin(text, text, integer[], bigint[]) to obverse_worker;
    end if;
end
$$;
