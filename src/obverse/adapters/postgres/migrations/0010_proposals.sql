-- Pairs of profiles that may be one person: proposed by matching, decided upon by people.

create table public.match_proposals (
    workspace_id text collate "C" not null,
    proposal_id bigint generated always as identity,
    -- The smaller id first. No foreign keys: what was decided stays when a profile is merged away.
    one uuid not null,
    other uuid not null check (one < other),
    tier text collate "C" not null check (tier in ('exact', 'strict', 'loose')),
    probability double precision not null,
    reasons text[] not null,
    basis bytea not null,
    state text collate "C" not null default 'open'
        check (state in ('open', 'accepted', 'rejected', 'merged', 'closed')),
    proposed_at timestamptz not null,
    decided_by text collate "C",
    decided_at timestamptz,
    primary key (workspace_id, proposal_id),
    unique (workspace_id, one, other)
);

comment on table public.match_proposals is 'Pairs of profiles that may be one person, and what was decided.';
comment on column public.match_proposals.basis is
    'Digest of the values that were compared: a rejected pair is proposed again only upon others.';
comment on column public.match_proposals.state is
    'open; accepted or rejected by a person; merged without one; closed: nobody has to decide any more.';

create index match_proposals_by_probability on public.match_proposals
    (workspace_id, state, probability desc, proposal_id);

-- Another server may have one login for everything, and none of our roles.
do $$
begin
    if exists (select from pg_roles where rolname = 'obverse_api') then
        grant select, insert, update on public.match_proposals to obverse_api;
    end if;
    if exists (select from pg_roles where rolname = 'obverse_worker') then
        grant select, insert, update on public.match_proposals to obverse_worker;
    end if;
end
$$;
