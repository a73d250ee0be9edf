"""A `ProfileCache` within one process."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic

from obverse.core.identity import id_name
from obverse.ports.profile_cache import CacheWriter, P, Packer, ProfileCache
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

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        """See `ProfileCache.open_writer`."""
        self._shelf.clear()
        writer = MemoryCacheWriter(self._shelf, pack)
        await writer.publish(present)
        return writer

    async def get(self, identifier: str) -> bytes | None:
        """See `ProfileCache.get`."""
        return self._shelf.get(identifier)

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        """See `ProfileCache.get_all`."""
        return {one: self._shelf[one] for one in identifiers if one in self._shelf}

    async def close(self) -> None:
        """See `ProfileCache.close`."""


class MemoryCacheWriter(Generic[P]):
    """See `CacheWriter`."""

    def __init__(self, shelf: Shelf, pack: Packer[P]) -> None:
        self._shelf = shelf
        self._pack = pack
        self._owners: dict[str, bytes] = {}

    async def publish(self, profiles: Iterable[P], lost: Iterable[str] = ()) -> None:
        """See `CacheWriter.publish`."""
        for identifier in lost:
            self._owners.pop(identifier, None)
            self._shelf.pop(identifier, None)
        for profile in profiles:
            robbed = {self._owners.get(identifier, profile.id) for identifier in profile.identifiers} - {profile.id}
            self._owners.update(dict.fromkeys(profile.identifiers, profile.id))
            self._shelf.update(dict.fromkeys((id_name(profile.id), *profile.identifiers), self._pack(profile)))
            for other in robbed - set(self._owners.values()):
                self._shelf.pop(id_name(other), None)  # merged away: nobody can ask for it any more

    def hold(self) -> None:
        """See `CacheWriter.hold`."""

    async def settle(self, profiles: Collection[P]) -> None:
        """See `CacheWriter.settle`."""

    async def close(self) -> None:
        """See `CacheWriter.close`."""
        self._shelf.clear()
