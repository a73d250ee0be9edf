"""Evidence: what ties identifiers to each other, what does not, and what was decided upon it."""

from __future__ import annotations

from typing import Final

import msgspec

from obverse.core.crdt.clock import Stamp
from obverse.core.identity.names import edge_key

SEEN_TOGETHER: Final = "seen_together"
"""The rule behind an edge: one event showed both identifiers."""
REFUSED: Final = "refused:"
"""Begins the rule behind an edge that ties nothing; what was against it follows: a kind, or one of these."""
MERGES: Final = "merges"
"""The profile has taken in as many others as it may."""
IDENTIFIERS: Final = "identifiers"
"""It has as many identifiers as it may."""
ISOLATION: Final = "isolation"
"""What names a device is kept apart from what names a person."""
TAKEN: Final = "taken"
"""Somebody with another unique identifier was seen with it later, and has it now."""
SHARED: Final = "shared"
"""The identifier was set aside."""
UNDONE: Final = "undone"
"""Somebody has taken the edge back, or a rule keeps the two apart."""
ACCEPTED: Final = "accepted"
"""The rule behind an edge: somebody said that both are of one person."""
FOR_GOOD: Final = frozenset(REFUSED + rule for rule in (SHARED, TAKEN, UNDONE))
"""Behind an edge: what is against a pair, whatever else the profile has. All else is a limit."""


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


class SetAside(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An identifier that was shown with so many profiles that it tells nobody from another any more."""

    identifier: str
    profiles: int
    """How many, when it was set aside."""
    event: str
    """Message id of the event that showed it with one too many."""
    at: int
    """That event's time, in microseconds since 1970."""


class Part(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What goes from a profile when an edge is taken back."""

    profile: bytes | None
    """Whose it is from now on; None: nobody's, since no event is left that is of nobody else."""
    identifiers: tuple[str, ...]
    absorbed: tuple[bytes, ...] = ()
    """Profiles that were merged away, and are part of this one."""


class Decision(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """
    What was decided when an event showed a new pair of identifiers; never taken anew in a replay.

    The profile gets the identifiers and edges; each of `absorbed` becomes one with it.
    """

    kind: str
    """`create`, `link`, `merge`, `refuse` if nothing is tied that was not, or `unmerge`."""
    profile: bytes
    absorbed: tuple[bytes, ...]
    identifiers: tuple[str, ...]
    """Whoever had them before."""
    edges: tuple[Edge, ...]
    event: str
    stamp: Stamp
    received_at: int
    set_aside: tuple[SetAside, ...] = ()
    """Identifiers that are nobody's from now on."""
    beside: tuple[bytes, ...] = ()
    """Other profiles that it moves: they lose an identifier, or are told that nothing ties them."""
    parts: tuple[Part, ...] = ()
    """What goes from the profile, and is no part of it any more."""
    left_out: tuple[str, ...] = ()
    """What the event showed beside and was left out, the strongest first; something is against some of it only."""
    again: str = ""
    """The request by which an edge was taken back, if what an event had shown was asked about again because of it."""

    @property
    def is_asked(self) -> bool:
        """Whether it was taken on request, and not for an event."""
        return self.kind == "unmerge" or any(edge.rule == ACCEPTED for edge in self.edges)

    @property
    def pairs_left_out(self) -> list[tuple[str, str]]:
        """The pairs that were left out, as `edge_key` orders them."""
        ends = (end for edge in self.edges if edge.refused for end in (edge.a, edge.b) if end not in self.left_out)
        strongest = next(ends, "")
        return [edge_key(strongest, one) for one in self.left_out] if strongest else []

    @property
    def related(self) -> tuple[bytes, ...]:
        """Every profile that it merged into the profile, or parted from it."""
        parts = (one for part in self.parts for one in (part.profile, *part.absorbed) if one is not None)
        return (*self.absorbed, *parts)
