"""Port: profiles that time alone may change, in the order in which their time comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class DueProfiles(Protocol):
    """The part of a `ProfileStore` that knows when each profile may change though no event comes."""

    async def due(
        self, before: int, *, limit: int, after: tuple[int, bytes] | None = None
    ) -> Sequence[tuple[int, bytes]]:
        """
        Return whose instant has come by `before`, as (instant, id), the earliest first; of those that follow `after`.

        Instants are in microseconds since 1970, as the last checkpoint told them (`ProfileRow.due_at`).

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
