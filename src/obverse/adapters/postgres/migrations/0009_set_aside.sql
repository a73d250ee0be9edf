-- Identifiers that so many share that they tell nobody from another.

create table public.set_aside_identifiers (
    workspace_id text collate "C" not null,
    identifier text collate "C" not null,
    profiles integer not null,
    event text collate "C" not null,
    at timestamptz not null,
    primary key (workspace_id, identifier)
);

comment on table public.set_aside_identifiers is 'Identifiers that tie nothing any more: too many profiles were shown with them.';
comment on column public.set_aside_identifiers.profiles is 'How many, when it was set aside.';
comment on column public.set_aside_identifiers.event is 'Message id of the event that showed it with one too many; at is its time.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update on public.set_aside_identifiers to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select on public.set_aside_identifiers to obverse_api;
    end if;
end
$$;
