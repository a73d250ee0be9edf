"""Profiles as they are now, read by their ids: what a change points at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from obverse.core.definitions import Definitions
from obverse.core.identity import id_name, id_text
from obverse.core.profiles import Profile, unpack
from obverse.ports.engine import WRITER
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime

LOOK: Final = 0.1
"""Seconds between two looks at whether the cache answers again, or the store knows."""

_Cache = Callable[[Collection[str]], Awaitable[Mapping[str, bytes]]]


class _Away(Exception):
    """The cache does not answer: the engine is stuck, or starts in another process; or Redis is away."""


async def _nothing(_names: Collection[str]) -> Mapping[str, bytes]:
    return {}


class CurrentProfiles:
    """
    Reads profiles from the cache, and from the store what the cache does not hold.

    They are as new as every change that was told before. While the cache does not answer, that takes until the store
    has all of these, which is a checkpoint: whoever acted on a profile that is older than the change would do nothing,
    and never look again.

    While an engine folds again what a crash undid, either its cache does not answer yet (buckets), or a profile may be
    as old as the last checkpoint, and whoever acts on it acts again when the same change is told again (embedded).
    """

    def __init__(
        self,
        *,
        log: EventLog,
        store: ProfileStore,
        cache: ProfileCache,
        definitions: Callable[[], Definitions],
        runtime: Runtime,
    ) -> None:
        self._log = log
        self._store = store
        self._cache = cache
        self._definitions = definitions
        self._runtime = runtime

    async def get(self, ids: Collection[bytes]) -> dict[bytes, Profile]:
        """
        Return the profiles by the ids that were asked for; one that was merged away gives its keeper.

        What nobody knows is left out.

        Raises:
            Unreachable, AccessRefused: the store cannot be read, or the log, while the cache is away.
            ValueError: another release wrote a profile.
        """
        found, unreadable = await self.read(ids)
        for reason in unreadable.values():
            raise ValueError(reason)
        return found

    async def read(self, ids: Collection[bytes]) -> tuple[dict[bytes, Profile], dict[bytes, str]]:
        """
        Return the same, and for those that cannot be read the reason: another release wrote them, or they are damaged.

        Raises:
            Unreachable, AccessRefused: as `get`.
        """
        told: int | None = None
        while ids:
            try:
                return await self._get(ids, self._cached)
            except _Away:
                pass
            if told is None:
                told = (await self._log.bounds(Stream.CHANGES))[0][1]
            elif await self._known() >= told:
                return await self._get(ids, _nothing)
            await self._runtime.sleep(LOOK)
        return {}, {}

    async def _known(self) -> int:
        """Up to which change the store knows what was told."""
        marks = (await self._store.overview()).marks
        return marks.get(WRITER, {}).get(Stream.CHANGES, {}).get(0, 0)

    async def _get(self, ids: Collection[bytes], cache: _Cache) -> tuple[dict[bytes, Profile], dict[bytes, str]]:
        wanted = {one: id_name(one) for one in ids}
        cached = await cache(wanted.values())
        missing = [name for name in wanted.values() if name not in cached]
        stored = await self._store.load_named(missing) if missing else {}
        found: dict[bytes, Profile] = {}
        unreadable: dict[bytes, str] = {}
        for one, name in wanted.items():
            try:
                if name in cached:
                    found[one] = self._unpack(cached[name])
                elif name in stored:
                    found[one] = await self._newest(self._unpack(stored[name]), cache)
            except ValueError as error:
                unreadable[one] = f"profile {id_text(one)} cannot be read: {error}"
        return found, unreadable

    async def _newest(self, stored: Profile, cache: _Cache) -> Profile:
        """
        Return a profile of the store as the cache has it by now.

        Whoever is merged away is out of the cache before the store says so. Their identifiers lead to the keeper then.
        """
        itself = id_name(stored.id)
        packed = await cache([itself, *stored.identifiers])
        newer = {name: self._unpack(one) for name, one in packed.items()}
        if itself in newer or not newer:
            return newer.get(itself, stored)
        holders = Counter(one.id for one in newer.values())
        (keeper, _), *_ = holders.most_common(1)
        return next(one for one in newer.values() if one.id == keeper)

    def _unpack(self, packed: bytes) -> Profile:
        return unpack(packed, self._definitions())

    async def _cached(self, names: Collection[str]) -> Mapping[str, bytes]:
        try:
            return await self._cache.get_all(names)
        except (Unreachable, AccessRefused) as error:
            raise _Away from error
