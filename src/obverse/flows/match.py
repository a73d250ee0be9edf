"""Match: everybody compared with everybody, in one batch, and those who may be one person proposed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from obverse.core.definitions import Definitions
from obverse.core.identity import id_name
from obverse.core.matching import MatchingRules, Record, State, Tier, basis, reasons, record_of, reopens, tier_of
from obverse.core.profiles import unpack_briefly
from obverse.flows.serve import UnreadableProfile
from obverse.ports.matcher import Matcher
from obverse.ports.merge_requests import BY_ITSELF, MergeRequests
from obverse.ports.profile_store import ProfileStore
from obverse.ports.proposals import AlreadyDecided, Pair, Proposals, Standing, Suggestion, pair_of
from obverse.ports.runtime import Runtime

PAGE: Final = 1_000
"""Profiles, or proposals, that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchParts:
    """What it works with."""

    store: ProfileStore
    matcher: Matcher
    proposals: Proposals
    merges: MergeRequests
    definitions: Callable[[], Definitions]
    runtime: Runtime
    page: int = PAGE
    """Profiles, or proposals, that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What came of it."""

    people: int
    tiers: Mapping[Tier, int]
    """Pairs that matched."""
    open: int
    """Of these, how many wait for a person now."""
    merged: int
    """How many were merged without one."""
    decided: int
    """How many a person has decided upon before."""
    closed: int
    """Proposals that nobody has to decide any more."""
    first: Sequence[Suggestion] = field(default=())
    """The surest of those that wait."""


class Match:
    """Compares all profiles with each other, as they were at the last checkpoint."""

    def __init__(self, parts: MatchParts) -> None:
        self._parts = parts

    async def run(self, *, first: int = 10) -> Matched:
        """
        Compare everybody, and bring the queue of proposals up to what was found; tell so many of the surest.

        Raises:
            MatcherLacking: what the matcher needs is not installed.
            Unreachable, AccessRefused: the store cannot be read, or the queue not be written.
            UnreadableProfile: another release wrote a profile.
        """
        rules = self._parts.definitions().matching
        records = await self._records(rules)
        suggestions = await self._suggestions(rules, records)
        standings = await self._standings()
        wanted = await self._not_decided(suggestions, standings, {one.profile for one in records})
        opened = await self._parts.proposals.propose(wanted, now=self._parts.runtime.now())
        merged = await self._merge_exact(wanted, opened) if rules.merge_exact else set()
        waiting = [one for one in suggestions if one.pair in opened and one.pair not in merged]
        return Matched(
            people=len(records),
            tiers=Counter(one.tier for one in suggestions),
            open=len(waiting),
            merged=len(merged),
            decided=len(suggestions) - len(opened),
            closed=await self._close(standings, opened),
            first=waiting[:first],
        )

    async def _records(self, rules: MatchingRules) -> list[Record]:
        records: list[Record] = []
        after: bytes | None = None
        while ids := await self._parts.store.people(limit=self._parts.page, after=after):
            try:
                records += [
                    record_of(unpack_briefly(packed), rules.fields) for packed in await self._parts.store.load((), ids)
                ]
            except ValueError as error:
                raise UnreadableProfile(str(error)) from error
            after = ids[-1]
        # A profile that was merged away meanwhile led to its keeper, who is there already.
        return list({one.profile: one for one in records}.values())

    async def _suggestions(self, rules: MatchingRules, records: Sequence[Record]) -> list[Suggestion]:
        columns = [[one.values[place] for one in records] for place in range(len(rules.fields))]
        found: list[Suggestion] = []
        for pair in await self._parts.matcher.match(rules.fields, columns, least=rules.tiers.loose):
            tier = tier_of(pair.probability, rules.fields, pair.agreements, rules.tiers)
            if tier is None:
                continue
            one, other = sorted((records[pair.one], records[pair.other]), key=lambda each: each.profile)
            found.append(
                Suggestion(
                    pair=(one.profile, other.profile),
                    tier=tier,
                    probability=pair.probability,
                    reasons=reasons(rules.fields, pair.agreements, one.values, other.values),
                    basis=basis(one.values, other.values),
                )
            )
        return found

    async def _standings(self) -> list[Standing]:
        standings: list[Standing] = []
        limit, after = self._parts.page, 0
        while page := await self._parts.proposals.standings(limit=limit, after=after):
            standings += page
            after = standings[-1].id
        return standings

    async def _not_decided(
        self, suggestions: Sequence[Suggestion], standings: Iterable[Standing], people: set[bytes]
    ) -> list[Suggestion]:
        """
        Those upon which nobody has decided under a profile that was merged away since.

        What was decided upon a pair itself, the queue knows.
        """
        decided: dict[Pair, list[Standing]] = {}
        for one in standings:
            if one.state is State.REJECTED and not people.issuperset(one.pair):
                first, second = [await self._keeper(id_) for id_ in one.pair]
                if first is not None and second is not None and first != second:
                    decided.setdefault(pair_of(first, second), []).append(one)
        return [
            one
            for one in suggestions
            if all(reopens(past.state, past.basis, one.basis) for past in decided.get(one.pair, ()))
        ]

    async def _keeper(self, profile: bytes) -> bytes | None:
        for packed in await self._parts.store.load((), (profile,)):
            return unpack_briefly(packed).id
        return None

    async def _merge_exact(self, suggestions: Sequence[Suggestion], opened: Iterable[Pair]) -> set[Pair]:
        """Have the pairs of the tier `exact` merged; returns which were."""
        exact = {one.pair: one for one in suggestions if one.tier is Tier.EXACT}
        wanted = agreeing(exact.keys() & set(opened))
        ids = {one.pair: one.id for one in await self._standings() if one.pair in wanted}
        merged: set[Pair] = set()
        for pair in sorted(wanted):
            one, other = map(id_name, pair)
            # Asked for first: a run that ends here asks again, and asking twice is asking once.
            await self._parts.merges.ask_merge(one, other, by=BY_ITSELF, why="; ".join(exact[pair].reasons))
            try:
                await self._parts.proposals.decide(ids[pair], State.MERGED, by=BY_ITSELF, now=self._parts.runtime.now())
            except AlreadyDecided:
                continue  # somebody was quicker
            merged.add(pair)
        return merged

    async def _close(self, standings: Iterable[Standing], opened: Iterable[Pair]) -> int:
        """Close what waited before this run and matches no more, as it does when the two have become one."""
        waiting = set(opened)
        ids = [one.id for one in standings if one.state is State.OPEN and one.pair not in waiting]
        return await self._parts.proposals.close_proposals(ids, now=self._parts.runtime.now()) if ids else 0


def agreeing(pairs: Iterable[Pair]) -> set[Pair]:
    """
    The pairs of those groups in which every two are a pair.

    Merging some pairs of a group merges all of it. If two of it are no pair, something speaks against them, and a
    person must look.

    >>> sorted(agreeing([(b"a", b"b"), (b"b", b"c"), (b"a", b"c"), (b"d", b"e"), (b"e", b"f")]))
    [(b'a', b'b'), (b'a', b'c'), (b'b', b'c')]
    """
    known = {pair_of(*pair) for pair in pairs}
    groups: dict[bytes, set[bytes]] = {}
    for one, other in known:
        joined = groups.get(one, {one}) | groups.get(other, {other})
        groups.update(dict.fromkeys(joined, joined))
    return {pair for pair in known if all(pair_of(*each) in known for each in combinations(sorted(groups[pair[0]]), 2))}
