"""Requests for merges, kept in memory: for tests."""

from __future__ import annotations

from typing import NamedTuple


class Asked(NamedTuple):
    """One request."""

    one: str
    other: str
    by: str
    why: str


class MemoryMergeRequests:
    """See `MergeRequests`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.refused: dict[Asked, str] = {}

    async def ask_merge(self, one: str, other: str, *, by: str, why: str) -> None:
        """See `MergeRequests.ask_merge`."""
        request = Asked(one, other, by, why)
        if request not in self.asked:
            self.asked.append(request)

    async def refusal(self, one: str, other: str, *, by: str, why: str) -> str | None:
        """See `MergeRequests.refusal`."""
        return self.refused.get(Asked(one, other, by, why))
