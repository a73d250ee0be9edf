-- The ledger of replays: what was asked to be sent again, what that would do, and what it did. The worker does it.

create table public.replays (
    workspace_id text collate "C" not null,
    replay_id bigint generated always as identity,
    wanted jsonb not null,
    asked_by text collate "C" not null,
    asked_at timestamptz not null,
    state text collate "C" not null default 'planning'
        check (state in ('planning', 'planned', 'running', 'done', 'refused', 'cancelled')),
    done bigint not null default 0,
    plan jsonb,
    confirmed_by text collate "C",
    result jsonb,
    reason text collate "C",
    settled_at timestamptz,
    primary key (workspace_id, replay_id)
);

create index replays_waiting on public.replays (workspace_id, replay_id) where state in ('planning', 'running');

comment on table public.replays is 'Parts of the log that were sent again: who asked, what it would do, what it did.';
comment on column public.replays.state is
    'planning; planned: waits for somebody to confirm it; running; done; refused, as reason tells; cancelled.';
comment on column public.replays.done is 'People and changes that were gone through by now.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select on public.replays to obverse_worker;
        grant update (state, done, plan, result, reason, settled_at) on public.replays to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select, insert on public.replays to obverse_api;
        grant update (state, done, confirmed_by, settled_at) on public.replays to obverse_api;
    end if;
end
$$;
