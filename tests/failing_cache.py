"""Caches that are away for a while, as Redis is when it restarts, or a worker that is too busy to answer; or slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Generic

from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, P, Packer, ProfileCache
from obverse.ports.runtime import Runtime


class FailingCache:
    """A cache that does not answer while `failures` are left, and answers late if something is to happen before."""

    def __init__(self, cache: ProfileCache) -> None:
        self._cache = cache
        self.failures = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.damaged: set[str] = set()
        """Identifiers under which is what nobody can read, as if another release had written it."""
        self.asked = asyncio.Event()

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        return await self._cache.open_writer(pack, present)

    async def get(self, identifier: str) -> bytes | None:
        return (await self.get_all([identifier])).get(identifier)

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        self.asked.set()
        if self.failures:
            self.failures -= 1
            raise Unreachable("it is away")
        found = {**await self._cache.get_all(identifiers), **dict.fromkeys(self.damaged & set(identifiers), b"")}
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found

    async def close(self) -> None:
        await self._cache.close()


class SlowCache(FailingCache):
    """A cache to which it takes a while to publish."""

    def __init__(self, cache: ProfileCache, runtime: Runtime, seconds: float) -> None:
        super().__init__(cache)
        self._runtime = runtime
        self._seconds = seconds

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        return _SlowWriter(await super().open_writer(pack, present), self._runtime, self._seconds)


class _SlowWriter(Generic[P]):
    """Its writer."""

    def __init__(self, writer: CacheWriter[P], runtime: Runtime, seconds: float) -> None:
        self._writer = writer
        self._runtime = runtime
        self._seconds = seconds

    async def publish(self, profiles: Iterable[P], lost: Iterable[str] = ()) -> None:
        await self._runtime.sleep(self._seconds)
        await self._writer.publish(profiles, lost)

    def hold(self) -> None:
        self._writer.hold()

    async def settle(self, profiles: Collection[P]) -> None:
        await self._writer.settle(profiles)

    async def close(self) -> None:
        await self._writer.close()
