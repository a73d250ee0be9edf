from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import asyncpg
import pytest

from obverse.adapters.memory.sync_queue import MemoryQueueSettings, MemorySyncQueue
from obverse.adapters.memory.sync_queue import open_sync_queue as open_memory
from obverse.adapters.postgres.sync_queue import PostgresQueueSettings, open_sync_queue
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.sync_queue import SyncQueueContract
from obverse.ports.sync_queue import SyncQueue
from services import Database


class TestMemorySyncQueue(SyncQueueContract):
    @pytest.fixture
    async def queue(self) -> SyncQueue:
        return await open_memory(MemoryQueueSettings(), open_runtime())

    async def killed(self, queue: SyncQueue) -> SyncQueue:
        return cast("MemorySyncQueue", queue).crash()


@pytest.mark.service
class TestPostgresSyncQueue(SyncQueueContract):
    @pytest.fixture
    async def queue(self, database: Database) -> AsyncIterator[SyncQueue]:
        self._database = database
        # As the worker, which writes, and not as the owner: its grants are tested too.
        queue = await open_sync_queue(PostgresQueueSettings(dsn=database.dsn("obverse_worker")), open_runtime())
        yield queue
        await queue.close()

    async def killed(self, queue: SyncQueue) -> SyncQueue:
        admin = await asyncpg.connect(self._database.admin)
        try:
            await admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'obverse writes to CRMs' and datname = current_database()"
            )
        finally:
            await admin.close()
        return queue
