"""Events of periods that are over are archived once, read from there when the log let go, and left out by rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from obverse.adapters.memory.archive import MemoryArchive, MemoryPieceWriter
from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.runtime.simulated import START, SimulatedRuntime, simulate
from obverse.contracts.event_log_steps import read
from obverse.core import codec
from obverse.core.archives import Archived, Rule
from obverse.core.events import Event
from obverse.flows.archive import ArchiveEvents
from obverse.flows.archived_log import LEFT_OUT, ArchivedLog
from obverse.ports.archive import PieceWriter
from obverse.ports.event_log import Records, Stream, UnknownMark
from obverse.ports.outcomes import Unreachable

HOUR, DAY = 3600.0, 86_400.0
EVENTS = Stream.EVENTS


@dataclass
class World:
    """A log of two partitions, its archive, and who archives."""

    runtime: SimulatedRuntime
    archive: MemoryArchive = field(default_factory=MemoryArchive)
    told: dict[int, list[Event]] = field(default_factory=lambda: {0: [], 1: []})
    hours: int = 1

    def __post_init__(self) -> None:
        self.log = MemoryEventLog(MemoryLogSettings(partitions=2), self.runtime)

    async def tell(self, partition: int, *names: str) -> None:
        """Append events in one batch."""
        known = self.told[partition]
        events = [
            Event(
                type="track",
                message_id=f"{partition}-{len(known) + at}",
                source="shop",
                received_at=self.runtime.now(),
                timestamp=self.runtime.now(),
                name=name,
            )
            for at, name in enumerate(names)
        ]
        known += events
        appender = await self.log.open_appender(EVENTS, [partition])
        await appender.append(partition, Records(len(events), codec.encode(events)))
        await appender.close()

    async def at(self, hours: float) -> None:
        """Sleep until so many hours have passed."""
        await self.runtime.sleep(hours * HOUR - (self.runtime.now() - START) / 1_000_000)

    def flow(self, *rules: Rule, most_rows: int = 1000) -> ArchiveEvents:
        return ArchiveEvents(self.log, self.archive, self.runtime, hours=self.hours, rules=rules, most_rows=most_rows)

    async def pieces(self) -> list[tuple[int, int, int, float]]:
        """Partition, first, end and hour of each piece."""
        found = await self.archive.pieces()
        return [(one.partition, one.first, one.end, (one.period - START) / HOUR / 1_000_000) for one in found]

    async def seen(self, partition: int) -> list[Event | None]:
        """All that the log with its archive tells; None for each that is missing."""
        whole = ArchivedLog(self.log, self.archive)
        first, end = (await whole.bounds(EVENTS))[partition]
        assert first == 0
        found: list[Event | None] = []
        for batch in await read(whole, {partition: 0}, {partition: end}):
            assert batch.first == len(found)
            if batch.damage:
                assert LEFT_OUT in batch.damage
                found += [None] * batch.count
            else:
                found += codec.Decoder(Event).decode(batch.count, batch.body)
        return found


def run(story: Callable[[World], Awaitable[None]]) -> None:
    simulate(7, lambda runtime: story(World(runtime)))


def test_only_what_is_over_is_archived_a_piece_for_each_period() -> None:
    async def story(world: World) -> None:
        await world.at(0.5)
        await world.tell(0, "a", "b")
        await world.at(1.2)
        await world.tell(0, "c")
        await world.tell(1, "x")
        await world.at(2.0)
        flow = world.flow()
        await flow.turn()
        assert await world.pieces() == [(0, 0, 2, 0)], "the last hour was over a moment ago"
        assert flow.archived() == {0: 2, 1: 0}
        await world.at(2.1)
        await world.tell(0, "d")
        await flow.turn()
        await flow.turn()
        assert await world.pieces() == [(0, 0, 2, 0), (0, 2, 3, 1), (1, 0, 1, 1)]
        assert await world.seen(0) == world.told[0]
        await world.at(9)
        await world.flow().turn()
        assert (await world.pieces())[2] == (0, 3, 4, 2), "another process goes on where it stood"

    run(story)


def test_a_piece_does_not_grow_without_end() -> None:
    async def story(world: World) -> None:
        for number in range(5):
            await world.tell(0, *"abc"[: 1 + number % 3])
        await world.at(5)
        await world.flow(most_rows=4).turn()
        assert [(first, end) for _, first, end, _ in await world.pieces()] == [(0, 6), (6, 9)]

    run(story)


def test_what_left_the_log_is_read_from_the_archive() -> None:
    async def story(world: World) -> None:
        for number in range(6):
            await world.at(number)
            await world.tell(0, *(f"n{number}.{at}" for at in range(1500)))
            await world.tell(1, f"o{number}")
        await world.at(4.5)
        await world.flow().turn()
        await world.log.trim(EVENTS, START + round(3 * HOUR * 1_000_000))
        kept = await world.log.bounds(EVENTS)
        assert {one: first for one, (first, _) in kept.items()} == {0: 4500, 1: 3}
        assert await world.seen(0) == world.told[0]
        assert await world.seen(1) == world.told[1]
        whole = ArchivedLog(world.log, world.archive)
        both = await read(whole, {0: 2222, 1: 1}, {0: 9000, 1: 6})
        assert sum(one.count for one in both) == 9000 - 2222 + 5
        assert await whole.bounds(Stream.CHANGES) == {0: (0, 0)}

    run(story)


def test_an_archive_with_a_gap_before_the_log_is_not_taken_for_its_beginning() -> None:
    async def story(world: World) -> None:
        for number in range(4):
            await world.at(number)
            await world.tell(0, "a", "b")
        await world.at(5)
        await world.flow().turn()
        del world.archive.kept[0, 2]
        await world.log.trim(EVENTS, START + round(2.5 * HOUR * 1_000_000))
        whole = ArchivedLog(world.log, world.archive)
        assert (await whole.bounds(EVENTS))[0] == (4, 8)
        reader = await whole.open_reader(EVENTS, {0: 0})
        with pytest.raises(UnknownMark, match="6"):
            await reader.next()

    run(story)


def test_rules_leave_out_what_has_become_too_old() -> None:
    async def story(world: World) -> None:
        world.hours = 24
        await world.tell(0, "view", "order", "view")
        await world.at(25)
        await world.tell(0, "order", "view")
        await world.at(49)
        views, all_ = Rule(days=3, event="view"), Rule(days=30)
        await world.flow(views, all_).turn()
        await world.log.trim(EVENTS, world.runtime.now())
        assert await world.seen(0) == world.told[0]
        await world.at(24 * 3 + 1)
        flow = world.flow(views, all_)
        await flow.turn()
        await flow.turn()
        assert flow.vitals.records["left out"] == 2, "once, not each time that somebody looks"
        events = world.told[0]
        assert await world.seen(0) == [None, events[1], None, events[3], events[4]]
        await world.at(24 * 40)
        await world.flow(views, all_).turn()
        assert await world.seen(0) == [None] * 5
        assert [one.rows for one in await world.archive.pieces()] == [0, 0]

    run(story)


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"days": 0}, "a day at least"), ({"days": 1, "type": "order"}, "use one of alias, group")],
)
def test_a_rule_that_cannot_be_is_refused(fields: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Rule(**fields)  # type: ignore[arg-type]


def test_what_cannot_be_read_keeps_its_offsets() -> None:
    async def story(world: World) -> None:
        await world.tell(0, "a")
        await world.tell(0, "b")
        await world.tell(0, "c")
        await world.tell(0, "d")
        shelf = world.log._disk.shelves[EVENTS][0]
        shelf.batches[1] = replace(shelf.batches[1], body=b"", damage="its checksum is another one")
        shelf.batches[2] = replace(shelf.batches[2], body=b"\xc1")
        await world.at(2)
        await world.flow().turn()
        await world.tell(0, "e")
        await world.log.trim(EVENTS, world.runtime.now())
        events = world.told[0]
        assert await world.seen(0) == [events[0], None, None, events[3], events[4]]

    run(story)


def test_what_left_the_log_before_it_was_archived_is_passed_over() -> None:
    async def story(world: World) -> None:
        await world.tell(0, "a", "b")
        await world.at(1)
        await world.tell(0, "c")
        await world.log.trim(EVENTS, START + round(0.5 * HOUR * 1_000_000))
        await world.at(3)
        await world.flow().turn()
        assert await world.pieces() == [(0, 2, 3, 1)]

    run(story)


class Full(MemoryArchive):
    """An archive whose disk is full at the second row of rows."""

    abandoned = 0

    async def open_writer(self, partition: int) -> PieceWriter:
        await super().open_writer(partition)
        return _FullWriter(self)


class _FullWriter(MemoryPieceWriter):
    def __init__(self, archive: Full) -> None:
        super().__init__(archive)
        self.full = archive
        self.added = 0

    async def add(self, rows: Sequence[Archived]) -> None:
        self.added += 1
        if self.added > 1:
            raise Unreachable("no space left on device")
        await super().add(rows)

    async def abandon(self) -> None:
        self.full.abandoned += 1


def test_an_archive_that_fails_has_no_half_piece() -> None:
    async def story(world: World) -> None:
        world.archive = Full()
        await world.tell(0, "a")
        await world.tell(0, "b")
        await world.at(2)
        with pytest.raises(Unreachable):
            await world.flow().turn()
        assert (await world.pieces(), world.archive.abandoned) == ([], 1)

    run(story)
