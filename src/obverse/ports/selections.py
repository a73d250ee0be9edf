"""Port: who of a profile store's people conditions hold for, as sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyroaring import BitMap64

from obverse.core.conditions import Condition


@dataclass(frozen=True, slots=True)
class Selection:
    """Sets of people, by numbers that name them as long as their profiles are there."""

    everybody: BitMap64
    chosen: Mapping[Condition, BitMap64]
    """For each condition that was asked for, whom it holds for."""


class Selections(Protocol):
    """
    The part of a `ProfileStore` that finds the people a condition holds for, as of the last checkpoint.

    Conditions are those that no others are joined in: tests, memberships, and what people did.
    """

    async def select(self, conditions: Collection[Condition], *, now: int) -> Selection:
        """
        Return everybody, and whom each condition holds for at this instant, in microseconds since 1970.

        What people did is looked up among the events that are kept.

        Raises:
            Unreachable: the store cannot be read now, or not in time.
        """
        ...

    async def numbered(self, numbers: Sequence[int]) -> Sequence[bytes]:
        """
        Return the profiles of these numbers, as `profiles.pack` does; those that are there no more are left out.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
