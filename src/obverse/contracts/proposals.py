"""What every `Proposals` must prove: a pair is there once, and what was decided is remembered."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, Final

import pytest

from obverse.core.matching import State, Tier
from obverse.ports.proposals import AlreadyDecided, Proposal, Proposals, Suggestion

T0: Final = 1_767_225_600_000_000
A, B, C, D = (bytes([number]) * 16 for number in (1, 2, 3, 4))
UPON: Final = b"upon this......."
OTHER: Final = b"upon another...."


def suggestion(one: bytes, other: bytes, probability: float = 0.9, **fields: Any) -> Suggestion:
    """A pair that matched."""
    given: dict[str, Any] = {
        "tier": Tier.STRICT,
        "reasons": ("same e-mail", "surname differs by one letter (alan, allan)"),
        "basis": UPON,
        **fields,
    }
    return Suggestion(pair=(one, other), probability=probability, **given)


async def only(proposals: Proposals) -> Proposal:
    """The one proposal that there is."""
    (one,) = await proposals.page(limit=10)
    return one


class ProposalsContract:
    """Subclass, say how proposals are opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def proposals(self) -> Proposals:
        """An empty queue. The suite does not close it."""

    async def test_what_was_proposed_is_read_back(self, proposals: Proposals) -> None:
        assert set(await proposals.propose([suggestion(A, B)], now=T0)) == {(A, B)}

        told = await only(proposals)

        assert told == Proposal(
            id=told.id,
            pair=(A, B),
            tier=Tier.STRICT,
            probability=0.9,
            reasons=("same e-mail", "surname differs by one letter (alan, allan)"),
            basis=UPON,
            state=State.OPEN,
            proposed_at=T0,
        )
        assert await proposals.find(told.id) == told
        assert await proposals.find(told.id + 1) is None

    async def test_a_pair_is_there_once(self, proposals: Proposals) -> None:
        await proposals.propose([suggestion(A, B), suggestion(B, A, 0.8)], now=T0)
        again = await proposals.propose([suggestion(B, A, 0.95, tier=Tier.EXACT, basis=OTHER)], now=T0 + 9)

        assert set(again) == {(A, B)}
        told = await only(proposals)
        assert (told.pair, told.probability, told.tier, told.basis) == ((A, B), 0.95, Tier.EXACT, OTHER)
        assert told.proposed_at == T0  # it has waited since

    async def test_nothing_is_proposed(self, proposals: Proposals) -> None:
        assert not await proposals.propose([], now=T0)
        assert await proposals.page(limit=10) == []

    async def test_it_is_decided_once(self, proposals: Proposals) -> None:
        await proposals.propose([suggestion(A, B)], now=T0)
        id_ = (await only(proposals)).id

        decided = await proposals.decide(id_, State.REJECTED, by="ada", now=T0 + 1)

        assert decided == await proposals.find(id_)
        assert decided is not None
        assert (decided.state, decided.decided_by, decided.decided_at) == (State.REJECTED, "ada", T0 + 1)
        with pytest.raises(AlreadyDecided, match="rejected"):
            await proposals.decide(id_, State.ACCEPTED, by="bob", now=T0 + 2)
        assert await proposals.find(id_) == decided
        assert await proposals.decide(id_ + 1, State.ACCEPTED, by="bob", now=T0) is None

    async def test_of_two_who_decide_at_once_one_is_told(self, proposals: Proposals) -> None:
        await proposals.propose([suggestion(A, B)], now=T0)
        id_ = (await only(proposals)).id
        verdicts = (State.ACCEPTED, State.REJECTED, State.ACCEPTED, State.REJECTED)

        told = await asyncio.gather(
            *(proposals.decide(id_, state, by="ada", now=T0) for state in verdicts), return_exceptions=True
        )

        assert sum(isinstance(one, AlreadyDecided) for one in told) == 3

    async def test_a_rejected_pair_is_opened_upon_something_else_alone(self, proposals: Proposals) -> None:
        await proposals.propose([suggestion(A, B)], now=T0)
        id_ = (await only(proposals)).id
        await proposals.decide(id_, State.REJECTED, by="ada", now=T0 + 1)

        assert not await proposals.propose([suggestion(B, A, 0.99)], now=T0 + 2)
        assert (await only(proposals)).state is State.REJECTED
        assert set(await proposals.propose([suggestion(A, B, 0.99, basis=OTHER)], now=T0 + 3)) == {(A, B)}

        told = await only(proposals)
        assert (told.id, told.state, told.proposed_at) == (id_, State.OPEN, T0 + 3)
        assert (told.decided_by, told.decided_at, told.basis) == (None, None, OTHER)

    @pytest.mark.parametrize("state", [State.ACCEPTED, State.MERGED])
    async def test_what_was_accepted_is_never_opened(self, proposals: Proposals, state: State) -> None:
        await proposals.propose([suggestion(A, B)], now=T0)
        await proposals.decide((await only(proposals)).id, state, by="ada", now=T0 + 1)

        assert not await proposals.propose([suggestion(A, B, basis=OTHER)], now=T0 + 2)
        told = await only(proposals)
        assert (told.state, told.basis) == (state, UPON)

    async def test_only_open_ones_are_closed_and_they_open_again(self, proposals: Proposals) -> None:
        await proposals.propose([suggestion(A, B), suggestion(A, C), suggestion(A, D)], now=T0)
        ids = {one.pair: one.id for one in await proposals.page(limit=10)}
        await proposals.decide(ids[A, B], State.REJECTED, by="ada", now=T0)

        assert await proposals.close_proposals([ids[A, B], ids[A, C], 999_999], now=T0 + 1) == 1
        states = {one.pair: one.state for one in await proposals.page(limit=10)}
        assert states == {(A, B): State.REJECTED, (A, C): State.CLOSED, (A, D): State.OPEN}
        closed = await proposals.find(ids[A, C])
        assert closed is not None
        assert (closed.decided_by, closed.decided_at) == (None, T0 + 1)

        assert set(await proposals.propose([suggestion(A, C)], now=T0 + 2)) == {(A, C)}

    async def test_pages_go_by_probability(self, proposals: Proposals) -> None:
        await proposals.propose(
            [
                suggestion(A, B, 0.5, tier=Tier.LOOSE),
                suggestion(A, C, 0.9),
                suggestion(A, D, 0.9),
                suggestion(B, C, 0.9999, tier=Tier.EXACT),
            ],
            now=T0,
        )

        every = await proposals.page(limit=10)
        assert [one.probability for one in every] == [0.9999, 0.9, 0.9, 0.5]
        assert every[1].id < every[2].id

        paged: list[Proposal] = []
        while page := await proposals.page(limit=1, after=(paged[-1].probability, paged[-1].id) if paged else None):
            paged += page
        assert paged == every

    async def test_pages_are_filtered_and_counted(self, proposals: Proposals) -> None:
        await proposals.propose(
            [suggestion(A, B, 0.5, tier=Tier.LOOSE), suggestion(A, C, 0.9), suggestion(A, D, 0.8)], now=T0
        )
        loose = (await proposals.page(limit=10, tier=Tier.LOOSE))[0]
        await proposals.decide(loose.id, State.ACCEPTED, by="ada", now=T0)

        assert [one.pair for one in await proposals.page(limit=10, state=State.OPEN)] == [(A, C), (A, D)]
        assert [one.pair for one in await proposals.page(limit=10, tier=Tier.LOOSE)] == [(A, B)]
        assert await proposals.page(limit=10, tier=Tier.LOOSE, state=State.OPEN) == []
        assert dict(await proposals.counts()) == {(State.ACCEPTED, Tier.LOOSE): 1, (State.OPEN, Tier.STRICT): 2}

    async def test_every_pair_is_visited(self, proposals: Proposals) -> None:
        await proposals.propose([suggestion(A, B), suggestion(A, C), suggestion(A, D)], now=T0)
        every = {one.id: one for one in await proposals.page(limit=10)}

        first = await proposals.standings(limit=2)
        rest = await proposals.standings(limit=2, after=first[-1].id)

        assert [one.id for one in (*first, *rest)] == sorted(every)
        assert all((one.pair, one.basis) == (every[one.id].pair, UPON) for one in (*first, *rest))
        assert {one.state for one in first} == {State.OPEN}
        assert await proposals.standings(limit=2, after=rest[-1].id) == []

    async def test_texts_of_any_kind_are_reasons(self, proposals: Proposals) -> None:
        odd = ('surname is alike (o\'brien "x", 山\\{,}%)', "")
        await proposals.propose([suggestion(A, B, reasons=odd), suggestion(A, C, reasons=("only one",))], now=T0)

        assert {one.pair: one.reasons for one in await proposals.page(limit=10)} == {
            (A, B): odd,
            (A, C): ("only one",),
        }
