"""Requests for merges, kept in memory: for tests."""

from __future__ import annotations

from typing import NamedTuple

from obverse.ports.merge_requests import MergesUnavailable


class Asked(NamedTuple):
    """One request."""

    one: str
    other: str
    by: str
    why: str


class NoMergeRequests:
    """Stands where nobody merges on request."""

    async def ask_merge(self, one: str, other: str, *, by: str, why: str) -> None:  # noqa: ARG002 - as `MergeRequests` says
        """See `MergeRequests.ask_merge`."""
        raise MergesUnavailable(
            f"{one} and {other} cannot be merged on request: this installation has no writer of identity that takes "
            "requests; run a release whose worker does"
        )


class MemoryMergeRequests:
    """See `MergeRequests`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    async def ask_merge(self, one: str, other: str, *, by: str, why: str) -> None:
        """See `MergeRequests.ask_merge`."""
        request = Asked(one, other, by, why)
        if request not in self.asked:
            self.asked.append(request)
