"""Proposals in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg

from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.core.matching import State, Tier
from obverse.ports.proposals import AlreadyDecided, Pair, Proposal, Proposals, Standing, Suggestion, pair_of
from obverse.ports.runtime import Runtime

_AT_ONCE: Final = 5_000
"""Pairs of one statement."""
_COLUMNS: Final = (
    "proposal_id, one, other, tier, probability, reasons, basis, state, proposed_at, decided_by, decided_at"
)
# The condition is `core.matching.reopens`, asked where nobody can decide in between.
_PROPOSE: Final = """
with given as (
    select distinct on (one, other) one, other, tier, probability, string_to_array(reasons, chr(31)) as reasons, basis
    from unnest($2::uuid[], $3::uuid[], $4::text[], $5::double precision[], $6::text[], $7::bytea[])
        with ordinality as given (one, other, tier, probability, reasons, basis, place)
    order by one, other, place desc
)
insert into public.match_proposals as known
    (workspace_id, one, other, tier, probability, reasons, basis, proposed_at)
select $1, one, other, tier, probability, reasons, basis, $8::timestamptz from given
on conflict (workspace_id, one, other) do update
set tier = excluded.tier, probability = excluded.probability, reasons = excluded.reasons, basis = excluded.basis,
    state = 'open', decided_by = null, decided_at = null,
    proposed_at = case known.state when 'open' then known.proposed_at else excluded.proposed_at end
where known.state in ('open', 'closed') or (known.state = 'rejected' and known.basis <> excluded.basis)
returning one, other
"""
_STANDINGS: Final = """
select proposal_id, one, other, state, basis from public.match_proposals
where workspace_id = $1 and proposal_id > $2 order by proposal_id limit $3
"""
_DECIDE: Final = f"""
update public.match_proposals set state = $3, decided_by = $4, decided_at = $5
where workspace_id = $1 and proposal_id = $2 and state = 'open' returning {_COLUMNS}
"""  # noqa: S608 - a part of our own
_CLOSE: Final = """
update public.match_proposals set state = 'closed', decided_at = $3
where workspace_id = $1 and proposal_id = any ($2::bigint[]) and state = 'open' returning proposal_id
"""
_FIND: Final = f"select {_COLUMNS} from public.match_proposals where workspace_id = $1 and proposal_id = $2"  # noqa: S608 - as above
_PAGE: Final = f"""
select {_COLUMNS} from public.match_proposals
where workspace_id = $1 and ($2::text is null or state = $2) and ($3::text is null or tier = $3)
    and ($4::double precision is null or probability < $4 or (probability = $4 and proposal_id > $5))
order by probability desc, proposal_id limit $6
"""  # noqa: S608 - as above
_COUNTS: Final = """
select state, tier, count(*) as proposals from public.match_proposals where workspace_id = $1 group by state, tier
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresProposalsSettings:
    """The `[proposals.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    workspace: str = "main"


async def open_proposals(settings: PostgresProposalsSettings, runtime: Runtime) -> Proposals:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.proposals:postgres`. Nothing is connected before it is needed."""
    return PostgresProposals(settings)


class PostgresProposals:
    """See `Proposals`."""

    def __init__(self, settings: PostgresProposalsSettings) -> None:
        self._workspace = settings.workspace
        self._link = Link(settings.dsn, "keeps proposals")

    async def propose(self, found: Sequence[Suggestion], *, now: int) -> Collection[Pair]:
        """See `Proposals.propose`."""
        opened: set[Pair] = set()
        for first in range(0, len(found), _AT_ONCE):
            columns = _columns(found[first : first + _AT_ONCE])
            rows = await self._fetch(_PROPOSE, *columns, from_micros(now))
            opened.update(_pair(row) for row in rows)
        return opened

    async def standings(self, *, limit: int, after: int = 0) -> Sequence[Standing]:
        """See `Proposals.standings`."""
        rows = await self._fetch(_STANDINGS, after, limit)
        return [Standing(row["proposal_id"], _pair(row), State(row["state"]), row["basis"]) for row in rows]

    async def decide(self, id_: int, state: State, *, by: str, now: int) -> Proposal | None:
        """See `Proposals.decide`."""
        rows = await self._fetch(_DECIDE, id_, state.value, by, from_micros(now))
        if rows:
            return _proposal(rows[0])
        known = await self.find(id_)
        if known is not None:
            raise AlreadyDecided(f"it is {known.state}")
        return None

    async def close_proposals(self, ids: Collection[int], *, now: int) -> int:
        """See `Proposals.close_proposals`."""
        return len(await self._fetch(_CLOSE, list(ids), from_micros(now)))

    async def find(self, id_: int) -> Proposal | None:
        """See `Proposals.find`."""
        rows = await self._fetch(_FIND, id_)
        return _proposal(rows[0]) if rows else None

    async def page(
        self,
        *,
        limit: int,
        after: tuple[float, int] | None = None,
        state: State | None = None,
        tier: Tier | None = None,
    ) -> Sequence[Proposal]:
        """See `Proposals.page`."""
        return [
            _proposal(row) for row in await self._fetch(_PAGE, _text(state), _text(tier), *(after or (None, 0)), limit)
        ]

    async def counts(self) -> Mapping[tuple[State, Tier], int]:
        """See `Proposals.counts`."""
        rows = await self._fetch(_COUNTS)
        return {(State(row["state"]), Tier(row["tier"])): row["proposals"] for row in rows}

    async def close(self) -> None:
        """See `Proposals.close`."""
        await self._link.close()

    async def _fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._link.fetch(query, self._workspace, *args)


def _columns(found: Sequence[Suggestion]) -> tuple[list[Any], ...]:
    pairs = [pair_of(*one.pair) for one in found]
    return (
        [UUID(bytes=one) for one, _ in pairs],
        [UUID(bytes=other) for _, other in pairs],
        [one.tier.value for one in found],
        [one.probability for one in found],
        # One text each, since PostgreSQL has no arrays of arrays that differ in length.
        ["\x1f".join(one.reasons) for one in found],
        [one.basis for one in found],
    )


def _text(value: State | Tier | None) -> str | None:
    return None if value is None else value.value


def _pair(row: asyncpg.Record) -> Pair:
    return row["one"].bytes, row["other"].bytes


def _proposal(row: asyncpg.Record) -> Proposal:
    return Proposal(
        id=row["proposal_id"],
        pair=_pair(row),
        tier=Tier(row["tier"]),
        probability=row["probability"],
        reasons=tuple(row["reasons"]),
        basis=row["basis"],
        state=State(row["state"]),
        proposed_at=to_micros(row["proposed_at"]),
        decided_by=row["decided_by"],
        decided_at=None if row["decided_at"] is None else to_micros(row["decided_at"]),
    )
