"""Every keeper of runs keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from obverse.adapters.memory.trait_runs import MemoryTraitRunsSettings
from obverse.adapters.memory.trait_runs import open_trait_runs as open_memory
from obverse.adapters.postgres.trait_runs import PostgresTraitRunsSettings, open_trait_runs
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.trait_runs import TraitRunsContract
from obverse.ports.trait_runs import TraitRuns
from services import Database


class TestMemoryTraitRuns(TraitRunsContract):
    @pytest.fixture
    async def runs(self) -> TraitRuns:
        return await open_memory(MemoryTraitRunsSettings(), open_runtime())

    async def neighbour(self, runs: TraitRuns) -> TraitRuns:
        del runs
        return await open_memory(MemoryTraitRunsSettings(workspace="other"), open_runtime())


@pytest.mark.service
class TestPostgresTraitRuns(TraitRunsContract):
    @pytest.fixture
    async def runs(self, database: Database) -> AsyncIterator[TraitRuns]:
        # As the worker, whose grants are tested too.
        self.dsn = database.dsn("obverse_worker")
        runs = await open_trait_runs(PostgresTraitRunsSettings(dsn=self.dsn), open_runtime())
        yield runs
        await runs.close()

    async def neighbour(self, runs: TraitRuns) -> TraitRuns:
        del runs
        return await open_trait_runs(PostgresTraitRunsSettings(dsn=self.dsn, workspace="other"), open_runtime())
