"""Port: whose turn it is to send again what waits, of several collectors."""

from __future__ import annotations

from typing import Protocol


class ReplayTurn(Protocol):
    """One collector's turn, until it is closed or its process ends."""

    async def check(self) -> None:
        """
        See that it goes on.

        Raises:
            Unreachable: it may be another one's by now; take a new one.
        """
        ...

    async def close(self) -> None:
        """Let the next one in."""
        ...


class ReplayTurns(Protocol):
    """
    Sees that what waits is sent again once, and not by every collector.

    It is a courtesy: for a moment two may believe that it is theirs. Then an event may be appended twice, and counts
    once, for it has one message id.
    """

    async def open_replay_turn(self) -> ReplayTurn:
        """
        Become the one who sends again what waits, waiting for the former one to go.

        Raises:
            Unreachable: the store does not answer now.
        """
        ...
