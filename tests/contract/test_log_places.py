"""Everybody who keeps where the log is keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from obverse.adapters.memory.log_places import MemoryLogPlaces, MemoryLogPlacesSettings
from obverse.adapters.memory.log_places import open_log_places as open_memory
from obverse.adapters.postgres.log_places import PostgresLogPlacesSettings, open_log_places
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.log_places import LogPlacesContract
from obverse.ports.log_places import LogPlaces
from services import Database


class TestMemoryLogPlaces(LogPlacesContract):
    @pytest.fixture
    async def places(self) -> LogPlaces:
        return await open_memory(MemoryLogPlacesSettings(), open_runtime())

    async def neighbour(self, places: LogPlaces) -> LogPlaces:
        del places
        return await open_memory(MemoryLogPlacesSettings(workspace="other"), open_runtime())

    async def let_pass(self, places: LogPlaces, seconds: float) -> None:
        assert isinstance(places, MemoryLogPlaces)
        assert places.held_at is not None
        places.held_at -= seconds


@pytest.mark.service
class TestPostgresLogPlaces(LogPlacesContract):
    @pytest.fixture
    async def places(self, database: Database) -> AsyncIterator[LogPlaces]:
        # As the worker, whose grants are tested too.
        self.database = database
        places = await open_log_places(PostgresLogPlacesSettings(dsn=database.dsn("obverse_worker")), open_runtime())
        yield places
        await places.close()

    async def neighbour(self, places: LogPlaces) -> LogPlaces:
        del places
        settings = PostgresLogPlacesSettings(dsn=self.database.dsn("obverse_worker"), workspace="other")
        return await open_log_places(settings, open_runtime())

    async def let_pass(self, places: LogPlaces, seconds: float) -> None:
        del places
        connection = await asyncpg.connect(self.database.admin)
        await connection.execute("update log_places set held_at = held_at - make_interval(secs => $1)", seconds)
        await connection.close()

    @pytest.mark.parametrize("role", ["obverse_collector", "obverse_api"])
    async def test_every_role_may_settle(self, database: Database, places: LogPlaces, role: str) -> None:
        other = await open_log_places(PostgresLogPlacesSettings(dsn=database.dsn(role)), open_runtime())
        assert (await other.settle("postgres")).adapter == "postgres"
        assert (await places.settle("kafka")).adapter == "postgres"
        await other.close()
