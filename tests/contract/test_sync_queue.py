from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import cast

import asyncpg
import pytest

from obverse.adapters.memory.sync_queue import MemoryQueueSettings, MemorySyncQueue
from obverse.adapters.memory.sync_queue import open_sync_queue as open_memory
from obverse.adapters.postgres.sync_queue import PostgresQueueSettings, open_sync_queue
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.sync_queue import SyncQueueContract
from obverse.core.records import FieldState, SyncRecord
from obverse.ports.sync_queue import Attempt, Died, Heard, SyncQueue, Written
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

    async def test_who_writes_at_once_waits_for_nobody_in_a_circle(self, queue: SyncQueue, database: Database) -> None:
        """A worker settles, a collector hears and the api has dead letters tried again, all of the same people."""
        people = [bytes([number]) * 16 for number in range(40)]
        heard_by, retried_by = [
            await open_sync_queue(PostgresQueueSettings(dsn=database.dsn(role)), open_runtime())
            for role in ("obverse_collector", "obverse_api")
        ]
        worker = await queue.open_worker()

        def mixed(seed: int) -> list[bytes]:
            return Random(seed).sample(people, len(people))

        async def settle() -> None:
            for turn in range(30):
                await worker.put({"crm": mixed(turn)}, mark=None, now=turn)
                await worker.begin("crm", [(one, f"{one.hex()}@x.test", {}) for one in mixed(turn + 100)])
                tasks = {one.profile: one for one in await worker.due("crm", limit=100, now=turn)}
                results = [
                    Written(
                        task=tasks[one],
                        record=SyncRecord(profile=one, email=f"{one.hex()}@x.test", record_id=one.hex()),
                    )
                    if place % 3
                    else Died(task=tasks[one], attempt=Attempt(turn, "no"), fields={})
                    for place, one in enumerate(mixed(turn + 200))
                ]
                await worker.settle("crm", results)

        async def hear() -> None:
            for turn in range(60):
                told = [Heard(one, "city", FieldState("Rome", turn)) for one in mixed(turn + 300)]
                await heard_by.hear("crm", told, now=0)

        async def retry() -> None:
            for turn in range(60):
                await retried_by.retry("crm", None, now=turn)

        try:
            await asyncio.gather(settle(), hear(), retry())
        finally:
            for one in (heard_by, retried_by):
                await one.close()
        admin = await asyncpg.connect(database.admin)
        try:
            ended = "select deadlocks from pg_stat_database where datname = current_database()"
            assert await admin.fetchval(ended) == 0, "PostgreSQL had to end somebody"
        finally:
            await admin.close()
