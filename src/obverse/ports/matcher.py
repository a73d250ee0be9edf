"""Port: who finds records that may be of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from obverse.core.matching import Agreement, Field

Columns = Sequence[Sequence[str | None]]
"""A column a field, in the fields' order, each as long as there are records: normalised values, None where unknown."""


class Pair(msgspec.Struct, frozen=True, gc=False):
    """Two records that may be of one person."""

    one: int
    """Its place among the records; smaller than the other's."""
    other: int
    probability: float
    """That they are of one person, from 0 to 1."""
    agreements: tuple[Agreement, ...]
    """How their values agree, in the fields' order: the reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatcherLacking(Exception):
    """What the matcher needs is not installed; the message says how to install it."""

    what: str

    def __str__(self) -> str:
        return self.what


class Matcher(Protocol):
    """
    Compares records with each other, in one batch.

    Promises, proved for every adapter by `obverse.contracts.matcher`:

    * a pair is told once, the most probable first, and none that is less probable than was asked for;
    * what is told of a pair is so: `SAME` where both values are the same, `UNKNOWN` where one is None, and only there;
    * two records that agree in everything are a pair, two that agree in nothing are none;
    * the same records in the same order give the same pairs.
    """

    async def match(self, fields: Sequence[Field], columns: Columns, *, least: float) -> Sequence[Pair]:
        """
        Return pairs of records that are of one person with at least this probability.

        It may take minutes, and as many cores as there are; others get their turn meanwhile.

        Raises:
            MatcherLacking: what it needs is not installed.
        """
        ...
