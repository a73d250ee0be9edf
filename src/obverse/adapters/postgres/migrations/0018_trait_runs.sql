-- Queries that give traits: what came of each one's latest run, and which values it gave.

create table public.trait_runs (
    workspace_id text collate "C" not null,
    trait text collate "C" not null,
    number bigint not null check (number > 0),
    digest text collate "C" not null,
    began_at timestamptz not null,
    flaw text,
    counts jsonb not null default '{}',
    primary key (workspace_id, trait)
);

comment on table public.trait_runs is 'The latest run of each trait''s query.';
comment on column public.trait_runs.number is 'How often it was run.';
comment on column public.trait_runs.flaw is 'Why it gave nothing; null if it went well.';
comment on column public.trait_runs.counts is 'Rows, by what became of them.';

create table public.trait_values (
    workspace_id text collate "C" not null,
    trait text collate "C" not null,
    identifier text collate "C" not null,
    profile_id uuid not null,
    value text not null,
    primary key (workspace_id, trait, identifier)
);

comment on table public.trait_values is 'What queries gave last, so that only what differs is sent. What somebody has: customer_profiles.computed_traits.';
comment on column public.trait_values.profile_id is 'Whose the identifier was then.';
comment on column public.trait_values.value is 'JSON text.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update on public.trait_runs to obverse_worker;
        grant select, insert, update, delete on public.trait_values to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select on public.trait_runs to obverse_api;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_query') then
        grant select on public.audience_members, public.customer_profiles, public.event_stream, public.groups,
            public.person_events, public.profile_identifiers to obverse_query;
    end if;
end
$$;
