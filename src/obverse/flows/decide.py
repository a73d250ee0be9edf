"""Decide: the proposals of matching, looked through, and accepted or rejected by people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from obverse.core import times
from obverse.core.definitions import Definitions
from obverse.core.identity import id_name
from obverse.core.matching import MatchingRules, State, Tier, record_of
from obverse.core.profiles import Profile, unpack
from obverse.flows.browse import PersonView, view_person
from obverse.flows.cursors import BadCursor
from obverse.flows.serve import UnreadableProfile
from obverse.flows.views import Time
from obverse.ports.merge_requests import BY_ITSELF, MergeRequests
from obverse.ports.profile_store import ProfileStore
from obverse.ports.proposals import AlreadyDecided, Proposal, Proposals
from obverse.ports.runtime import Runtime

_LAST = 2**63 - 1
ProposalState = Annotated[
    State,
    Meta(
        description="`open`; `accepted` or `rejected` by a person; `merged` without one, being of the tier `exact`; "
        "`closed`: the two have become one, or match no more."
    ),
]


class ComparedView(msgspec.Struct, frozen=True):
    """One field, as it is compared now: in lower case, without accents, and the like."""

    field: str
    one: str | None
    other: str | None


class ProposalView(msgspec.Struct, frozen=True):
    """Two profiles that may be one person."""

    id: str
    tier: Tier
    probability: Annotated[float, Meta(description="That they are one person, from 0 to 1.")]
    reasons: Annotated[list[str], Meta(description="What speaks for it first, then what speaks against it.")]
    state: ProposalState
    proposed_at: Time
    decided_by: str | None
    decided_at: Annotated[str | None, Meta(description="When it was decided, or closed.")]
    refused: Annotated[
        str | None, Meta(description="Why the two were not merged after all, though that was decided; else null.")
    ]
    one: Annotated[PersonView | None, Meta(description="Null if the profile is no more.")]
    other: Annotated[PersonView | None, Meta(description="Null if the profile is no more.")]
    compared: Annotated[list[ComparedView], Meta(description="What is known of either, by field.")]


class ProposalsView(msgspec.Struct, frozen=True):
    """Some proposals, the most probable first."""

    proposals: list[ProposalView]
    next: Annotated[str | None, Meta(description="Give it as `after` for those that follow; null at the end.")]


class ProposalCountView(msgspec.Struct, frozen=True):
    """How many proposals of one tier have one state."""

    tier: Tier
    state: ProposalState
    count: int


class ProposalCountsView(msgspec.Struct, frozen=True):
    """How many proposals there are of each kind."""

    counts: list[ProposalCountView]


class Decide:
    """Shows proposals, and takes people's decisions upon them."""

    def __init__(
        self,
        proposals: Proposals,
        store: ProfileStore,
        merges: MergeRequests,
        definitions: Callable[[], Definitions],
        runtime: Runtime,
    ) -> None:
        self._proposals = proposals
        self._store = store
        self._merges = merges
        self._definitions = definitions
        self._runtime = runtime

    async def page(
        self, *, limit: int, after: str | None = None, state: State | None = None, tier: Tier | None = None
    ) -> ProposalsView:
        """
        Return proposals, the most probable first.

        Raises:
            BadCursor: `after` is none that an answer before has given.
            Unreachable, AccessRefused: the store cannot be read. So do all below.
            UnreadableProfile: another release wrote a profile. So do all below.
        """
        found = await self._proposals.page(limit=limit + 1, after=_cursor(after), state=state, tier=tier)
        shown = found[:limit]
        people = await self._people(shown)
        last = f"{shown[-1].probability!r}-{shown[-1].id}" if len(found) > limit else None
        return ProposalsView([await self._view(one, people) for one in shown], last)

    async def counts(self) -> ProposalCountsView:
        """Return how many there are, by tier and state."""
        counts = await self._proposals.counts()
        return ProposalCountsView(
            [ProposalCountView(tier, state, count) for (state, tier), count in sorted(counts.items())]
        )

    async def accept(self, id_: str, *, by: str) -> ProposalView | None:
        """
        Have the two profiles merged, which takes a moment; return the proposal, None if there is none.

        Raises:
            BadCursor: the text is no proposal's id.
            AlreadyDecided: it is not open, or its two profiles are one already.
        """
        known = await self._proposals.find(number_of(id_))
        if known is None:
            return None
        if known.state is not State.OPEN:
            raise AlreadyDecided(f"it is {known.state}")
        people = await self._people([known])
        one, other = (people.get(profile) for profile in known.pair)
        now = self._runtime.now()
        if one is None or other is None or one.id == other.id:
            await self._proposals.close_proposals([known.id], now=now)
            gone = one is None or other is None
            raise AlreadyDecided("one of its profiles is no more" if gone else "its two profiles have become one")
        # Asked for first: whoever is cut off here accepts again, and asking twice is asking once.
        await self._merges.ask_merge(id_name(one.id), id_name(other.id), by=by, why="; ".join(known.reasons))
        decided = await self._proposals.decide(known.id, State.ACCEPTED, by=by, now=now)
        return None if decided is None else await self._view(decided, people)

    async def reject(self, id_: str, *, by: str) -> ProposalView | None:
        """
        Note that they are two; return the proposal, None if there is none.

        Raises:
            BadCursor, AlreadyDecided: as `accept`.
        """
        decided = await self._proposals.decide(number_of(id_), State.REJECTED, by=by, now=self._runtime.now())
        return None if decided is None else await self._view(decided, await self._people([decided]))

    async def _people(self, proposals: Sequence[Proposal]) -> dict[bytes, Profile]:
        """The profiles of proposals by the ids that they name; one that was merged away is its keeper."""
        ids = {profile for one in proposals for profile in one.pair}
        definitions = self._definitions()
        try:
            found = {one.id: one for one in (unpack(each, definitions) for each in await self._store.load((), ids))}
            for id_ in ids - found.keys():
                for packed in await self._store.load((), (id_,)):
                    found[id_] = unpack(packed, definitions)
        except ValueError as error:
            raise UnreadableProfile(str(error)) from error
        return found

    async def _view(self, one: Proposal, people: dict[bytes, Profile]) -> ProposalView:
        sides = [people.get(profile) for profile in one.pair]
        return ProposalView(
            id=str(one.id),
            tier=one.tier,
            probability=one.probability,
            reasons=list(one.reasons),
            state=one.state,
            proposed_at=times.to_text(one.proposed_at),
            decided_by=one.decided_by,
            decided_at=None if one.decided_at is None else times.to_text(one.decided_at),
            refused=await self._refused(one, sides),
            one=None if sides[0] is None else view_person(sides[0], self._definitions().identity),
            other=None if sides[1] is None else view_person(sides[1], self._definitions().identity),
            compared=_compared(sides, self._definitions().matching),
        )

    async def _refused(self, one: Proposal, sides: Sequence[Profile | None]) -> str | None:
        """Why two who were to be one are two."""
        left, right = sides
        if one.state not in {State.ACCEPTED, State.MERGED} or left is None or right is None or left.id == right.id:
            return None
        by = one.decided_by if one.state is State.ACCEPTED else BY_ITSELF
        why = "; ".join(one.reasons)
        return await self._merges.refusal(id_name(left.id), id_name(right.id), by=by or "", why=why)


def _compared(sides: Sequence[Profile | None], rules: MatchingRules) -> list[ComparedView]:
    nothing = (None,) * len(rules.fields)
    left, right = (nothing if side is None else record_of(side, rules.fields).values for side in sides)
    return [
        ComparedView(field.name, one, other)
        for field, one, other in zip(rules.fields, left, right, strict=True)
        if one is not None or other is not None
    ]


def number_of(text: str) -> int:
    """
    The number of a proposal that is named.

    Raises:
        BadCursor: it names none.
    """
    if not text.isdecimal() or not text.isascii() or len(text) > len(str(_LAST)):
        raise BadCursor(f"{text[:40]!r} names no proposal: give an id that an answer before has given")
    return min(int(text), _LAST)


def _cursor(text: str | None) -> tuple[float, int] | None:
    if text is None:
        return None
    probability, _, number = text.rpartition("-")
    try:
        if 0 <= (found := float(probability)) <= 1:
            return found, number_of(number)
    except ValueError:  # as BadCursor is
        pass
    raise BadCursor(f"{text[:40]!r} is none: give one that an answer before has given")
