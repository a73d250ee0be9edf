"""Port: profiles as the engine knows them now, readable by every process of the installation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from obverse.core.profiles import Profile

Packer = Callable[[Profile], bytes]
"""Packs a profile (`core.profiles.pack` with the engine's definitions)."""


class CacheWriter(Protocol):
    """What an engine tells of its profiles. One at a time writes."""

    async def publish(self, profiles: Iterable[Profile], lost: Iterable[str] = ()) -> None:
        """
        Make these profiles' present state readable, under every one of their identifiers; `lost` ones are nobody's.

        The profiles stay the engine's; an adapter may pack one now, or when it is asked for.
        """
        ...

    def hold(self) -> None:
        """
        Give no answer until the next `publish`: profiles show what is not yet in the log.

        For adapters that pack when they are asked; those that pack what is published have nothing to hold.
        """
        ...

    async def settle(self, profiles: Collection[Profile]) -> None:
        """The store holds these states or newer ones, so the cache may let go of them."""
        ...

    async def close(self) -> None:
        """Stop writing."""
        ...


class ProfileCache(Protocol):
    """
    One workspace's profiles between the fold and the store; never the truth.

    Promises, proved for every adapter by `obverse.contracts.profile_cache`:

    * never newer than the fold, at most 150 ms behind it;
    * a profile that was published and not settled is there, unless the cache was emptied or its writer died;
    * emptied at any moment, it fills again;
    * never another workspace's profile.
    """

    async def open_writer(self, pack: Packer) -> CacheWriter:
        """
        Begin to write, with nothing published.

        Raises:
            Unreachable: the cache cannot be written now.
        """
        ...

    async def get(self, identifier: str) -> bytes | None:
        """
        Return the packed profile that owns this identifier (`kind:value`), None if the cache does not hold it.

        `id:` and the profile's UUID asks for it by its own id; one that was merged away is not found.

        Raises:
            Unreachable: nobody answers; ask the store.
        """
        ...

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        """
        Return what `get` would of each, at one asking, by what was asked for; what the cache does not hold is left out.

        Raises:
            Unreachable: nobody answers; ask the store.
        """
        ...

    async def close(self) -> None:
        """Close what this cache opened."""
        ...
