"""A `ProfileCache` on one machine: the worker answers for its profiles on a Unix socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic

from obverse.adapters.local.claim import Claim
from obverse.adapters.local.shelf import Shelf
from obverse.adapters.local.wire import (
    KNOWN,
    LONGEST_REQUEST,
    UNKNOWN,
    BadFrame,
    Desk,
    Link,
    decode_request,
    encode_request,
)
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, P, Packer, ProfileCache
from obverse.ports.runtime import Runtime

PATIENCE: Final = 0.18
"""Seconds that a reader waits for an answer."""
PATIENCE_EACH: Final = 0.002
"""Seconds more for each profile beyond the first, for the worker packs them."""
LONGEST_PATH: Final = 103
"""Bytes of the longest path that a Unix socket may have on every system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCacheSettings:
    """The `[profile_cache.local]` table of the settings file."""

    socket: str
    """Path of the worker's socket."""
    workspace: str = "main"
    capacity: int = 100_000
    """Profiles beyond which those that the store holds are let go of."""


async def open_profile_cache(
    settings: LocalCacheSettings,
    runtime: Runtime,  # noqa: ARG001 - the same
) -> ProfileCache:
    """
    Entry point `obverse.profile_cache:local`.

    Raises:
        ValueError: the path is longer than a socket's may be.
    """
    length = len(os.fsencode(settings.socket))
    if length > LONGEST_PATH:
        raise ValueError(
            f"profile_cache.local.socket has {length} bytes, and the path of a Unix socket may have {LONGEST_PATH}: "
            f"choose a shorter one than {settings.socket}"
        )
    return LocalProfileCache(settings)


class LocalProfileCache:
    """See `ProfileCache`. Connects when it is first asked, and again after the worker was gone."""

    def __init__(self, settings: LocalCacheSettings) -> None:
        self._settings = settings
        self._workspace = settings.workspace.encode()
        self._connecting = asyncio.Lock()
        self._link: Link | None = None
        self._writer: LocalCacheWriter[Any] | None = None

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        """See `ProfileCache.open_writer`. A killed worker's socket is replaced, a living one's is not."""
        claim = Claim(Path(self._settings.socket))
        try:
            self._writer = writer = LocalCacheWriter(self._settings, claim, pack)
            await writer.publish(present)
            await writer.listen()
        except BaseException:
            claim.release()
            raise
        return writer

    async def get(self, identifier: str) -> bytes | None:
        """See `ProfileCache.get`. Raises `Unreachable` within 0.2 s."""
        return (await self.get_all([identifier])).get(identifier)

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        """See `ProfileCache.get_all`. Raises `Unreachable` within 0.2 s, and 2 ms more for each."""
        requests = {one: encode_request(self._workspace, one) for one in identifiers}
        # What is longer than anything that identifies somebody is not asked for.
        asked = {one: request for one, request in requests.items() if len(request) <= LONGEST_REQUEST}
        if not asked:
            return {}
        patience = PATIENCE + PATIENCE_EACH * (len(asked) - 1)
        try:
            async with asyncio.timeout(patience):
                link = await self._connected()
                answers = await asyncio.gather(*link.ask(list(asked.values())))
        except TimeoutError as error:
            # Whoever asks next begins anew, and does not wait behind what was never answered.
            self._hang_up()
            raise Unreachable(
                f"no answer at {self._settings.socket} within {patience:.3g} s: is the worker stuck?"
            ) from error
        except OSError as error:
            raise Unreachable(f"nobody answers at {self._settings.socket} ({error}): is the worker running?") from error
        return {one: answer for one, answer in zip(asked, answers, strict=True) if answer is not None}

    async def _connected(self) -> Link:
        async with self._connecting:
            if self._link is None or self._link.ended.is_set():
                loop = asyncio.get_running_loop()
                _, self._link = await loop.create_unix_connection(Link, self._settings.socket)
            return self._link

    def _hang_up(self) -> Link | None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
        return link

    async def close(self) -> None:
        """See `ProfileCache.close`."""
        link = self._hang_up()
        if link is not None:
            await link.ended.wait()
        if self._writer is not None:
            await self._writer.close()


class LocalCacheWriter(Generic[P]):
    """See `CacheWriter`. Keeps the engine's own profiles, and packs one when it is asked for."""

    def __init__(self, settings: LocalCacheSettings, claim: Claim, pack: Packer[P]) -> None:
        self._workspace = settings.workspace.encode()
        self._shelf: Shelf[P] = Shelf(settings.capacity)
        self._claim = claim
        self._pack = pack
        self._desks: set[Desk] = set()
        self._server: asyncio.Server | None = None
        self._held = False

    def _desk(self) -> Desk:
        return Desk(self._answer, self._desks, lambda: self._held)

    async def listen(self) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._desk, sock=self._claim.door)

    async def publish(self, profiles: Iterable[P], lost: Iterable[str] = ()) -> None:
        """See `CacheWriter.publish`."""
        self._shelf.forget(lost)
        for profile in profiles:
            self._shelf.put(profile)
        if self._held:
            self._held = False
            for desk in tuple(self._desks):
                desk.go_on()

    def hold(self) -> None:
        """See `CacheWriter.hold`."""
        self._held = True

    async def settle(self, profiles: Collection[P]) -> None:
        """See `CacheWriter.settle`."""
        self._shelf.settle(profiles)

    async def close(self) -> None:
        """See `CacheWriter.close`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        desks = tuple(self._desks)
        for desk in desks:
            desk.close()
        for desk in desks:
            await desk.ended.wait()
        self._claim.release()

    def _answer(self, request: bytes) -> bytes:
        if self._server is None:
            raise BadFrame("this writer is closed")  # it came in while we closed
        workspace, identifier = decode_request(request)
        profile = self._shelf.find(identifier) if workspace == self._workspace else None
        return UNKNOWN if profile is None else KNOWN + self._pack(profile)
