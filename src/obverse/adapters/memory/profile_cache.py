"""A `ProfileCache` within one process."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from obverse.core.profiles import Profile
from obverse.ports.profile_cache import CacheWriter, Packer, ProfileCache
from obverse.ports.runtime import Runtime

Shelf = dict[str, bytes]
"""Packed profiles by identifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCacheSettings:
    """The `[profile_cache.memory]` table of the settings file."""

    workspace: str = "main"
    shelves: dict[str, Shelf] = field(default_factory=dict, repr=False)
    """What is held, by workspace. Caches that are to read each other's profiles are given the same."""


async def open_profile_cache(settings: MemoryCacheSettings, runtime: Runtime) -> ProfileCache:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.profile_cache:memory`."""
    return MemoryProfileCache(settings.shelves.setdefault(settings.workspace, {}))


class MemoryProfileCache:
    """See `ProfileCache`. Packs at once, and lets go of nothing."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def open_writer(self, pack: Packer) -> CacheWriter:
        """See `ProfileCache.open_writer`."""
        self._shelf.clear()
        return MemoryCacheWriter(self._shelf, pack)

    async def get(self, identifier: str) -> bytes | None:
        """See `ProfileCache.get`."""
        return self._shelf.get(identifier)

    async def close(self) -> None:
        """See `ProfileCache.close`."""


class MemoryCacheWriter:
    """See `CacheWriter`."""

    def __init__(self, shelf: Shelf, pack: Packer) -> None:
        self._shelf = shelf
        self._pack = pack

    async def publish(self, profiles: Iterable[Profile]) -> None:
        """See `CacheWriter.publish`."""
        for profile in profiles:
            self._shelf.update(dict.fromkeys(profile.identifiers, self._pack(profile)))

    def hold(self) -> None:
        """See `CacheWriter.hold`."""

    async def settle(self, profiles: Collection[Profile]) -> None:
        """See `CacheWriter.settle`."""

    async def close(self) -> None:
        """See `CacheWriter.close`."""
        self._shelf.clear()
