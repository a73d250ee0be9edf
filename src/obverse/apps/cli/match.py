"""`obverse match`: profiles that may be one person, found and proposed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import msgspec

from obverse.apps.cli.reachable import reachable
from obverse.core.identity import id_text
from obverse.core.matching import Tier
from obverse.flows.match import Match, Matched, MatchParts
from obverse.settings import Settings
from obverse.wiring import Wiring


class Told(msgspec.Struct, frozen=True):
    """One pair, for programs."""

    one: str
    other: str
    tier: Tier
    probability: float
    reasons: Sequence[str]


class Result(msgspec.Struct, frozen=True):
    """What came of it, for programs."""

    people: int
    tiers: Mapping[str, int]
    open: int
    merged: int
    decided: int
    closed: int
    first: Sequence[Told]


async def match(settings: Settings, *, as_json: bool) -> int:
    """
    Compare all profiles of an installation, and write the proposals.

    Raises:
        MatcherLacking: what matching needs is not installed.
        BadDefinition: a file cannot be used.
        Unreachable, ServerFailed: the database is away.
    """
    async with reachable(settings) as wiring:
        matched = await _matched(wiring)
    sys.stdout.write(as_line(matched) if as_json else in_words(matched))
    return 0


async def _matched(wiring: Wiring) -> Matched:
    matcher = await wiring.matcher()
    async with AsyncExitStack() as stack:
        definition_store = await wiring.definition_store()
        stack.push_async_callback(definition_store.close)
        definitions = wiring.definitions(definition_store)
        await definitions.open()
        store = await wiring.profile_store()
        stack.push_async_callback(store.close)
        proposals = await wiring.proposals()
        stack.push_async_callback(proposals.close)
        parts = MatchParts(
            store=store,
            matcher=matcher,
            proposals=proposals,
            merges=wiring.merge_requests(store),
            definitions=definitions.current,
            runtime=wiring.runtime,
        )
        return await Match(parts).run()


def as_line(matched: Matched) -> str:
    """One line of JSON."""
    result = Result(
        people=matched.people,
        tiers={tier.value: matched.tiers.get(tier, 0) for tier in Tier},
        open=matched.open,
        merged=matched.merged,
        decided=matched.decided,
        closed=matched.closed,
        first=[
            Told(id_text(one.pair[0]), id_text(one.pair[1]), one.tier, one.probability, one.reasons)
            for one in matched.first
        ],
    )
    return msgspec.json.encode(result).decode() + "\n"


def in_words(matched: Matched) -> str:
    """For people."""
    tiers = ", ".join(f"{matched.tiers.get(tier, 0)} {tier}" for tier in Tier)
    lines = [f"{matched.people} profiles compared; pairs that may be one person: {tiers}"]
    lines.append(
        f"{matched.open} wait for a person, {matched.merged} merged without one, {matched.decided} decided before, "
        f"{matched.closed} closed"
    )
    for one in matched.first:
        lines.append(f"  {one.tier:<6} {one.probability:.4f}  {id_text(one.pair[0])}  {id_text(one.pair[1])}")
        lines.append(f"         {'; '.join(one.reasons)}")
    return "\n".join(lines) + "\n"
