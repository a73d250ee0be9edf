"""Port: asking for two profiles to be merged. Who asks does not merge: that is the work of identity's one writer."""

from __future__ import annotations

from typing import Final, Protocol

BY_ITSELF: Final = "matching"
"""Who asks where no person does."""


class MergeRequests(Protocol):
    """
    One workspace's requests for merges.

    Promises: a request that was taken is durable before `ask_merge` returns, and asking twice is asking once.
    """

    async def ask_merge(self, one: str, other: str, *, by: str, why: str) -> None:
        """
        Ask for the profiles of two identifiers to become one, `id:UUID` each, or any other identifier.

        `by` is who asks, `why` what a person reads of the cause.

        Raises:
            Unreachable: nothing is known; ask again.
        """
        ...

    async def refusal(self, one: str, other: str, *, by: str, why: str) -> str | None:
        """
        Return why nothing came of what was asked in these words last; None if something did, or may yet.

        Raises:
            Unreachable: it cannot be looked up now.
        """
        ...
