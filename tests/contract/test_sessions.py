"""Every keeper of sessions keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from obverse.adapters.memory.sessions import MemorySessionsSettings
from obverse.adapters.memory.sessions import open_sessions as open_memory
from obverse.adapters.postgres.sessions import PostgresSessionsSettings, open_sessions
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.sessions import SessionsContract
from obverse.ports.sessions import Sessions
from services import Database


class TestMemorySessions(SessionsContract):
    @pytest.fixture
    async def sessions(self) -> Sessions:
        return await open_memory(MemorySessionsSettings(), open_runtime())


@pytest.mark.service
class TestPostgresSessions(SessionsContract):
    @pytest.fixture
    async def sessions(self, database: Database) -> AsyncIterator[Sessions]:
        # As the api, whose grants are tested too.
        sessions = await open_sessions(PostgresSessionsSettings(dsn=database.dsn("obverse_api")), open_runtime())
        yield sessions
        await sessions.close()
