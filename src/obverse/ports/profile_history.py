"""Port: what a profile store keeps of the past."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from obverse.core.history import PastEvent
from obverse.core.identity import Decision


class KeptDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision of identity, and where the log holds it."""

    offset: int
    """In the stream of decisions, which has one partition."""
    decision: Decision


class Remains(msgspec.Struct, frozen=True, gc=False):
    """What is kept of some profiles, all as of one moment. Their oldest events may have been let go."""

    people: Sequence[bytes]
    """Those of them that are not merged away, as `profiles.pack` does."""
    events: int
    """How many events are kept that were folded into any of them."""
    since: int | None
    """Arrival of the first of these, in microseconds since 1970."""


class ProfileHistory(Protocol):
    """The part of a `ProfileStore` that tells how profiles came to be what they are."""

    async def decided(self) -> int:
        """
        Return the offset after the last decision that is kept, 0 if none is.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def decisions_of(self, profile: bytes) -> Sequence[KeptDecision]:
        """
        Return every decision on a profile and on all that a merge has ever tied to it, in the order of the log.

        Merges lead on, in both directions: to who absorbed it, to who else was absorbed there, and so on. Decisions
        that moved one of these beside its own profile are told too, and lead no further.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def past_events(
        self, profiles: Collection[bytes], *, until: int, limit: int, after: int = 0
    ) -> Sequence[PastEvent]:
        """
        Return events that were folded into just these profiles and had arrived by then, in the order of the fold.

        `until` is in microseconds since 1970; `after` is an event id: only later ones are returned. Objects are told
        as by `ProfileStore.events_of`.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def remains(self, profiles: Collection[bytes]) -> Remains:
        """
        Return what is kept of just these profiles.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
