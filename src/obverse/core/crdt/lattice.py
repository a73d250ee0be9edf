"""What every mergeable value can do."""

from __future__ import annotations

from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Lattice(Protocol[Value]):
    """
    A join: `merge` commutes, regroups and may repeat, and never loses what either side knew.

    The laws are tested for every type by `obverse.contracts.lattice`.
    """

    def merge(self, one: Value, other: Value) -> Value:
        """Return the least value that knows what both know. May reuse either."""
        ...
