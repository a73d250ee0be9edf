"""Proposals in memory: for tests and for trying things out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from obverse.core.matching import State, Tier, reopens
from obverse.ports.proposals import AlreadyDecided, Pair, Proposal, Proposals, Standing, Suggestion, pair_of
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProposalsSettings:
    """The `[proposals.memory]` table of the settings file."""

    workspace: str = "main"


async def open_proposals(settings: MemoryProposalsSettings, runtime: Runtime) -> Proposals:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.proposals:memory`. Each call opens an empty queue of its own."""
    return MemoryProposals()


class MemoryProposals:
    """See `Proposals`."""

    def __init__(self) -> None:
        self._kept: dict[int, Proposal] = {}
        self._ids: dict[Pair, int] = {}

    async def propose(self, found: Sequence[Suggestion], *, now: int) -> Collection[Pair]:
        """See `Proposals.propose`."""
        return {pair_of(*one.pair) for one in found if self._propose(one, now).state is State.OPEN}

    def _propose(self, found: Suggestion, now: int) -> Proposal:
        pair = pair_of(*found.pair)
        id_ = self._ids.setdefault(pair, len(self._ids) + 1)
        known = self._kept.get(id_)
        if known is not None and not reopens(known.state, known.basis, found.basis):
            return known
        self._kept[id_] = Proposal(
            id=id_,
            pair=pair,
            tier=found.tier,
            probability=found.probability,
            reasons=found.reasons,
            basis=found.basis,
            state=State.OPEN,
            proposed_at=known.proposed_at if known is not None and known.state is State.OPEN else now,
        )
        return self._kept[id_]

    async def standings(self, *, limit: int, after: int = 0) -> Sequence[Standing]:
        """See `Proposals.standings`."""
        ids = sorted(id_ for id_ in self._kept if id_ > after)[:limit]
        return [Standing(id_, one.pair, one.state, one.basis) for id_ in ids for one in (self._kept[id_],)]

    async def decide(self, id_: int, state: State, *, by: str, now: int) -> Proposal | None:
        """See `Proposals.decide`."""
        known = self._kept.get(id_)
        if known is None:
            return None
        if known.state is not State.OPEN:
            raise AlreadyDecided(f"it is {known.state}")
        self._kept[id_] = structs.replace(known, state=state, decided_by=by, decided_at=now)
        return self._kept[id_]

    async def close_proposals(self, ids: Collection[int], *, now: int) -> int:
        """See `Proposals.close_proposals`."""
        closed = [id_ for id_ in set(ids) if id_ in self._kept and self._kept[id_].state is State.OPEN]
        for id_ in closed:
            self._kept[id_] = structs.replace(self._kept[id_], state=State.CLOSED, decided_at=now)
        return len(closed)

    async def find(self, id_: int) -> Proposal | None:
        """See `Proposals.find`."""
        return self._kept.get(id_)

    async def page(
        self,
        *,
        limit: int,
        after: tuple[float, int] | None = None,
        state: State | None = None,
        tier: Tier | None = None,
    ) -> Sequence[Proposal]:
        """See `Proposals.page`."""
        ordered = sorted(self._kept.values(), key=lambda one: (-one.probability, one.id))
        wanted = (one for one in ordered if state in {None, one.state} and tier in {None, one.tier})
        return [one for one in wanted if after is None or (-one.probability, one.id) > (-after[0], after[1])][:limit]

    async def counts(self) -> Mapping[tuple[State, Tier], int]:
        """See `Proposals.counts`."""
        return Counter((one.state, one.tier) for one in self._kept.values())

    async def close(self) -> None:
        """See `Proposals.close`."""
