-- What conditions are looked up by: consents, and a number for each profile, small and near each other, for sets of them.

alter table public.customer_profiles add column consents jsonb;
alter table public.customer_profiles add column number bigint;

create sequence public.customer_profiles_number_seq owned by public.customer_profiles.number;

update public.customer_profiles set number = nextval('public.customer_profiles_number_seq');

comment on column public.customer_profiles.consents is 'What the person has allowed: by purpose, true or false.';
comment on column public.customer_profiles.number is 'Names the profile in sets of profiles; of no other meaning.';

-- Who has which number, without a look at the rows, which are wide.
create index customer_profiles_number on public.customer_profiles (workspace_id, number) include (id)
    where merged_into is null;

-- The time that a text spells in ISO 8601, null if it spells none: a cast would fail. Without a zone it is the session's.
do $$
begin
    if current_setting('server_version_num')::integer >= 160000 then
        create function public.moment_of(said text) returns timestamptz
        language sql stable parallel safe
        return case when said like '____-__-__%' and pg_input_is_valid(said, 'timestamptz') then said::timestamptz end;
    else
        create function public.moment_of(said text) returns timestamptz
        language plpgsql stable strict parallel safe
        as $body$
        begin
            return case when said like '____-__-__%' then said::timestamptz end;
        exception when datetime_field_overflow or invalid_datetime_format or invalid_time_zone_displacement_value then
            return null;
        end
        $body$;
    end if;
end
$$;

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant usage on sequence public.customer_profiles_number_seq to obverse_worker;
    end if;
end
$$;
