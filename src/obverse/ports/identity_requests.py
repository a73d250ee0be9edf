"""Port: what people ask of identity, and wait for the engine's one writer of decisions to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class IdentityRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """That an edge be taken back, or that two identifiers be of one person."""

    id: str
    """Given by who asks; names the decision that comes of it."""
    kind: Literal["unmerge", "merge"]
    one: str
    """An identifier, `kind:value`."""
    other: str
    by: str
    """Who asks."""
    why: str = ""
    asked_at: int
    """Microseconds since 1970."""
    outcome: Outcome | None = None
    """None while it waits."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a request."""

    done: bool
    detail: str
    """What was done, and what could not be; or why nothing was."""


class IdentityRequests(Protocol):
    """The part of a `ProfileStore` in which requests wait. They are settled with a checkpoint."""

    async def ask_identity(self, request: IdentityRequest) -> bool:
        """
        Have a request wait; False, and nothing done, if there is one of this id.

        Raises:
            Unreachable: nothing is known of it; asking again does no harm.
        """
        ...

    async def waiting_identity(self, *, limit: int) -> Sequence[IdentityRequest]:
        """
        Return requests that wait, in the order in which they were asked.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def identity_request(self, one: str) -> IdentityRequest | None:
        """
        Return the request of this id, None if there is none.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
