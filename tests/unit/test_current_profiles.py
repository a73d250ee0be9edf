"""Whom those who act on a change meet: what the cache knows goes before what the store does."""

from __future__ import annotations

from collections.abc import Mapping

from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_cache import person
from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.profiles import Profile
from obverse.flows.current_profiles import CurrentProfiles
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, ProfileCache
from obverse.ports.profile_rows import ProfileRow
from obverse.ports.profile_store import Checkpoint, ProfileStore, StoreWriter

NOTHING = Definitions()


class Place:
    def __init__(
        self, store: ProfileStore, writer: StoreWriter, cache: ProfileCache, shown: CacheWriter[Profile]
    ) -> None:
        self.store, self.writer, self.cache, self.shown = store, writer, cache, shown
        self.current = CurrentProfiles(store, cache, lambda: NOTHING)

    async def keep(self, *some: Profile, absorbed: Mapping[bytes, bytes] | None = None) -> None:
        rows = [ProfileRow.of(one, NOTHING) for one in some]
        await self.writer.commit(Checkpoint(marks={}, profiles=rows, absorbed=absorbed or {}))

    async def ids(self, *some: Profile) -> list[bytes | None]:
        found = await self.current.get([one.id for one in some])
        return [found[one.id].id if one.id in found else None for one in some]


async def place() -> Place:
    runtime = open_runtime()
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    cache = await open_profile_cache(MemoryCacheSettings(), runtime)

    def pack(one: Profile) -> bytes:
        return profiles.pack(one, NOTHING)

    shown = await cache.open_writer(pack)
    return Place(store, await store.open_writer("unify"), cache, shown)


async def test_the_cache_goes_before_the_store_and_nobody_is_left_out() -> None:
    here, ada, bob, nobody = await place(), person("user_id:ada"), person("user_id:bob"), person("user_id:nobody")
    await here.keep(ada, bob)
    newer = person("user_id:ada", "email:ada@x.test")
    await here.shown.publish([newer])
    found = await here.current.get([ada.id, bob.id, nobody.id])
    assert set(found) == {ada.id, bob.id}
    assert set(found[ada.id].identifiers) == {"user_id:ada", "email:ada@x.test"}


async def test_whoever_was_merged_away_is_the_keeper_also_before_the_store_says_so() -> None:
    here, ada, bob = await place(), person("user_id:ada"), person("user_id:bob", "email:bob@x.test")
    await here.keep(ada, bob)
    both = person("user_id:ada", "user_id:bob", "email:bob@x.test")
    await here.shown.publish([both])
    assert both.id == ada.id
    assert await here.ids(bob, ada) == [ada.id, ada.id]

    await here.shown.settle([both])
    await here.keep(both, absorbed={bob.id: ada.id})
    assert await here.ids(bob) == [ada.id], "and when it does"


async def test_who_has_lost_an_identifier_to_another_is_not_taken_for_the_other() -> None:
    here, ada, bob = await place(), person("user_id:ada", "email:shared@x.test"), person("user_id:bob")
    await here.keep(ada, bob)
    await here.shown.publish([person("user_id:bob", "email:shared@x.test"), person("user_id:ada")])
    assert await here.ids(ada, bob) == [ada.id, bob.id]


async def test_without_the_cache_the_store_is_asked() -> None:
    class Away:
        async def get_all(self, _names: object) -> dict[str, bytes]:
            raise Unreachable("it is away")

    here, ada = await place(), person("user_id:ada")
    await here.keep(ada)
    alone = CurrentProfiles(here.store, Away(), lambda: NOTHING)  # type: ignore[arg-type]  # all that is asked of it
    assert (await alone.get([ada.id]))[ada.id].id == ada.id
