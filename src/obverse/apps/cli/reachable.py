"""An installation's database, for commands that need nothing else of it: whether it runs or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps.roles import Place, wiring_of
from obverse.settings import Settings
from obverse.wiring import Wiring


@asynccontextmanager
async def reachable(settings: Settings, role: str = "api") -> AsyncIterator[Wiring]:
    """
    The wiring to an installation's database, with the login of a role.

    If the database is ours and stopped, it runs for as long as this takes.
    """
    wiring = wiring_of(role, settings, Place())  # first of all, for it says if there has never been a database
    note = settings.data / "run.json"
    if settings.database_url is not None or note.exists():
        yield wiring
        return
    server = EmbeddedServer(settings.data)
    await server.start()
    try:
        yield wiring
    finally:
        if not note.exists():  # else an installation was started meanwhile, and it uses this server
            await server.stop()
