-- Groups: accounts or companies, with members.

create table public.groups (
    workspace_id text collate "C" not null,
    group_id text collate "C" not null,
    attributes jsonb not null,
    packed bytea not null,
    first_seen timestamptz not null,
    changed_at timestamptz not null,
    primary key (workspace_id, group_id)
);

comment on table public.groups is 'Accounts or companies. Their members: customer_profiles.groups.';
comment on column public.groups.attributes is 'What systems told of the group: one flat object, the winning values.';
comment on column public.groups.packed is 'What the engine reads back; the other columns are made from it.';
comment on column public.groups.first_seen is 'Time of the earliest event.';
comment on column public.groups.changed_at is 'Arrival of the event that told it something last.';

alter table public.customer_profiles add column groups text[] collate "C";

-- Who is a member: where groups @> array['acme'] and cardinality(groups) > 0
create index customer_profiles_groups on public.customer_profiles using gin (groups) where cardinality(groups) > 0;

comment on column public.customer_profiles.groups is 'Ids of the groups that the person is a member of; null for what was merged away.';

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update, delete on public.groups to obverse_worker;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select on public.groups to obverse_api;
    end if;
end
$$;
