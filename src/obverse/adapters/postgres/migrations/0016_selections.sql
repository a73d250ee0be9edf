-- What conditions are looked up by: consents, and a number for each profile, small and near each other, for sets of them.

alter table public.customer_profiles add column consents jsonb;
alter table public.customer_profiles add column number bigint;

create sequence public.customer_profiles_number_seq owned by public.customer_profiles.number;

update public.customer_profiles set number = nextval('public.customer_profiles_number_seq');

comment on column public.customer_profiles.consents is 'What the person has allowed: by purpose, true or false.';
comment on column public.customer_profiles.number is 'Names the profile in sets of profiles; of no other meaning.';

create index customer_profiles_number on public.customer_profiles (number);

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant usage on sequence public.customer_profiles_number_seq to obverse_worker;
    end if;
end
$$;
