"""Where the log is, in PostgreSQL, whose clock all go by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.worker_session import WorkerSession
from obverse.ports.log_places import HOLD_SECONDS, RENEW_SECONDS, LogMover, LogPlace, LogPlaces, TooLate
from obverse.ports.runtime import Runtime

_READ: Final = """
select adapter, moving_to, coalesce(held_at > clock_timestamp() - $2::interval, false) as held
from public.log_places where workspace_id = $1
"""
_NOTE: Final = """
insert into public.log_places (workspace_id, adapter) values ($1, $2) on conflict (workspace_id) do nothing
"""
_BEGIN: Final = "update public.log_places set moving_to = $2, held_at = null where workspace_id = $1"
_HOLD: Final = "update public.log_places set held_at = clock_timestamp() where workspace_id = $1"
_RENEW: Final = """
update public.log_places set held_at = clock_timestamp()
where workspace_id = $1 and held_at > clock_timestamp() - $2::interval returning 1
"""
_FINISH: Final = """
update public.log_places set adapter = moving_to, moving_to = null, held_at = null
where workspace_id = $1 and held_at > clock_timestamp() - $2::interval returning 1
"""
_GIVE_UP: Final = """
update public.log_places set held_at = null, moving_to = case when $2 then null else moving_to end
where workspace_id = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLogPlacesSettings:
    """The `[log_places.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    workspace: str = "main"


async def open_log_places(settings: PostgresLogPlacesSettings, runtime: Runtime) -> LogPlaces:
    """Entry point `obverse.log_places:postgres`. Nothing is connected before it is needed."""
    return PostgresLogPlaces(settings, runtime)


class PostgresLogPlaces:
    """See `LogPlaces`."""

    def __init__(self, settings: PostgresLogPlacesSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._link = Link(settings.dsn, "asks which log is in force")

    async def settle(self, adapter: str) -> LogPlace:
        """See `LogPlaces.settle`."""
        workspace = self._settings.workspace
        while True:
            for row in await self._link.fetch(_READ, workspace, timedelta(seconds=HOLD_SECONDS)):
                return LogPlace(adapter=row["adapter"], moving_to=row["moving_to"], held=row["held"])
            await self._link.fetch(_NOTE, workspace, adapter)

    async def open_mover(self) -> LogMover:
        """See `LogPlaces.open_mover`."""
        workspace = self._settings.workspace
        session = await WorkerSession.open(self._settings.dsn, "moves the log", f"log mover {workspace}", self._runtime)
        return PostgresLogMover(session, workspace)

    async def close(self) -> None:
        """See `LogPlaces.close`."""
        await self._link.close()


class PostgresLogMover:
    """See `LogMover`."""

    def __init__(self, session: WorkerSession, workspace: str) -> None:
        self._session = session
        self._workspace = workspace

    async def begin(self, to: str) -> None:
        """See `LogMover.begin`."""
        await self._session.fetch(_BEGIN, self._workspace, to)

    async def hold(self) -> None:
        """See `LogMover.hold`."""
        await self._session.fetch(_HOLD, self._workspace)

    async def renew(self) -> None:
        """See `LogMover.renew`."""
        await self._in_time(_RENEW)

    async def finish(self) -> None:
        """See `LogMover.finish`."""
        await self._in_time(_FINISH)

    async def give_up(self, *, forget: bool) -> None:
        """See `LogMover.give_up`."""
        await self._session.fetch(_GIVE_UP, self._workspace, forget)

    async def close(self) -> None:
        """See `LogMover.close`."""
        await self._session.close()

    async def _in_time(self, query: str) -> None:
        if not await self._session.fetch(query, self._workspace, timedelta(seconds=RENEW_SECONDS)):
            raise TooLate("the hold on the log was not renewed in time")
