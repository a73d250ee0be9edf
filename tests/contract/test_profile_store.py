"""Every `ProfileStore` keeps its promises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from obverse.adapters.memory import profile_store as memory
from obverse.adapters.postgres import profile_store as postgres
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_store import ProfileStoreContract
from obverse.contracts.profile_store_steps import Kept, a_profile, up_to
from obverse.ports.profile_store import Checkpoint, Overview, ProfileStore
from services import Database


class TestMemoryProfileStore(ProfileStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[ProfileStore]:
        store = await memory.open_profile_store(memory.MemoryStoreSettings(), open_runtime())
        yield store
        await store.close()

    async def reopen(self, store: ProfileStore) -> ProfileStore:
        assert isinstance(store, memory.MemoryProfileStore)
        return store.crash()

    async def neighbour(self, store: ProfileStore) -> ProfileStore:
        assert isinstance(store, memory.MemoryProfileStore)
        return store.beside("other")

    async def kept(self, store: ProfileStore, profile: bytes) -> Kept | None:
        assert isinstance(store, memory.MemoryProfileStore)
        row, merged_into = store.row(profile)
        if row is None and merged_into is None:
            return None
        if row is None:
            return Kept(
                merged_into=merged_into, state=None, known=None, computed_traits={}, attributes={}, audiences={}
            )
        return Kept(
            merged_into=merged_into,
            state=row.state,
            known=row.known.packed if row.known else None,
            computed_traits=json.loads(row.computed_traits),
            attributes=json.loads(row.known.attributes) if row.known else None,
            groups=row.known.groups if row.known else (),
            audiences=row.audiences or {},
        )

    async def kept_attributes(self, store: ProfileStore, group: str) -> Any:
        assert isinstance(store, memory.MemoryProfileStore)
        row = store.group_row(group)
        return None if row is None else json.loads(row.attributes)


def test_the_store_in_memory_repeats_from_a_seed() -> None:
    async def run(runtime: SimulatedRuntime) -> Overview:
        store = await memory.open_profile_store(memory.MemoryStoreSettings(), runtime)

        async def work(name: str) -> None:
            for turn in range(3):
                writer = await store.open_writer(name)
                runtime.note(f"{name} writes")
                await runtime.sleep(runtime.random.random())
                profile = a_profile(f"{name} {turn}")
                await writer.commit(Checkpoint(marks=up_to(turn), profiles=[profile]))
                await writer.close()

        names = ["unify", "unify", "replay"]
        for started in [runtime.spawn(name, work(name)) for name in names]:
            await started.wait()
        return await store.overview()

    first, again, other = simulate(1, run), simulate(1, run), simulate(2, run)
    assert first == again
    assert first[1] != other[1]
    assert first[0].profiles == other[0].profiles == 6


@pytest.mark.service
class TestPostgresProfileStore(ProfileStoreContract):
    @pytest.fixture
    async def store(self, database: Database) -> AsyncIterator[ProfileStore]:
        self.database, self.opened = database, list[ProfileStore]()
        yield await self.open("main")
        for store in self.opened:
            await store.close()

    async def open(self, workspace: str) -> ProfileStore:
        settings = postgres.PostgresStoreSettings(dsn=self.database.dsn("obverse_worker"), workspace=workspace)
        self.opened.append(await postgres.open_profile_store(settings, open_runtime()))
        return self.opened[-1]

    async def reopen(self, store: ProfileStore) -> ProfileStore:
        del store
        await self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'obverse %'"
            " and datname = current_database()"
        )
        return await self.open("main")

    async def neighbour(self, store: ProfileStore) -> ProfileStore:
        del store
        return await self.open("other")

    async def kept(self, store: ProfileStore, profile: bytes) -> Kept | None:
        del store
        rows = await self.sql("select * from customer_profiles where id = $1", UUID(bytes=profile))
        members = await self.sql("select * from audience_members where profile_id = $1", UUID(bytes=profile))
        if not rows:
            return None
        merged_into = rows[0]["merged_into"]
        return Kept(
            merged_into=None if merged_into is None else merged_into.bytes,
            state=rows[0]["state"],
            known=rows[0]["known"],
            computed_traits=json.loads(rows[0]["computed_traits"]),
            attributes=json.loads(rows[0]["attributes"] or "null"),
            groups=tuple(rows[0]["groups"] or ()),
            audiences={row["audience"]: (row["number"], micros(row["since"])) for row in members},
        )

    async def kept_attributes(self, store: ProfileStore, group: str) -> Any:
        del store
        rows = await self.sql("select attributes from groups where workspace_id = 'main' and group_id = $1", group)
        return json.loads(rows[0]["attributes"]) if rows else None

    async def sql(self, query: str, *args: object) -> list[Any]:
        connection = await asyncpg.connect(self.database.admin)
        rows: list[Any] = await connection.fetch(query, *args)
        await connection.close()
        return rows


def micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
