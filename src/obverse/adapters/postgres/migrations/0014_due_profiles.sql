-- Profiles that time alone may change: when a window of a trait moves on, though no event comes.

alter table public.customer_profiles add column due_at timestamptz;

create index customer_profiles_due on public.customer_profiles (workspace_id, due_at, id) where due_at is not null;

comment on column public.customer_profiles.due_at is
    'The next instant at which a trait or an audience may change though no event comes; null if there is none.';
