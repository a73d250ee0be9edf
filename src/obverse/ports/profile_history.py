"""Port: what a profile store keeps of the past."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

import msgspec

from obverse.core.definitions import Definitions
from obverse.core.history import PastEvent, PastPeople
from obverse.core.identity import Decision

FOREVER: Final = 1 << 62
"""Microseconds since 1970 by which everything has come."""
_PAGE: Final = 1000


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


class Whole(msgspec.Struct, frozen=True, gc=False):
    """All that is kept of how one profile came to be."""

    decisions: Sequence[Decision]
    events: Sequence[PastEvent]
    """In the order of the fold."""


async def history_of(store: ProfileHistory, profile: bytes, definitions: Definitions) -> Whole:
    """
    Read how a profile came to be: its decisions, and the events of all that is part of it now.

    Raises:
        Unreachable: the store cannot be read now.
    """
    decisions = [kept.decision for kept in await store.decisions_of(profile)]
    people = PastPeople(FOREVER, decisions, definitions)
    related = {profile, *(one.profile for one in decisions), *(other for one in decisions for other in one.related)}
    theirs = sorted(one for one in related if people.keeper(one) == people.keeper(profile))
    events: list[PastEvent] = []
    while True:
        after = events[-1].id if events else 0
        page = await store.past_events(theirs, until=FOREVER, limit=_PAGE, after=after)
        events += page
        if len(page) < _PAGE:
            return Whole(decisions, events)


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
