"""Sign in: a link that works once opens a session; there is no password."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from obverse.ports.runtime import Runtime
from obverse.ports.sessions import Session, Sessions

ADMINISTRATOR: Final = "administrator"
LINK_LIFE: Final = 24 * 3600 * 1_000_000
SESSION_LIFE: Final = 30 * 24 * 3600 * 1_000_000
"""Microseconds."""
REMEMBERED: Final = 5 * 1_000_000
"""Microseconds that a session which was found is not looked for again."""
MOST_REMEMBERED: Final = 1000


class SignIn:
    """Makes links, opens sessions and knows who is signed in."""

    def __init__(self, sessions: Sessions, runtime: Runtime, new_secret: Callable[[], str]) -> None:
        """`new_secret` makes texts that nobody can guess."""
        self._sessions = sessions
        self._runtime = runtime
        self._new_secret = new_secret
        self._found: dict[bytes, tuple[int, Session]] = {}

    async def link(self) -> str:
        """
        Make a link; return its secret, which is kept nowhere.

        Raises:
            Unreachable, AccessRefused: sessions cannot be kept now. So do all below.
        """
        secret = self._new_secret()
        await self._sessions.add_link(_digest(secret), expires_at=self._runtime.now() + LINK_LIFE)
        return secret

    async def first_link(self) -> str | None:
        """Make a link, if nobody has ever signed in."""
        return None if await self._sessions.has_been_entered() else await self.link()

    async def enter(self, link: str) -> tuple[str, Session] | None:
        """Use a link up; return the session and its secret, None if the link is none, used up or too old."""
        secret, now = self._new_secret(), self._runtime.now()
        session = Session(digest=_digest(secret), name=ADMINISTRATOR, expires_at=now + SESSION_LIFE)
        return (secret, session) if await self._sessions.enter(_digest(link), session, now=now) else None

    async def who(self, secret: str) -> Session | None:
        """Return the session of this secret."""
        digest, now = _digest(secret), self._runtime.now()
        at, known = self._found.get(digest, (0, None))
        if known is not None and now < min(at + REMEMBERED, known.expires_at):
            return known
        session = await self._sessions.find(digest, now=now)
        self._found.pop(digest, None)
        if session is not None:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            self._found[digest] = (now, session)
        return session

    async def leave(self, secret: str) -> None:
        """End a session."""
        self._found.pop(_digest(secret), None)
        await self._sessions.end(_digest(secret))


def _digest(secret: str) -> bytes:
    # Secrets have 32 random bytes, so no salt is needed.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
