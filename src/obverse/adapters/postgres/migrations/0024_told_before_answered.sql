-- What a CRM tells of our own write says that it stands there, also before the CRM has answered.

do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_collector') then
        grant update (sending) on public.sync_records to obverse_collector;
    end if;
end
$$;
