"""What a keeper shows, and up to where it says that all is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from engine_parts import memory_parts
from obverse.adapters._buckets import items
from obverse.adapters._buckets.items import Folded, Shown, Tick, Told
from obverse.adapters._buckets.keeper import Keeper, KeeperSettings
from obverse.adapters.memory.profile_cache import MemoryProfileCache
from obverse.contracts.profile_cache import person
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core import profiles
from obverse.core.changes import ATTRIBUTE, Change
from obverse.core.profiles import Profile
from obverse.flows.current_profiles import CurrentProfiles
from obverse.ports.engine import WRITER, EngineParts, Progress
from obverse.ports.event_log import Records, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, P, Packer
from obverse.ports.profile_rows import ProfileRow
from obverse.ports.profile_store import Checkpoint

OLD, NEW, OTHER = person("user_id:ada"), person("user_id:ada", "email:ada@x.test"), person("user_id:bob")


class NobodysCache(MemoryProfileCache):
    """A cache that does not answer while nobody writes, as those between processes are."""

    def __init__(self) -> None:
        super().__init__({})
        self.opened = 0

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        self.opened += 1
        return await super().open_writer(pack, present)

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        if not self.opened:
            raise Unreachable("nobody writes")
        return await super().get_all(identifiers)


class Source:
    """See `FoldedSource`. It gives a record each time that it is told to go on."""

    def __init__(self, *records: bytes) -> None:
        self._records = records
        self._at = 0
        self.kept: dict[int, int] = {}
        """What was noted last."""
        self.more = asyncio.Semaphore(0)
        self.taken = asyncio.Event()
        """Set when the first was taken in, and the next is asked for."""

    async def next(self) -> Sequence[tuple[int, int, bytes]]:
        if self._at:
            self.taken.set()
        await self.more.acquire()
        self._at += 1
        return [(0, self._at - 1, self._records[self._at - 1])]

    async def ends(self) -> Mapping[int, int]:
        return {0: len(self._records)}

    async def keep(self, offsets: Mapping[int, int]) -> None:
        self.kept = dict(offsets)

    async def close(self) -> None:
        """Nothing is open."""


def record(number: int, one: Profile, *changes: Change) -> bytes:
    shown = Shown(number, one.id, tuple(one.identifiers), profiles.pack(one, DEFINITIONS))
    return items.write_folded(
        Folded(bucket=0, done=[number], shown=[shown], changes=[(number, change) for change in changes])
    )


async def routed(parts: EngineParts, count: int) -> None:
    events = tell(seed=1, people=1, events=count)
    work = [(0, Told(bytes(16), 0, place, event)) for place, event in enumerate(events)]
    appender = await parts.log.open_appender(Stream.ROUTED)
    await appender.append(0, Records(*items.write_turn(0, 1, work, partition=0, events_end=count)))
    await appender.close()


async def test_a_keeper_shows_nobody_before_all_has_come_again_that_was_told() -> None:
    cache = NobodysCache()
    parts = replace(await memory_parts(1), cache=cache)
    await routed(parts, 2)
    writer = await parts.store.open_writer(WRITER)
    await writer.commit(Checkpoint(marks={}, profiles=[ProfileRow.of(OLD, DEFINITIONS)]))
    await writer.close()
    told = Change(NEW.id, ATTRIBUTE, "email", "m1")
    records = record(0, NEW, told), record(1, OTHER, Change(OTHER.id, ATTRIBUTE, "plan", "m2"))

    first = Source(*records)
    keeper = parts.runtime.spawn("keeper", Keeper(KeeperSettings(), parts, first, Progress()).run())
    for _ in records:
        first.more.release()
    async with asyncio.timeout(10):
        while (await parts.log.bounds(Stream.CHANGES))[0][1] < 2:  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.01)
    await keeper.stop()

    cache.opened = 0
    second, progress = Source(*records), Progress()
    keeper = parts.runtime.spawn("keeper", Keeper(KeeperSettings(), parts, second, progress).run())
    current = CurrentProfiles(
        log=parts.log,
        store=parts.store,
        cache=cache,
        definitions=lambda: DEFINITIONS,
        runtime=parts.runtime,
    )
    acting = asyncio.create_task(current.get([NEW.id]))
    second.more.release()
    await asyncio.wait_for(second.taken.wait(), 10)
    assert (cache.opened, acting.done()) == (0, False)
    second.more.release()
    found = await asyncio.wait_for(acting, 10)
    assert set(found[NEW.id].identifiers) == {"user_id:ada", "email:ada@x.test"}
    await keeper.stop()
    assert cache.opened == 1


TICK = Tick(now=1, first=1, events={0: 1}, decisions=0, routed=1, keep=2)
KEPT = items.write_folded(Folded(bucket=0, done=[1], ticks=[(1, TICK)]))
"""With it all that came of item 0 is to be kept."""


async def until_kept(parts: EngineParts, source: Source, count: int) -> int:
    """Have a keeper take so many records, and keep what is due; return up to which change the store says it knows."""
    await routed(parts, 1)
    keeper = parts.runtime.spawn("keeper", Keeper(KeeperSettings(), parts, source, Progress()).run())
    for _ in range(count):
        source.more.release()
    async with asyncio.timeout(10):
        while not source.kept:  # noqa: ASYNC110 - as a log's reader would
            await asyncio.sleep(0.01)
    await keeper.stop()
    return (await parts.store.overview()).marks[WRITER][Stream.CHANGES][0]


async def test_a_record_that_is_held_for_a_tick_alone_keeps_back_no_mark_of_changes() -> None:
    parts = await memory_parts(1)
    told = Folded(
        bucket=0,
        done=[0],
        parts=[(1, OTHER.id)],
        shown=[Shown(0, NEW.id, tuple(NEW.identifiers), profiles.pack(NEW, DEFINITIONS))],
        changes=[(0, Change(NEW.id, ATTRIBUTE, "email", "m1"))],
    )
    source = Source(items.write_folded(told), KEPT)
    assert await until_kept(parts, source, 2) == 1
    assert source.kept == {0: 0}, "it comes again, for the tick is not done for others"


async def test_what_cannot_be_read_is_never_noted_as_read() -> None:
    parts = await memory_parts(1)
    source = Source(record(0, NEW), b"nonsense", KEPT)
    await until_kept(parts, source, 3)
    assert source.kept == {0: 1}
