"""A log that moves while roles go on appending: each record is where it was acknowledged, whoever is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.memory.log_places import MemoryLogPlaces
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.event_log_steps import read
from obverse.core import codec
from obverse.flows.move_log import PATIENCE, BadMove, Logs, Moved, MoveLog
from obverse.flows.placed_log import PlacedLog
from obverse.ports.event_log import Appender, Batch, EventLog, Records, Stream
from obverse.ports.log_places import RENEW_SECONDS, LogPlace
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

EVENTS = Stream.EVENTS
PLACES = [(EVENTS, 0), (EVENTS, 1), (Stream.CHANGES, 0), (Stream.DECISIONS, 0)]


def a_log() -> MemoryEventLog:
    return MemoryEventLog(MemoryLogSettings(partitions=2), open_runtime())


@dataclass
class World:
    """Two logs, where the log is, and what roles were told is in it."""

    logs: dict[str, MemoryEventLog] = field(default_factory=lambda: {"old": a_log(), "new": a_log()})
    places: MemoryLogPlaces = field(default_factory=lambda: MemoryLogPlaces(open_runtime()))
    acknowledged: dict[tuple[Stream, int], dict[int, str]] = field(
        default_factory=lambda: {place: {} for place in PLACES}
    )
    sent: int = 0

    async def open_log(self, adapter: str) -> EventLog:
        return _View(self.logs[adapter])

    def log(self) -> PlacedLog:
        return PlacedLog(self.places, self.open_log, "old", 2, open_runtime())

    async def append(self, appender: Appender, stream: Stream, partition: int, count: int = 2) -> None:
        said = [f"{stream} {partition} {self.sent + number}" for number in range(count)]
        self.sent += count
        first = await appender.append(partition, Records(count, codec.encode(said)))
        self.acknowledged[stream, partition].update({first + at: text for at, text in enumerate(said)})

    async def role(self, stream: Stream, partition: int, dice: Random) -> None:
        """Appends for ever, and begins anew when the log moves, as a process that is restarted."""
        while True:
            log = self.log()
            moved = asyncio.create_task(log.moved())
            try:
                appender = await log.open_appender(stream, [partition])
                while not moved.done():
                    await self.append(appender, stream, partition, dice.randrange(1, 4))
                    await asyncio.sleep(0.001)
                await appender.close()
            except Unreachable:
                await asyncio.sleep(0.01)
            finally:
                moved.cancel()
                await log.close()

    @asynccontextmanager
    async def roles(self, seed: int) -> AsyncIterator[None]:
        dice = Random(seed)
        works = [asyncio.create_task(self.role(stream, partition, dice)) for stream, partition in PLACES]
        try:
            await self.until(20)
            yield
        finally:
            for work in works:
                work.cancel()
            for one in await asyncio.gather(*works, return_exceptions=True):
                assert isinstance(one, asyncio.CancelledError), one

    async def until(self, more: int) -> None:
        """Until so much more has been acknowledged everywhere."""
        wanted = {place: len(known) + more for place, known in self.acknowledged.items()}
        async with asyncio.timeout(60):
            while any(len(self.acknowledged[place]) < count for place, count in wanted.items()):  # noqa: ASYNC110 - several tasks
                await asyncio.sleep(0.01)

    async def move(self, source: str = "old", target: str = "new", *, patience: float = PATIENCE) -> Moved:
        mover = await self.places.open_mover()
        logs = Logs(source=self.logs[source], target=self.logs[target], source_name=source, target_name=target)
        try:
            return await MoveLog(logs, mover, open_runtime(), patience=patience, grace=0.05).run()
        finally:
            await mover.close()

    async def check(self, adapter: str) -> None:
        """What was acknowledged is in this log, each at its offset, and it is the one in force."""
        assert (await self.places.settle("old")).adapter == adapter
        for stream, partition in PLACES:
            records = await self.records(adapter, stream, partition)
            assert self.acknowledged[stream, partition].items() <= records.items()

    async def records(self, adapter: str, stream: Stream, partition: int) -> dict[int, str]:
        first, end = (await self.logs[adapter].bounds(stream))[partition]
        batches = await read(self.logs[adapter], {partition: first}, {partition: end}, stream)
        return {
            one.first + at: text
            for one in batches
            for at, text in enumerate(codec.Decoder(str).decode(one.count, one.body))
        }


class _View:
    """A log as one process has it open: closing it leaves the log to others."""

    def __init__(self, log: MemoryEventLog) -> None:
        self.partitions = log.partitions
        self.open_appender, self.open_reader = log.open_appender, log.open_reader
        self.bounds, self.begin, self.trim = log.bounds, log.begin, log.trim

    async def close(self) -> None:
        pass


async def fill(log: EventLog, texts: Sequence[str], stream: Stream = EVENTS, partition: int = 0) -> None:
    appender = await log.open_appender(stream, [partition])
    for text in texts:
        await appender.append(partition, Records(1, codec.encode([text])))
    await appender.close()


async def test_it_moves_and_back_while_everybody_appends() -> None:
    world = World()
    async with world.roles(1):
        moved = await world.move()
        await world.until(20)
        assert sum(moved.copied.values()) >= 80
        await world.check("new")
        await world.move("new", "old")
        await world.until(20)
        await world.check("old")
    await world.check("old")


@pytest.mark.parametrize("seed", range(6))
async def test_who_is_killed_while_it_moves_leaves_everything_as_it_was_and_goes_on(seed: int) -> None:
    world, dice = World(), Random(seed)
    async with world.roles(seed):
        for _ in range(3):
            moving = asyncio.create_task(world.move())
            for _ in range(dice.randrange(400)):
                await asyncio.sleep(0)
            moving.cancel()
            await asyncio.wait([moving])
            if not moving.cancelled():
                break
            await world.until(3)
        else:
            await world.move()
        await world.until(10)
    await world.check("new")


async def test_a_log_whose_beginning_is_gone_keeps_its_offsets() -> None:
    world = World()
    await fill(world.logs["old"], ["a", "b", "c"])
    (batch,) = [one for one in await read(world.logs["old"], {0: 0}, {0: 3}) if one.first == 2]
    await asyncio.sleep(0.001)
    await world.logs["old"].trim(EVENTS, batch.appended_at)
    kept = (await world.logs["old"].bounds(EVENTS))[0]
    await world.places.settle("old")
    await world.move()
    assert (await world.logs["new"].bounds(EVENTS))[0] == kept == (2, 3)
    assert await world.records("new", EVENTS, 0) == {2: "c"}


async def test_a_log_that_holds_something_else_is_refused() -> None:
    world = World()
    await world.places.settle("old")
    await fill(world.logs["old"], ["a", "b"])
    await fill(world.logs["new"], ["x"])
    with pytest.raises(BadMove, match="new holds records of another log at events partition 0: empty it"):
        await world.move()
    world.logs["new"] = a_log()
    await fill(world.logs["new"], ["a", "b", "c"])
    with pytest.raises(BadMove, match="another log"):
        await world.move()
    world.logs["new"] = MemoryEventLog(MemoryLogSettings(partitions=1), open_runtime())
    with pytest.raises(BadMove, match="events has 2 partitions in old and 1 in new"):
        await world.move()
    assert (await world.places.settle("old")).moving_to is None


async def test_a_log_that_ends_before_what_is_kept_is_refused() -> None:
    world = World()
    await world.places.settle("old")
    await fill(world.logs["new"], ["a"])
    await world.logs["old"].begin(EVENTS, {0: 5})
    with pytest.raises(BadMove, match="new ends at 1 of events partition 0, but old keeps nothing before 5"):
        await world.move()


async def test_what_was_copied_before_goes_on_also_within_a_batch() -> None:
    world = World()
    await world.places.settle("old")
    appender = await world.logs["old"].open_appender(EVENTS)
    await appender.append(0, Records(3, codec.encode(["a", "b", "c"])))
    await appender.close()
    await fill(world.logs["new"], ["a", "b"])
    moved = await world.move()
    assert moved.copied[EVENTS] == 1
    assert await world.records("new", EVENTS, 0) == {0: "a", 1: "b", 2: "c"}


async def test_what_cannot_be_read_keeps_its_place() -> None:
    world = World()
    await world.places.settle("old")
    await fill(world.logs["old"], ["a", "b", "c"])
    shelf = world.logs["old"]._disk.shelves[EVENTS][0]
    shelf.batches[1] = replace(shelf.batches[1], body=b"", damage="its checksum is another one")
    shelf.batches.append(Batch(partition=0, first=3, count=0, body=b"", appended_at=1, damage="not ours"))
    moved = await world.move()
    assert (moved.damaged, moved.copied[EVENTS]) == (1, 3)
    batches = await read(world.logs["new"], {0: 0}, {0: 3})
    assert [batch.first for batch in batches] == [0, 1, 2]
    with pytest.raises(codec.UnreadableRecord):
        codec.Decoder(str).decode(1, batches[1].body)


async def test_a_mover_that_was_held_up_changes_nothing() -> None:
    world = World()
    await world.places.settle("old")
    held: list[bool] = []
    mover = await world.places.open_mover()

    class Slow(MemoryEventLog):
        async def open_appender(
            self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
        ) -> Appender:
            appender = await super().open_appender(stream, partitions, most=most)
            if world.places.held_at is not None:
                world.places.held_at -= RENEW_SECONDS + 1
                held.append(True)
            return appender

    source = Slow(MemoryLogSettings(partitions=2), open_runtime())
    logs = Logs(source=source, target=world.logs["new"], source_name="old", target_name="new")
    with pytest.raises(BadMove, match="others have gone on using old"):
        await MoveLog(logs, mover, open_runtime()).run()
    assert held
    place = await world.places.settle("old")
    assert (place.adapter, place.moving_to, place.held) == ("old", "new", False)


async def test_somebody_who_does_not_let_go_is_told() -> None:
    world = World()
    await world.places.settle("old")
    appender = await world.logs["old"].open_appender(EVENTS)
    with pytest.raises(Unreachable, match=r"to the log of old .* does not let go: see that all roles"):
        await world.move(patience=0.05)
    assert not (await world.places.settle("old")).held
    await world.append(appender, EVENTS, 0)
    await appender.close()


async def test_nothing_is_opened_while_the_log_is_held() -> None:
    world = World()
    await world.places.settle("old")
    mover = await world.places.open_mover()
    await mover.begin("new")
    await mover.hold()
    log = world.log()
    with pytest.raises(Unreachable, match="the log moves to new"):
        await log.bounds(EVENTS)
    await mover.finish()
    assert await log.bounds(EVENTS) == {0: (0, 0), 1: (0, 0)}
    await fill(world.logs["new"], ["a"])
    assert (await log.bounds(EVENTS))[0] == (0, 1), "the settings name the old one, and the new one is in force"


async def test_who_waited_for_the_former_log_while_it_moved_does_not_append_to_it() -> None:
    world = World()
    await world.places.settle("old")
    former = await world.logs["old"].open_appender(EVENTS)
    early = asyncio.create_task(world.log().open_appender(EVENTS))
    await asyncio.sleep(0.05)
    moving = asyncio.create_task(world.move())
    async with asyncio.timeout(20):
        while not (await world.places.settle("old")).held:  # noqa: ASYNC110 - the mover's doing
            await asyncio.sleep(0.01)
    beside = PlacedLog(_Unheld(open_runtime(), world.places), world.open_log, "old", 2, open_runtime())
    late = asyncio.create_task(beside.open_appender(EVENTS))
    await asyncio.sleep(0.05)
    await former.close()
    await moving
    for waited in (early, late):
        with pytest.raises(Unreachable, match="the log moves from old"):
            await waited
    assert await world.logs["old"].bounds(EVENTS) == {0: (0, 0), 1: (0, 0)}
    await (await world.logs["old"].open_appender(EVENTS)).close()  # nobody holds it


class _Unheld(MemoryLogPlaces):
    """As somebody knows the places who looked a moment before the log was held, and looks again later."""

    def __init__(self, runtime: Runtime, places: MemoryLogPlaces) -> None:
        super().__init__(runtime)
        self.places, self.looks = places, 0

    async def settle(self, adapter: str) -> LogPlace:
        self.looks += 1
        return LogPlace(adapter="old") if self.looks == 1 else await self.places.settle(adapter)
