"""Every ledger of replays keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from obverse.adapters.memory.replays import MemoryReplaysSettings
from obverse.adapters.memory.replays import open_replays as open_memory
from obverse.adapters.postgres.replays import PostgresReplaysSettings, open_replays
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.replays import ReplaysContract
from obverse.ports.replays import Replays, ReplaysWorker
from services import Database


class TestMemoryReplays(ReplaysContract):
    @pytest.fixture
    async def replays(self) -> Replays:
        return await open_memory(MemoryReplaysSettings(), open_runtime())

    async def neighbour(self, replays: Replays) -> Replays:
        del replays
        return await open_memory(MemoryReplaysSettings(workspace="other"), open_runtime())


@pytest.mark.service
class TestPostgresReplays(ReplaysContract):
    @pytest.fixture
    async def replays(self, database: Database) -> AsyncIterator[Replays]:
        # Who asks, and who does it, have a login each, whose grants are tested too.
        self.asking, self.doing = database.dsn("obverse_api"), database.dsn("obverse_worker")
        self.opened: list[Replays] = []
        yield await self._open(self.asking, "main")
        for one in self.opened:
            await one.close()

    async def _open(self, dsn: str, workspace: str) -> Replays:
        self.opened.append(await open_replays(PostgresReplaysSettings(dsn=dsn, workspace=workspace), open_runtime()))
        return self.opened[-1]

    async def neighbour(self, replays: Replays) -> Replays:
        del replays
        return await self._open(self.asking, "other")

    async def worker_of(self, replays: Replays) -> ReplaysWorker:
        workspace = "main" if replays is self.opened[0] else "other"
        return await (await self._open(self.doing, workspace)).open_worker()
