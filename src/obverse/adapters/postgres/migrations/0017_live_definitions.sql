-- Which version of the definitions everybody has been computed by.

alter table public.definition_sets add column live bigint;

comment on column public.definition_sets.live is
    'The version whose traits and audiences are computed for everybody; null before the first.';

-- Another server may have one login for everything, and none of our roles.
do $$
declare
    reader text;
begin
    foreach reader in array array['obverse_collector', 'obverse_worker'] loop
        if exists (select from pg_roles where rolname = reader) then
            execute format('grant select on public.definition_changes to %I', reader);
        end if;
    end loop;
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant insert, update on public.definition_sets to obverse_worker;
    end if;
end
$$;
