"""Checkpoints of the embedded engine: who has not moved for a while rests."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.adapters.embedded.engine import EmbeddedSettings
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.core import profiles
from obverse.core.profiles import Profile
from obverse.ports.engine import Progress
from obverse.ports.event_log import Stream
from people_steps import DEFINITIONS, event, new, told


async def rested(settings: EmbeddedSettings, *met: str) -> list[set[str]]:
    """Meet these people, one checkpoint after another; return who rests after each."""
    runtime, people, found = open_runtime(), new(), list[set[str]]()
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    cache = await open_profile_cache(MemoryCacheSettings(), runtime)
    log = await open_event_log(MemoryLogSettings(), runtime)

    async with AsyncExitStack() as stack:
        writer = await store.open_writer("unify")
        stack.push_async_callback(writer.close)

        def pack(profile: Profile) -> bytes:
            return profiles.pack(profile, DEFINITIONS)

        shelf = await cache.open_writer(pack)
        stack.push_async_callback(shelf.close)
        checkpoints = Checkpoints(
            settings=settings,
            runtime=runtime,
            people=people,
            writer=writer,
            cache=shelf,
            changes=ChangesOut(runtime, await log.open_appender(Stream.CHANGES), Progress(), 0),
            obstacle=lambda: None,
        )
        kept: asyncio.Queue[None] = asyncio.Queue()

        async def note(_: Checkpoints) -> None:
            found.append(
                {one.removeprefix("user_id:") for one, owner in people.owners.items() if people.profiles[owner].rests}
            )
            kept.put_nowait(None)

        running = runtime.spawn("checkpoints", checkpoints.run(lambda: True, note))
        stack.push_async_callback(running.stop)
        for turn, names in enumerate(met):
            for place, name in enumerate(names):
                profile = people.fold(event(f"{turn}-{place}", at=turn, user_id=name), (0, turn)).profile
                assert profile is not None
                checkpoints.touch(profile.id)
            await kept.get()
        before = told(people)
    assert {next(iter(one)).removeprefix("user_id:") for one in before} == set("".join(met))
    return found


async def test_who_was_in_none_of_the_last_checkpoints_rests_until_met_again() -> None:
    settings = EmbeddedSettings(profiles_awake=0, rest_after=2)
    assert await rested(settings, "abc", "a", "a", "ab", "a") == [set(), set(), {"b", "c"}, {"c"}, {"c"}]


async def test_while_there_are_few_nobody_rests() -> None:
    settings = EmbeddedSettings(profiles_awake=3, rest_after=2)
    assert await rested(settings, "abc", "a", "a", "ad", "a") == [set(), set(), set(), set(), set()]
