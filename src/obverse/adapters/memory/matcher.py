"""A matcher in memory: records that are the same in enough fields. For tests, and for trying things out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from obverse.core.matching import Agreement, Field
from obverse.ports.matcher import Columns, Matcher, Pair
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMatcherSettings:
    """The `[matcher.memory]` table of the settings file."""


async def open_matcher(settings: MemoryMatcherSettings, runtime: Runtime) -> Matcher:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.matcher:memory`."""
    return MemoryMatcher()


class MemoryMatcher:
    """See `Matcher`. A pair is as probable as the share of what is known of both that is the same."""

    async def match(self, fields: Sequence[Field], columns: Columns, *, least: float) -> Sequence[Pair]:
        """See `Matcher.match`."""
        rows = list(zip(*columns, strict=True)) if fields else []
        pairs = (_pair(one, other, rows[one], rows[other]) for one, other in combinations(range(len(rows)), 2))
        found = [pair for pair in pairs if pair.probability > 0 and pair.probability >= least]
        return sorted(found, key=lambda pair: (-pair.probability, pair.one, pair.other))


def _pair(one: int, other: int, left: Sequence[str | None], right: Sequence[str | None]) -> Pair:
    told = tuple(map(_agreement, left, right))
    known = len(told) - told.count(Agreement.UNKNOWN)
    return Pair(one, other, told.count(Agreement.SAME) / known if known else 0.0, told)


def _agreement(one: str | None, other: str | None) -> Agreement:
    if one is None or other is None:
        return Agreement.UNKNOWN
    return Agreement.SAME if one == other else Agreement.DIFFERENT
