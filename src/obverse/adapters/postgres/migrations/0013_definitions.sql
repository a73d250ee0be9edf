-- Definitions: the documents as they were written, and who changed them.

create table public.definition_sets (
    workspace_id text collate "C" primary key,
    version bigint not null
);

comment on table public.definition_sets is 'How often the workspace''s definitions have changed: whoever follows them looks here.';

create table public.definitions (
    workspace_id text collate "C" not null,
    kind text collate "C" not null,
    name text collate "C" not null,
    version text collate "C" not null default '',
    document text not null,
    project text collate "C" not null,
    changed_by text collate "C" not null,
    changed_at timestamptz not null,
    changed_in bigint not null,
    primary key (workspace_id, kind, name, version)
);

comment on table public.definitions is 'What is defined, as it was written. Only what was checked is written here: use `obverse apply`.';
comment on column public.definitions.version is 'Of a tracking plan, which has a document for each; else empty.';
comment on column public.definitions.document is 'JSON text, and not jsonb: the order of its fields is kept.';
comment on column public.definitions.project is 'Which project wrote it last: no other one removes it.';
comment on column public.definitions.changed_in is 'Version of the set that brought it as it is.';

create table public.definition_changes (
    workspace_id text collate "C" not null,
    set_version bigint not null,
    kind text collate "C" not null,
    name text collate "C" not null,
    version text collate "C" not null default '',
    -- Null: it was removed.
    document text,
    project text collate "C" not null,
    changed_by text collate "C" not null,
    changed_at timestamptz not null,
    primary key (workspace_id, set_version, kind, name, version)
);

comment on table public.definition_changes is 'Every change of a definition, with who made it and when.';

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    reader text;
begin
    foreach reader in array array['obverse_collector', 'obverse_worker'] loop
        if exists (select from pg_roles where rolname = reader) then
            execute format('grant select on public.definition_sets, public.definitions to %I', reader);
        end if;
    end loop;
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select, insert, update on public.definition_sets to obverse_api;
        grant select, insert, update, delete on public.definitions to obverse_api;
        grant select, insert on public.definition_changes to obverse_api;
    end if;
end
$$;
