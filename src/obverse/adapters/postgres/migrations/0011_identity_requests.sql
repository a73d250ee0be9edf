-- What people ask of identity: an edge taken back, two identifiers of one person. The worker does it, and says what became of it.

create table public.identity_requests (
    workspace_id text collate "C" not null,
    request_id text collate "C" not null,
    place bigint generated always as identity,
    kind text collate "C" not null check (kind in ('unmerge', 'merge')),
    one text collate "C" not null,
    other text collate "C" not null,
    asked_by text collate "C" not null,
    why text collate "C" not null,
    asked_at timestamptz not null,
    done boolean,
    detail text collate "C",
    primary key (workspace_id, request_id)
);

create index identity_requests_waiting on public.identity_requests (workspace_id, place) where done is null;

comment on table public.identity_requests is 'What people asked of identity, and what became of it.';
comment on column public.identity_requests.done is 'Null while it waits; false if it was refused, as detail tells.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert on public.identity_requests to obverse_worker;
        grant update (done, detail) on public.identity_requests to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select, insert on public.identity_requests to obverse_api;
    end if;
end
$$;
