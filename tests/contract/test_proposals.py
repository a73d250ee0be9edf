"""Every queue of proposals keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from obverse.adapters.memory.proposals import MemoryProposalsSettings
from obverse.adapters.memory.proposals import open_proposals as open_memory
from obverse.adapters.postgres.proposals import PostgresProposalsSettings, open_proposals
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.proposals import ProposalsContract
from obverse.ports.proposals import Proposals
from services import Database


class TestMemoryProposals(ProposalsContract):
    @pytest.fixture
    async def proposals(self) -> Proposals:
        return await open_memory(MemoryProposalsSettings(), open_runtime())


@pytest.mark.service
class TestPostgresProposals(ProposalsContract):
    # The api decides; `obverse match` proposes with the worker's login.
    @pytest.fixture(params=["obverse_api", "obverse_worker"])
    async def proposals(self, request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Proposals]:
        proposals = await open_proposals(PostgresProposalsSettings(dsn=database.dsn(request.param)), open_runtime())
        yield proposals
        await proposals.close()
