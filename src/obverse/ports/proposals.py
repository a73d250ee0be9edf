"""Port: pairs of profiles that may be one person, and what people decided upon them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from obverse.core.matching import State, Tier

Pair = tuple[bytes, bytes]
"""The ids of two profiles, the smaller first."""


def pair_of(one: bytes, other: bytes) -> Pair:
    """
    Both ids in their one order.

    >>> pair_of(b"b", b"a")
    (b'a', b'b')
    """
    return (one, other) if one < other else (other, one)


class Suggestion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pair that matched."""

    pair: Pair
    tier: Tier
    probability: float
    reasons: tuple[str, ...]
    basis: bytes
    """`core.matching.basis` of the values that were compared."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pair as it stands in the queue."""

    id: int
    """Grows in the order in which pairs were first proposed."""
    pair: Pair
    tier: Tier
    probability: float
    reasons: tuple[str, ...]
    basis: bytes
    state: State
    proposed_at: int
    """When it was opened last, in microseconds since 1970."""
    decided_by: str | None = None
    decided_at: int | None = None


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What a run must know of a pair that is known."""

    id: int
    pair: Pair
    state: State
    basis: bytes


class AlreadyDecided(Exception):
    """The proposal is not open any more; the message says what it is."""


class Proposals(Protocol):
    """
    One workspace's queue of proposals.

    Promises, proved for every adapter by `obverse.contracts.proposals`:

    * a pair is there once, whichever of the two is named first;
    * what was decided is not opened again by `propose`, but as `core.matching.reopens` says;
    * of two who decide at once one is told that it is decided.

    Every method raises `Unreachable` where nothing can be read or written now.
    """

    async def propose(self, found: Sequence[Suggestion], *, now: int) -> Collection[Pair]:
        """
        Open proposals of these pairs, each once; return those that are open now.

        An open one is told anew, with what was found now; when it was opened stays. One that was decided, and is
        opened again, is as if it were new.
        """
        ...

    async def standings(self, *, limit: int, after: int = 0) -> Sequence[Standing]:
        """Return every pair that was ever proposed, in the order of their ids, those with larger ones than `after`."""
        ...

    async def decide(self, id_: int, state: State, *, by: str, now: int) -> Proposal | None:
        """
        Decide upon an open proposal; return it as it is then, None if there is none.

        Raises:
            AlreadyDecided: it is not open.
        """
        ...

    async def close_proposals(self, ids: Collection[int], *, now: int) -> int:
        """Close those of them that are open; return how many were."""
        ...

    async def find(self, id_: int) -> Proposal | None:
        """Return a proposal."""
        ...

    async def page(
        self,
        *,
        limit: int,
        after: tuple[float, int] | None = None,
        state: State | None = None,
        tier: Tier | None = None,
    ) -> Sequence[Proposal]:
        """Return proposals, the most probable first, of two alike the earlier; those after (probability, id)."""
        ...

    async def counts(self) -> Mapping[tuple[State, Tier], int]:
        """Return how many there are of each state and tier; what there is none of is left out."""
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...
