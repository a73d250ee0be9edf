"""Sessions in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.ports.runtime import Runtime
from obverse.ports.sessions import Session, Sessions

_ADD_LINK: Final = """
with old as (delete from public.sign_in_links where workspace_id = $1 and used_at is null and expires_at < now()),
gone as (delete from public.sessions where workspace_id = $1 and expires_at < now())
insert into public.sign_in_links (workspace_id, digest, expires_at) values ($1, $2, $3)
"""
_ENTER: Final = """
with used as (
    update public.sign_in_links set used_at = now()
    where workspace_id = $1 and digest = $2 and used_at is null and expires_at > $3 returning digest
)
insert into public.sessions (workspace_id, digest, name, expires_at) select $1, $4, $5, $6 from used returning digest
"""
_FIND: Final = """
select name, expires_at from public.sessions where workspace_id = $1 and digest = $2 and expires_at > $3
"""
_END: Final = "delete from public.sessions where workspace_id = $1 and digest = $2"
_ENTERED: Final = "select exists (select from public.sign_in_links where workspace_id = $1 and used_at is not null)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSessionsSettings:
    """The `[sessions.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    workspace: str = "main"


async def open_sessions(settings: PostgresSessionsSettings, runtime: Runtime) -> Sessions:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.sessions:postgres`. Nothing is connected before it is needed."""
    return PostgresSessions(settings)


class PostgresSessions:
    """See `Sessions`."""

    def __init__(self, settings: PostgresSessionsSettings) -> None:
        self._workspace = settings.workspace
        self._link = Link(settings.dsn, "knows who is signed in")

    async def add_link(self, digest: bytes, *, expires_at: int) -> None:
        """See `Sessions.add_link`."""
        await self._link.fetch(_ADD_LINK, self._workspace, digest, from_micros(expires_at))

    async def enter(self, link: bytes, session: Session, *, now: int) -> bool:
        """See `Sessions.enter`."""
        opened = (session.digest, session.name, from_micros(session.expires_at))
        return bool(await self._link.fetch(_ENTER, self._workspace, link, from_micros(now), *opened))

    async def find(self, digest: bytes, *, now: int) -> Session | None:
        """See `Sessions.find`."""
        rows = await self._link.fetch(_FIND, self._workspace, digest, from_micros(now))
        return (
            Session(digest=digest, name=rows[0]["name"], expires_at=to_micros(rows[0]["expires_at"])) if rows else None
        )

    async def end(self, digest: bytes) -> None:
        """See `Sessions.end`."""
        await self._link.fetch(_END, self._workspace, digest)

    async def has_been_entered(self) -> bool:
        """See `Sessions.has_been_entered`."""
        ((entered,),) = await self._link.fetch(_ENTERED, self._workspace)
        return bool(entered)

    async def close(self) -> None:
        """See `Sessions.close`."""
        await self._link.close()
