"""A profile store in PostgreSQL for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.ports.profile_store import ProfileStore


@asynccontextmanager
async def store_at(dsn: str, workspace: str = "main") -> AsyncIterator[ProfileStore]:
    """Open the store of a workspace, and close it afterwards."""
    store = await open_profile_store(PostgresStoreSettings(dsn=dsn, workspace=workspace), open_runtime())
    try:
        yield store
    finally:
        await store.close()
