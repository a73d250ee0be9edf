"""Port: whose events a part of the log held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from obverse.core.replays import Span


class PeopleOfSpans(Protocol):
    """The part of a `ProfileStore` that finds the people of a part of the log."""

    async def people_of(
        self, spans: Mapping[int, Span], *, limit: int, after: bytes | None = None
    ) -> Sequence[bytes]:  # fmt: skip
        """
        Return ids of people whose events were folded from these places, by partition; in their order, after `after`.

        Of whoever was merged away, those of who holds them now. Events that are kept no more are nobody's.

        Raises:
            Unreachable: the store cannot be read now, or not in time.
        """
        ...
