-- Rejected events are sent again: asked for here, done by the collector, and settled here.

alter table public.rejected_events
    add column state text collate "C" not null default 'open' check (state in ('open', 'waiting', 'replayed')),
    add column settled_at timestamptz,
    add column correction bytea;

comment on column public.rejected_events.state is 'open; waiting to be sent again; replayed: it was accepted.';
comment on column public.rejected_events.correction is 'What is sent instead of the body.';

create index rejected_events_by_kind on public.rejected_events (workspace_id, source, code, state, rejected_id);
create index rejected_events_waiting on public.rejected_events (workspace_id, rejected_id) where state = 'waiting';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant update (state, settled_at, correction) on public.rejected_events to obverse_api;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_collector') then
        grant select on public.rejected_events to obverse_collector;
        grant update (state, settled_at, code, reason, field) on public.rejected_events to obverse_collector;
    end if;
end
$$;
