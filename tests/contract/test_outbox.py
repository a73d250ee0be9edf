"""Every outbox keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import asyncpg
import pytest

from obverse.adapters.memory.outbox import MemoryOutbox, MemoryOutboxSettings
from obverse.adapters.memory.outbox import open_outbox as open_memory
from obverse.adapters.postgres.outbox import PostgresOutboxSettings, open_outbox
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.outbox import T0, OutboxContract, answered, wanted
from obverse.ports.outbox import Outbox
from services import Database


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    async def outbox(self) -> Outbox:
        return await open_memory(MemoryOutboxSettings(), open_runtime())

    async def killed(self, outbox: Outbox) -> Outbox:
        return cast("MemoryOutbox", outbox).crash()


@pytest.mark.service
class TestPostgresOutbox(OutboxContract):
    @pytest.fixture
    async def outbox(self, database: Database) -> AsyncIterator[Outbox]:
        self._database = database
        # As the worker, which writes, and not as the owner: its grants are tested too.
        outbox = await open_outbox(PostgresOutboxSettings(dsn=database.dsn("obverse_worker")), open_runtime())
        yield outbox
        await outbox.close()

    async def killed(self, outbox: Outbox) -> Outbox:
        admin = await asyncpg.connect(self._database.admin)
        try:
            await admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'obverse sends messages' and datname = current_database()"
            )
        finally:
            await admin.close()
        return outbox

    async def test_the_api_accepts_and_resolves_with_its_own_login(self, database: Database, outbox: Outbox) -> None:
        api = await open_outbox(PostgresOutboxSettings(dsn=database.dsn("obverse_api")), open_runtime())
        try:
            assert await api.accept(wanted("ada"), answered()) is None
            assert await api.accept(wanted("ada"), answered()) == answered()
            assert await api.resolve(bytes(16), "sent", now=T0) is None
            assert len(await outbox.page(limit=3)) == 1
        finally:
            await api.close()
