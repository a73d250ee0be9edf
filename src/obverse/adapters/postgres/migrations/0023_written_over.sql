-- What we wrote into a CRM and wrote over since: it may be told to us long afterwards, and is no edit.

alter table public.sync_records add column earlier jsonb not null default '{}';

comment on column public.sync_records.earlier is
    'What stood in its fields before we wrote over it: {field: [[value, microseconds since 1970], the latest first]}.';
