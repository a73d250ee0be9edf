"""
Who writes profiles to Redis.

Readers believe what it has written for the length of a lease, which every call renews. So a writer that cannot reach
Redis only has to wait until its lease is over: from then on nobody reads from there what it could not replace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from enum import Enum
from typing import Final, Generic

import structlog

from obverse.adapters.redis.line import Line
from obverse.adapters.redis.scripts import TAKE, WRITE
from obverse.adapters.redis.settings import RedisCacheSettings
from obverse.adapters.redis.shelf import Piece, Shelf
from obverse.adapters.redis.values import TAG
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_cache import P, Packer
from obverse.ports.runtime import Runtime, Work

_TRIES: Final = 3
"""Calls that must fail before Redis counts as away: what was late may be our own clock."""
_KEPT: Final = b"kept"
"""A lease that is not renewed."""
_PAUSE: Final = 0.02
"""Seconds until it is tried again."""
_BEATS: Final = 8
"""Calls in the length of a lease, at least …"""
_BEAT: Final = 0.25
"""… and seconds between two of them, at most."""
_MARGIN: Final = 1.2
"""By how much longer than the lease we wait for its end, for clocks do not run alike."""
_RECENT: Final = 1.0
"""Seconds after which we cannot be sure any more that nobody has followed us …"""
_QUARANTINE: Final = 1.0
"""… and let so many pass, in which whoever did comes forward, before anybody can read what we write."""
_EXPIRING: Final = 500
"""Profiles whose expiry is set with one call."""

_log = structlog.get_logger(__name__)


class _Stand(Enum):
    AWAY = "nothing that we have written can be read"
    FILLING = "the same; Redis is being told everything, and then it can"
    OPEN = "what is published can be read"
    OUTDONE = "another writer has followed us"


class RedisCacheWriter(Generic[P]):
    """
    See `CacheWriter`. Packs what is published, and keeps it until it is settled, to write it again.

    A call of `publish` returns when Redis has it. It never fails: if Redis does not answer it waits for the end of the
    lease, and while Redis is away it does not wait at all.
    """

    def __init__(self, settings: RedisCacheSettings, runtime: Runtime, pack: Packer[P]) -> None:
        before = f"{settings.prefix}:{settings.workspace}:".encode()
        self._settings = settings
        self._runtime = runtime
        self._shelf: Shelf[P] = Shelf(before, pack)
        self._key = before + b"w"
        self._line = Line(settings)
        self._lease = settings.lease_ms / 1000
        self._patience = self._lease / 2
        """Seconds that one call may take."""
        self._ahead = 0.0
        """By how many seconds Redis' clock is ahead of ours, at least."""
        self._number = runtime.now()
        """Of two writers the one with the greater number is believed."""
        self._name = self._dice()
        self._tag = b""
        self._serial = 0
        """Of the last call: one that is overtaken on its way is passed over."""
        self._stand = _Stand.AWAY
        self._writing = asyncio.Lock()
        """Held while Redis is told something; without it nobody waits while Redis is away."""
        self._confirmed = -_RECENT
        """When Redis said last that we are the writer."""
        self._believed_until = 0.0
        self._beat: Work | None = None

    def _dice(self) -> bytes:
        return f"{self._runtime.random.getrandbits(4 * TAG):0{TAG}x}".encode()

    @property
    def closed(self) -> bool:
        """Whether it was closed, or never opened."""
        return self._beat is None

    async def open(self) -> None:
        """Take the writer's place, after whoever has it; if Redis is away, as soon as it is back."""
        async with self._writing:
            try:
                await self._take(pass_by=True)
                await self._fill()
            except (Unreachable, AccessRefused) as error:
                self._tell_away(error)
        self._beat = self._runtime.spawn("profile cache", self._keep_up())

    async def publish(self, profiles: Iterable[P], lost: Iterable[str] = ()) -> None:
        """See `CacheWriter.publish`."""
        if self._stand is _Stand.OUTDONE:
            return
        self._shelf.put(profiles, lost)
        if self._stand is _Stand.AWAY:
            return
        async with self._writing:
            await self._write_all()

    def hold(self) -> None:
        """See `CacheWriter.hold`."""

    async def settle(self, profiles: Collection[P]) -> None:
        """See `CacheWriter.settle`. Redis hears of it a moment later."""
        self._shelf.settle(profiles)

    async def close(self) -> None:
        """See `CacheWriter.close`. Nothing that we have written can be read any more."""
        beat, self._beat = self._beat, None
        if beat is None:
            return
        await beat.stop()
        async with self._writing:
            if self._stand is _Stand.OPEN:
                with contextlib.suppress(Unreachable, AccessRefused):  # the lease runs out by itself
                    await self._call(Piece(), b"0")
            self._fall(_Stand.OUTDONE)
        await self._line.close()

    async def _keep_up(self) -> None:
        """Renew the lease, have settled profiles expire, and come back after Redis was away; for ever."""
        while self._stand is not _Stand.OUTDONE:
            await self._runtime.sleep(min(self._lease / _BEATS, _BEAT))
            try:
                async with self._writing:
                    if self._stand is _Stand.OPEN:
                        await self._send(self._shelf.expiring(_EXPIRING))
                        await self._write_all()
                    else:
                        await self._come_back()
                while self._shelf.rests and self._stand is _Stand.OPEN:
                    async with self._writing:
                        await self._send(self._shelf.expiring(_EXPIRING))
                    await self._runtime.sleep(0)
            except Exception as error:  # noqa: BLE001 - told, whatever it is; without us nothing would ever come back
                _log.exception("the cache in Redis could not be kept up", error=repr(error))

    async def _write_all(self) -> None:
        """Tell Redis everything that it does not know."""
        while self._stand is _Stand.OPEN and not self._shelf.all_told:
            await self._send(self._piece())

    def _piece(self) -> Piece:
        return self._shelf.piece(self._tag, profiles=self._settings.batch_profiles, size=self._settings.batch_bytes)

    async def _send(self, piece: Piece) -> None:
        """Send a piece until Redis has it, or until nobody believes any more what is there."""
        lease, tries = b"%d" % self._settings.lease_ms, 0
        while self._stand is _Stand.OPEN:
            try:
                answer = await self._call(piece, lease)
            except (Unreachable, AccessRefused) as error:
                tries += 1
                if tries >= _TRIES and self._runtime.elapsed() >= self._believed_until:
                    self._fall(_Stand.AWAY)
                    self._tell_away(error)
                    return
                # What was not answered may have been done. Were it to renew the lease, that might never end.
                lease = _KEPT
                await self._runtime.sleep(_PAUSE)
                continue
            if answer == b"late":
                await self._runtime.sleep(_PAUSE)
                continue
            if answer == b"done":
                self._shelf.told(piece)
            elif answer == b"outdone":
                self._outdone()
            else:
                # It was emptied, or began anew: nothing can be read there until we have taken our place again.
                self._fall(_Stand.AWAY)
                await self._come_back()
            return

    async def _come_back(self) -> None:
        """Take our place again, and tell Redis everything; if it does not answer, another time."""
        try:
            sure = self._runtime.elapsed() - self._confirmed < _RECENT
            await self._take(pass_by=False)
            if not sure and self._stand is _Stand.AWAY:
                await self._runtime.sleep(_QUARANTINE)
            await self._fill()
        except (Unreachable, AccessRefused):
            self._fall(_Stand.AWAY)  # told when it went away

    async def _take(self, *, pass_by: bool) -> None:
        """
        Take the writer's place. Nobody can read what we write yet.

        Raises:
            Unreachable, AccessRefused: Redis does not answer, or not us.
        """
        self._tag = self._dice()
        self._serial += 1
        words = (self._number, self._name, self._tag, int(pass_by), self._serial)
        words_ = [_text(one) for one in words]
        number, now = await self._line.run(TAKE, self._key, words_, self._patience)
        self._note_time(now)
        if int(number):
            self._number = int(number)
        else:
            self._outdone()

    async def _fill(self) -> None:
        """Tell Redis everything that is not settled, and let it be read."""
        if self._stand is not _Stand.AWAY:
            return
        self._stand = _Stand.FILLING
        self._shelf.begin_anew()
        self._shelf.away = False
        while self._stand is _Stand.FILLING:
            piece = self._piece()
            if self._shelf.holds_all(piece):
                # With it comes the lease: whoever publishes meanwhile waits for us.
                self._stand = _Stand.OPEN
                await self._send(piece)
                _log.info("profiles are written to Redis", place=self._settings.place, kept=len(self._shelf))
                return
            answer = await self._call(piece, b"0")
            if answer == b"outdone":
                self._outdone()
            elif answer == b"done":
                self._shelf.told(piece)
            elif answer == b"lost":
                self._fall(_Stand.AWAY)

    async def _call(self, piece: Piece, lease: bytes) -> bytes:
        began = self._runtime.elapsed()
        self._serial += 1
        not_after = round((began + self._ahead + self._patience) * 1000)
        head = (
            *(self._number, self._name, self._tag, self._serial, not_after, lease),
            *(self._settings.expiry_seconds * 1000, len(piece.expiring), len(piece.gone)),
        )
        words = [*(_text(one) for one in head), *piece.expiring, *piece.gone, *piece.pairs]
        if lease not in {b"0", _KEPT}:
            # Even if no answer comes it may have been renewed.
            believed_until = began + (self._lease + self._patience) * _MARGIN
            self._believed_until = max(self._believed_until, believed_until)
        answer, now = await self._line.run(WRITE, self._key, words, self._patience)
        self._note_time(now)
        if answer == b"done":
            self._confirmed = began
        return bytes(answer)

    def _note_time(self, now: int) -> None:
        self._ahead = now / 1000 - self._runtime.elapsed()

    def _fall(self, stand: _Stand) -> None:
        self._stand = stand
        self._shelf.away = True

    def _outdone(self) -> None:
        self._fall(_Stand.OUTDONE)
        self._shelf.clear()
        _log.error(
            "another worker writes profiles to Redis, and this one stopped",
            place=self._settings.place,
            what_to_do="one worker a workspace; if it is the only one, its clock was behind: restart it",
        )

    def _tell_away(self, error: Exception) -> None:
        _log.error(
            "profiles cannot be written to Redis, and are read from the store, one checkpoint behind",
            place=self._settings.place,
            reason=str(error),
            what_to_do="start Redis, or correct REDIS_URL or [profile_cache.redis]; the worker writes again by itself",
        )


def _text(word: int | bytes) -> bytes:
    return word if isinstance(word, bytes) else b"%d" % word
