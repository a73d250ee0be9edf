"""Whom those who act on a change meet: what the cache knows goes before what the store does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

from failing_cache import FailingCache
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_cache import person
from obverse.core import codec, profiles
from obverse.core.changes import ATTRIBUTE, Change
from obverse.core.definitions import Definitions
from obverse.core.profiles import Profile
from obverse.flows.current_profiles import CurrentProfiles
from obverse.ports.event_log import EventLog, Records, Stream
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_rows import ProfileRow
from obverse.ports.profile_store import Checkpoint, ProfileStore, StoreWriter

NOTHING = Definitions()


class Place:
    def __init__(
        self, log: EventLog, store: ProfileStore, writer: StoreWriter, cache: FailingCache, shown: CacheWriter[Profile]
    ) -> None:
        self.log, self.store, self.writer, self.cache, self.shown = log, store, writer, cache, shown
        self.current = CurrentProfiles(
            log=log, store=store, cache=cache, definitions=lambda: NOTHING, runtime=open_runtime()
        )

    async def keep(self, *some: Profile, absorbed: Mapping[bytes, bytes] | None = None, told: int = 0) -> None:
        rows = [ProfileRow.of(one, NOTHING) for one in some]
        marks = {Stream.CHANGES: {0: told}}
        await self.writer.commit(Checkpoint(marks=marks, profiles=rows, absorbed=absorbed or {}))

    async def tell(self, *changes: Change) -> None:
        appender = await self.log.open_appender(Stream.CHANGES)
        await appender.append(0, Records(len(changes), codec.encode(changes)))
        await appender.close()

    async def ids(self, *some: Profile) -> list[bytes | None]:
        found = await self.current.get([one.id for one in some])
        return [found[one.id].id if one.id in found else None for one in some]


async def place() -> Place:
    runtime = open_runtime()
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    cache = FailingCache(await open_profile_cache(MemoryCacheSettings(), runtime))
    log = await open_event_log(MemoryLogSettings(), runtime)

    def pack(one: Profile) -> bytes:
        return profiles.pack(one, NOTHING)

    shown = await cache.open_writer(pack)
    return Place(log, store, await store.open_writer("unify"), cache, shown)


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


CHANGE = Change(person("user_id:ada").id, ATTRIBUTE, "email", "m1")


async def test_a_cache_that_answers_a_moment_later_is_asked_again() -> None:
    here, older = await place(), person("user_id:ada")
    await here.keep(older)
    await here.shown.publish([person("user_id:ada", "email:ada@x.test")])
    await here.tell(CHANGE)
    here.cache.failures = 2
    found = await asyncio.wait_for(here.current.get([older.id]), 10)
    assert set(found[older.id].identifiers) == {"user_id:ada", "email:ada@x.test"}


async def test_without_the_cache_it_takes_until_the_store_knows_all_that_was_told() -> None:
    here, older = await place(), person("user_id:ada")
    await here.keep(older)
    await here.tell(CHANGE)
    here.cache.failures = sys.maxsize
    asking = asyncio.create_task(here.current.get([older.id]))
    for _ in range(4):
        here.cache.asked.clear()
        await asyncio.wait_for(here.cache.asked.wait(), 10)
    assert not asking.done(), "the store has what was before the change"
    await here.keep(person("user_id:ada", "email:ada@x.test"), told=1)
    found = await asyncio.wait_for(asking, 10)
    assert set(found[older.id].identifiers) == {"user_id:ada", "email:ada@x.test"}


async def test_without_the_cache_the_store_is_asked_if_nothing_was_told_since() -> None:
    here, ada, nobody = await place(), person("user_id:ada"), person("user_id:nobody")
    await here.tell(CHANGE)
    await here.keep(ada, told=1)
    here.cache.failures = sys.maxsize
    assert await asyncio.wait_for(here.ids(ada, nobody), 10) == [ada.id, None]
