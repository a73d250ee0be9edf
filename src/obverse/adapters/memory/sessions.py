"""Sessions in memory: for tests and for trying things out."""

from __future__ import annotations

from dataclasses import dataclass

from obverse.ports.runtime import Runtime
from obverse.ports.sessions import Session, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySessionsSettings:
    """The `[sessions.memory]` table of the settings file."""

    workspace: str = "main"


async def open_sessions(settings: MemorySessionsSettings, runtime: Runtime) -> Sessions:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.sessions:memory`. Each call opens sessions of its own."""
    return MemorySessions()


class MemorySessions:
    """See `Sessions`."""

    def __init__(self) -> None:
        self._links: dict[bytes, int] = {}
        self._sessions: dict[bytes, Session] = {}
        self._entered = False

    async def add_link(self, digest: bytes, *, expires_at: int) -> None:
        """See `Sessions.add_link`."""
        self._links[digest] = expires_at

    async def enter(self, link: bytes, session: Session, *, now: int) -> bool:
        """See `Sessions.enter`."""
        if self._links.pop(link, 0) <= now:
            return False
        self._sessions[session.digest] = session
        self._entered = True
        return True

    async def find(self, digest: bytes, *, now: int) -> Session | None:
        """See `Sessions.find`."""
        session = self._sessions.get(digest)
        return session if session is not None and session.expires_at > now else None

    async def end(self, digest: bytes) -> None:
        """See `Sessions.end`."""
        self._sessions.pop(digest, None)

    async def has_been_entered(self) -> bool:
        """See `Sessions.has_been_entered`."""
        return self._entered

    async def close(self) -> None:
        """See `Sessions.close`."""
