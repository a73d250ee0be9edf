-- Who is signed in to the console. Secrets are kept as their SHA-256 alone.

create table public.sign_in_links (
    workspace_id text collate "C" not null,
    digest bytea not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (workspace_id, digest)
);

comment on table public.sign_in_links is 'Each opens one session.';

create table public.sessions (
    workspace_id text collate "C" not null,
    digest bytea not null,
    name text collate "C" not null,
    expires_at timestamptz not null,
    primary key (workspace_id, digest)
);

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select, insert, update, delete on public.sign_in_links, public.sessions to obverse_api;
    end if;
end
$$;
