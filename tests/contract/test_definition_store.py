"""Every store of definitions keeps its promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from obverse.adapters.memory.definition_store import MemoryDefinitionStoreSettings
from obverse.adapters.memory.definition_store import open_definition_store as open_memory
from obverse.adapters.postgres.definition_store import PostgresDefinitionStoreSettings, open_definition_store
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.definition_store import ADA, DefinitionStoreContract, a_trait
from obverse.core.documents.written import Key
from obverse.ports.definition_store import DefinitionSet, DefinitionStore
from obverse.ports.outcomes import AccessRefused, Unreachable
from services import Database, Wire, until


class TestMemoryDefinitionStore(DefinitionStoreContract):
    @pytest.fixture
    async def store(self) -> DefinitionStore:
        return await open_memory(MemoryDefinitionStoreSettings(), open_runtime())


async def at(dsn: str, workspace: str = "main") -> DefinitionStore:
    return await open_definition_store(PostgresDefinitionStoreSettings(dsn=dsn, workspace=workspace), open_runtime())


@pytest.mark.service
class TestPostgresDefinitionStore(DefinitionStoreContract):
    @pytest.fixture
    async def store(self, database: Database) -> AsyncIterator[DefinitionStore]:
        # With the login that `obverse apply` has.
        store = await at(database.dsn("obverse_api"))
        yield store
        await store.close()

    async def test_another_workspace_is_another_set(self, store: DefinitionStore, database: Database) -> None:
        await store.write(0, [a_trait("a")], [], author=ADA)
        other = await at(database.dsn("obverse_api"), "other")
        assert await other.version() == 0
        await other.write(0, [a_trait("b")], [Key("trait", "a")], author=ADA)
        assert [one.document.key.name for one in (await store.read()).entries] == ["a"]
        assert len(await other.history(limit=5)) == 1
        await other.close()

    @pytest.mark.parametrize("role", ["obverse_collector", "obverse_worker"])
    async def test_who_only_follows_can_write_nothing(
        self, store: DefinitionStore, database: Database, role: str
    ) -> None:
        if database.server.foreign:
            pytest.skip("never: another server has one login for everything")
        await store.write(0, [a_trait("a")], [], author=ADA)
        reader = await at(database.dsn(role))
        assert await reader.read() == await store.read()
        with pytest.raises(AccessRefused):
            await reader.write(1, [a_trait("b")], [], author=ADA)
        await reader.close()
        assert await store.version() == 1

    @pytest.mark.parametrize("end", ["its connection", "its server process"])
    async def test_a_write_that_is_cut_off_is_there_whole_or_not_at_all(self, database: Database, end: str) -> None:
        """Somebody holds one of the rows, so that the write has begun and cannot end."""
        async with Wire(database.dsn("obverse_api")) as wire:
            store = await at(wire.dsn)
            await store.write(0, [a_trait("a"), a_trait("z")], [], author=ADA)
            before, changed = await store.read(), [a_trait(name, event="X") for name in ("a", "b", "z")]
            holder = await asyncpg.connect(database.admin)
            async with holder.transaction():
                await holder.execute("select from definitions where name = 'z' for update")
                writing = asyncio.ensure_future(store.write(1, changed, [], author=ADA))

                async def waits() -> bool:
                    return bool(await holder.fetchval(f"select count(*) from pg_stat_activity {WAITING}"))

                await until(waits)
                if end == "its connection":
                    await wire.cut()
                else:
                    await holder.execute(f"select pg_terminate_backend(pid) from pg_stat_activity {WAITING}")
                with pytest.raises(Unreachable):
                    await writing
                assert await at_once(database) == before
            await holder.close()
            if end == "its connection":
                await wire.mend()
            found = await store.read()
            if found.version == 1:
                assert found == before
                await store.write(1, changed, [], author=ADA)
            assert [one.document for one in (await store.read()).entries] == changed
            await store.close()


WAITING = "where wait_event_type = 'Lock' and datname = current_database()"


async def at_once(database: Database) -> DefinitionSet:
    """What somebody else reads meanwhile."""
    store = await at(database.dsn("obverse_worker"))
    found = await store.read()
    await store.close()
    return found
