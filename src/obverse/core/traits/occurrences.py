"""When something happened: what conditions on events look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes

Moments = tuple[int, ...]
"""Microseconds since 1970, in their order; one for each event, so some may be equal."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """
    The moments of the latest events, as many as are asked for.

    The latest few of a union are the same in whatever order events came, and so are those that are no older than
    `horizon` before the latest of all.
    """

    keep: int
    """How many moments, at most."""
    horizon: int | None = None
    """Microseconds before the latest one, beyond which none is of use; None: each is."""

    takes: ClassVar[Takes] = Takes.NOTHING
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> Moments:
        """See `TraitKind.start`."""
        return ()

    def add(self, state: Moments, value: Any, stamp: Stamp) -> Moments:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        at = stamp.time
        if not state or at >= state[-1]:
            return self._bounded((*state, at))
        return self._bounded(tuple(sorted((*state, at))))

    def merge(self, one: Moments, other: Moments) -> Moments:
        """See `TraitKind.merge`."""
        return self._bounded(tuple(sorted(one + other)))

    def _bounded(self, moments: Moments) -> Moments:
        kept = moments[-self.keep :]
        if self.horizon is None or not kept:
            return kept
        oldest = kept[-1] - self.horizon
        if kept[0] >= oldest:
            return kept
        return tuple(one for one in kept if one >= oldest)

    def read(self, state: Moments) -> Moments:
        """See `TraitKind.read`."""
        return state

    def pack(self, state: Moments) -> Any:
        """See `TraitKind.pack`."""
        return state

    def unpack(self, packed: Any) -> Moments:
        """See `TraitKind.unpack`."""
        return tuple(packed)
