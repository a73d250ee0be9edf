"""Port: the values that traits have, among the people of a profile store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCounts:
    """How many people have a value of each of some traits."""

    everybody: int
    looked_at: int
    """Of everybody; fewer, if there are too many to look at all."""
    having: Mapping[str, int]
    """By trait, of those who were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitSample:
    """The values that one trait has."""

    everybody: int
    looked_at: int
    """Of everybody; fewer, if there are too many to look at all."""
    values: Sequence[bytes]
    """As JSON, of those who were looked at and have one; in no order."""
    newest: int | None
    """When one of these people last changed, in microseconds since 1970; None while nobody has a value."""


class TraitValues(Protocol):
    """
    The part of a `ProfileStore` that tells how the values of traits are spread, as of the last checkpoint.

    While there are `most` people or fewer all of them are looked at; else about so many, picked by where they are kept.
    """

    async def count_values(self, traits: Collection[str], *, most: int) -> ValueCounts:
        """
        Return how many people have a value of each trait; a null is none.

        Raises:
            Unreachable: the store cannot be read now, or not in time. So does `sample_values`.
        """
        ...

    async def sample_values(self, trait: str, *, most: int) -> TraitSample:
        """Return the values of a trait; of large ones fewer than there are, if they are too much for one answer."""
        ...
