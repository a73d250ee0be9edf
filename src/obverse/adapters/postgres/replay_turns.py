"""Whose turn it is to send again what waits."""

from __future__ import annotations

from obverse.adapters.postgres.worker_session import WorkerSession
from obverse.ports.runtime import Runtime


class PostgresReplayTurn:
    """See `ReplayTurn`: the lock belongs to the server's session, so it is free once that is gone."""

    def __init__(self, session: WorkerSession) -> None:
        self._session = session

    @staticmethod
    async def open(dsn: str, workspace: str, runtime: Runtime) -> PostgresReplayTurn:
        """See `ReplayTurns.open_replay_turn`."""
        name = f"{workspace}\0sends again what waits"
        return PostgresReplayTurn(await WorkerSession.open(dsn, "sends again what waits", name, runtime))

    async def check(self) -> None:
        """See `ReplayTurn.check`."""
        await self._session.fetch("select")

    async def close(self) -> None:
        """See `ReplayTurn.close`."""
        await self._session.close()
