-- How far definitions on their way are computed from history.

create table public.backfills (
    workspace_id text collate "C" primary key,
    version bigint not null,
    marks jsonb not null,
    phase text not null check (phase in ('filling', 'turning', 'done')),
    names text[] not null,
    noted_at timestamptz not null default now()
);

comment on table public.backfills is 'The latest backfill: changed traits and audiences, computed from history.';
comment on column public.backfills.version is 'Of the definitions.';
comment on column public.backfills.marks is 'By partition of the log, the offset from which on events are folded as they come.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update on public.backfills to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select on public.backfills to obverse_api;
    end if;
end
$$;
