-- What moves seldom of a profile is packed apart, so that it is written only when it has moved.

alter table public.customer_profiles add column known bytea;
alter table public.customer_profiles alter column known set storage external;

comment on column public.customer_profiles.identity_graph is
    'Who the person is: identifiers, each with the event that showed it first, and the edges that tie them.';
comment on column public.customer_profiles.known is
    'Identifiers, edges and attributes as the engine reads them back; null if `state` holds them too, as it did once.';
