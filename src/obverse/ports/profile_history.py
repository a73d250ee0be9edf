"""Port: what a profile store keeps of the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from obverse.core.identity import Decision


class KeptDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision of identity, and where the log holds it."""

    offset: int
    """In the stream of decisions, which has one partition."""
    decision: Decision


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

        Merges lead on, in both directions: to who absorbed it, to who else was absorbed there, and so on.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
