"""A cache that is away for a while, as Redis is when it restarts, or a worker that is too busy to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, P, Packer, ProfileCache


class FailingCache:
    """A cache that does not answer while `failures` are left, and answers late if something is to happen before."""

    def __init__(self, cache: ProfileCache) -> None:
        self._cache = cache
        self.failures = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.asked = asyncio.Event()

    async def open_writer(self, pack: Packer[P]) -> CacheWriter[P]:
        return await self._cache.open_writer(pack)

    async def get(self, identifier: str) -> bytes | None:
        return (await self.get_all([identifier])).get(identifier)

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        self.asked.set()
        if self.failures:
            self.failures -= 1
            raise Unreachable("it is away")
        found = await self._cache.get_all(identifiers)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found

    async def close(self) -> None:
        await self._cache.close()
