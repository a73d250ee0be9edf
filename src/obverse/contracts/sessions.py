"""What every `Sessions` must prove: a link opens one session, and what has ended is not found."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from hashlib import sha256
from typing import Final

import pytest

from obverse.ports.sessions import Session, Sessions

T0: Final = 4_102_444_800_000_000
"""2100-01-01: adapters tidy up by their own clock, which is before."""


def digest(text: str) -> bytes:
    """As secrets are kept."""
    return sha256(text.encode()).digest()


def session(text: str, expires_at: int = T0 + 100) -> Session:
    """A session with this secret."""
    return Session(digest=digest(text), name="administrator", expires_at=expires_at)


class SessionsContract:
    """Subclass, say how sessions are opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def sessions(self) -> Sessions:
        """Nobody is signed in. The suite does not close it."""

    async def test_a_link_opens_one_session(self, sessions: Sessions) -> None:
        assert not await sessions.has_been_entered()
        await sessions.add_link(digest("link"), expires_at=T0 + 10)

        entered = await asyncio.gather(
            *(sessions.enter(digest("link"), session(str(number)), now=T0) for number in range(5))
        )

        assert sorted(entered) == [False, False, False, False, True]
        found = [await sessions.find(digest(str(number)), now=T0) for number in range(5)]
        assert found.count(None) == 4
        assert await sessions.has_been_entered()

    async def test_a_link_has_its_time(self, sessions: Sessions) -> None:
        await sessions.add_link(digest("link"), expires_at=T0 + 10)

        assert not await sessions.enter(digest("link"), session("a"), now=T0 + 10)
        assert not await sessions.enter(digest("another"), session("a"), now=T0)
        assert await sessions.find(digest("a"), now=T0) is None
        assert not await sessions.has_been_entered()

    async def test_a_session_has_its_time_and_its_end(self, sessions: Sessions) -> None:
        for name in ("a", "b"):
            await sessions.add_link(digest(f"link {name}"), expires_at=T0 + 10)
            assert await sessions.enter(digest(f"link {name}"), session(name), now=T0)

        assert await sessions.find(digest("a"), now=T0 + 99) == session("a")
        assert await sessions.find(digest("a"), now=T0 + 100) is None
        await sessions.end(digest("a"))
        await sessions.end(digest("nobody"))

        assert await sessions.find(digest("a"), now=T0) is None
        assert await sessions.find(digest("b"), now=T0) is not None
        assert await sessions.has_been_entered()
