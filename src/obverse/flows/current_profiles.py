"""Profiles as they are now, read by their ids: what a change points at."""

from __future__ import annotations

from collections import Counter
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
        wanted = {one: id_name(one) for one in ids}
        cached = await self._cached(wanted.values())
        found = {one: cached[name] for one, name in wanted.items() if name in cached}
        missing = [name for one, name in wanted.items() if one not in found]
        stored = await self._store.load_named(missing) if missing else {}
        for one, name in wanted.items():
            if name in stored:
                found[one] = await self._newest(unpack(stored[name], self._definitions()))
        return found

    async def _newest(self, stored: Profile) -> Profile:
        """
        Return a profile of the store as the cache has it by now.

        Whoever is merged away is out of the cache before the store says so. Their identifiers lead to the keeper then.
        """
        itself = id_name(stored.id)
        newer = await self._cached([itself, *stored.identifiers])
        if itself in newer or not newer:
            return newer.get(itself, stored)
        holders = Counter(one.id for one in newer.values())
        (keeper, _), *_ = holders.most_common(1)
        return next(one for one in newer.values() if one.id == keeper)

    async def _cached(self, names: Collection[str]) -> dict[str, Profile]:
        try:
            packed = await self._cache.get_all(names)
        except (Unreachable, AccessRefused):
            return {}  # the engine is away, or of another process that starts: the store knows
        return {name: unpack(one, self._definitions()) for name, one in packed.items()}
