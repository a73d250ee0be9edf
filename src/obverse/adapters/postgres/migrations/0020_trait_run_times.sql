-- How long the run of a trait's query took.

alter table public.trait_runs add column took_us bigint check (took_us >= 0);

comment on column public.trait_runs.took_us is 'How long it took, in microseconds; null if a release before this one ran it.';
