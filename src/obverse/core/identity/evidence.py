"""Evidence: what ties identifiers to each other, what does not, and what was decided upon it."""

from __future__ import annotations

from typing import Final

import msgspec

from obverse.core.crdt.clock import Stamp

SEEN_TOGETHER: Final = "seen_together"
"""The rule behind an edge: one event showed both identifiers."""
REFUSED: Final = "refused:"
"""Begins the rule behind an edge that ties nothing."""


class Edge(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Evidence that two identifiers are of one person."""

    a: str
    b: str
    event: str
    """Message id of the event that showed it."""
    rule: str
    at: int
    """The event's time, in microseconds since 1970."""

    @property
    def refused(self) -> bool:
        """Whether it ties nothing: a rule was against it, which its rule names."""
        return self.rule.startswith(REFUSED)


class Decision(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """
    What was decided when an event showed a new pair of identifiers; never taken anew in a replay.

    The profile gets the identifiers and edges; each of `absorbed` becomes one with it.
    """

    kind: str
    """`create`, `link`, `merge`, or `refuse` if nothing became of it."""
    profile: bytes
    absorbed: tuple[bytes, ...]
    identifiers: tuple[str, ...]
    edges: tuple[Edge, ...]
    event: str
    stamp: Stamp
    received_at: int
