"""Reading one workspace's profiles: what every part of the profile store does alike."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from obverse.adapters.postgres.connection import borrowed, trouble
from obverse.adapters.postgres.profile_writer import LOST

READ_LIMIT: Final = 30.0
"""Seconds after which an answer is not waited for any longer."""


class Reading:
    """Queries of one workspace, over a pool of connections."""

    def __init__(self, workspace: str, readers: asyncpg.Pool) -> None:
        self._workspace = workspace
        self._readers = readers

    async def _read(self, query: str, *args: Any, limit: float = READ_LIMIT) -> list[asyncpg.Record]:
        """
        Ask; the workspace is the first parameter. `limit` is in seconds.

        Raises:
            Unreachable, AccessRefused: there is no answer.
        """
        try:
            async with borrowed(self._readers, limit=limit) as reader:
                rows: list[asyncpg.Record] = await reader.fetch(query, self._workspace, *args, timeout=limit)
        except LOST as error:
            raise trouble(error, "read profiles") from error
        return rows
