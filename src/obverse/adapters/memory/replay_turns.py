"""Whose turn it is to send again what waits."""

from __future__ import annotations

import asyncio

from obverse.ports.outcomes import Unreachable


class MemoryReplayTurn:
    """See `ReplayTurn`."""

    def __init__(self, turn: asyncio.Lock) -> None:
        self._turn: asyncio.Lock | None = turn
        self.lost = False
        """Whether its process is thought dead."""

    async def check(self) -> None:
        """See `ReplayTurn.check`."""
        if self.lost or self._turn is None:
            raise Unreachable("the turn to send again what waits is over")

    async def close(self) -> None:
        """See `ReplayTurn.close`."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()
