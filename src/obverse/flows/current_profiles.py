"""Profiles as they are now, read by their ids: what a change points at."""

from __future__ import annotations

from collections.abc import Callable, Collection

from obverse.core.definitions import Definitions
from obverse.core.identity import id_name
from obverse.core.profiles import Profile, unpack
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore


class CurrentProfiles:
    """
    Reads profiles from the cache, and from the store what the cache does not hold.

    While the engine folds again what a crash undid, a profile may be as old as the last checkpoint. Whoever acts on it
    acts again when the same change is told again.
    """

    def __init__(self, store: ProfileStore, cache: ProfileCache, definitions: Callable[[], Definitions]) -> None:
        self._store = store
        self._cache = cache
        self._definitions = definitions

    async def get(self, ids: Collection[bytes]) -> dict[bytes, Profile]:
        """
        Return the profiles by the ids that were asked for; one that was merged away gives its keeper.

        What nobody knows is left out.

        Raises:
            Unreachable, AccessRefused: the store cannot be read.
            ValueError: another release wrote a profile.
        """
        found: dict[bytes, Profile] = {}
        for one in dict.fromkeys(ids):
            packed = await self._cached(id_name(one))
            if packed is not None:
                found[one] = unpack(packed, self._definitions())
        missing = [one for one in dict.fromkeys(ids) if one not in found]
        stored = [unpack(state, self._definitions()) for state in await self._store.load((), missing)]
        found |= {profile.id: profile for profile in stored if profile.id in missing}
        for one in missing:
            if one not in found:
                # Merged away, or unknown; the store does not say which id led to which keeper.
                for state in await self._store.load((), (one,)):
                    keeper = unpack(state, self._definitions())
                    newer = await self._cached(id_name(keeper.id))
                    found[one] = keeper if newer is None else unpack(newer, self._definitions())
        return found

    async def _cached(self, name: str) -> bytes | None:
        try:
            return await self._cache.get(name)
        except (Unreachable, AccessRefused):
            return None  # the engine is away, or of another process that starts: the store knows
