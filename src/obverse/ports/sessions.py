"""Port: who is signed in. Secrets are kept as their SHA-256 alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in."""

    digest: bytes
    """SHA-256 of the secret that their browser holds."""
    name: str
    expires_at: int
    """Microseconds since 1970."""


class Sessions(Protocol):
    """
    One workspace's sign-in links and sessions.

    Promises, proved for every adapter by `obverse.contracts.sessions`:

    * a link opens one session, whoever tries at once, and none after its time;
    * a session that was ended, or whose time has come, is not found.

    Every method raises `Unreachable` where nothing can be read or written now.
    """

    async def add_link(self, digest: bytes, *, expires_at: int) -> None:
        """Make a link, given the SHA-256 of its secret, that works once and until then."""
        ...

    async def enter(self, link: bytes, session: Session, *, now: int) -> bool:
        """Use a link up and open a session, or do neither; whether it was done."""
        ...

    async def find(self, digest: bytes, *, now: int) -> Session | None:
        """Return a session."""
        ...

    async def end(self, digest: bytes) -> None:
        """End a session, if it is there."""
        ...

    async def has_been_entered(self) -> bool:
        """Whether anybody has ever signed in."""
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...
