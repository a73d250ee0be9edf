"""Port: profiles as the engine knows them now, readable by every process of the installation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeAlias, TypeVar


class Published(Protocol):
    """
    What a cache has to know of a profile: a `core.profiles.Profile`, or whatever an engine keeps in its place.

    What is no `Profile` is not changed in its place: when a person has moved, another one is published.
    """

    @property
    def id(self) -> bytes:
        """The profile's id, 16 bytes."""
        ...

    @property
    def identifiers(self) -> Collection[str]:
        """Under which it is found (`kind:value`)."""
        ...


P = TypeVar("P", bound=Published)
P_contra = TypeVar("P_contra", bound=Published, contravariant=True)

Packer: TypeAlias = Callable[[P], bytes]
"""Packs a profile, as `core.profiles.pack` does with the engine's definitions."""


class CacheWriter(Protocol[P_contra]):
    """What an engine tells of its profiles. One at a time writes."""

    async def publish(self, profiles: Iterable[P_contra], lost: Iterable[str] = ()) -> None:
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

    async def settle(self, profiles: Collection[P_contra]) -> None:
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

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        """
        Begin to write, with these published and nothing else: what an earlier writer has left is not found any more.

        Nothing is answered before they are there.

        Raises:
            Unreachable: somebody else writes, or nobody ever could. A cache that is merely away is waited for by the
                writer itself, which holds nobody up: what it cannot publish is read from the store meanwhile.
        """
        ...

    async def get(self, identifier: str) -> bytes | None:
        """
        Return the packed profile that owns this identifier (`kind:value`), None if the cache does not hold it.

        `id:` and the profile's UUID asks for it by its own id; one that was merged away is not found.

        Raises:
            Unreachable: nobody answers; ask the store.
            AccessRefused: we may not ask; ask the store, and have a person mend it.
        """
        ...

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        """
        Return what `get` would of each, at one asking, by what was asked for; what the cache does not hold is left out.

        Raises:
            Unreachable, AccessRefused: as `get`.
        """
        ...

    async def close(self) -> None:
        """Close what this cache opened."""
        ...
