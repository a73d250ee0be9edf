"""What every `EventLog` must prove of what it lets go of, begins with, and finds tampered with."""

from __future__ import annotations

from abc import abstractmethod

import pytest

from obverse.contracts.event_log_steps import EVENTS, appending, joined, read, some, soon, told
from obverse.ports.event_log import EventLog, LogGap, Records, Stream, UnknownMark


class LogQuestions:
    """What every part of the suite asks of whoever subclasses it."""

    trim_grain: float = 0.0
    """By how many seconds `trim` may keep more than it was asked to."""

    @abstractmethod
    @pytest.fixture
    def log(self) -> EventLog:
        """An empty log with 2 partitions of events."""

    @abstractmethod
    async def reopen(self, log: EventLog) -> EventLog:
        """Return the same log as the next process finds it after the one that opened `log` was killed."""

    @abstractmethod
    def shift_clock(self, seconds: float) -> None:
        """Set the wall clock of the log's runtime forward, or back if negative."""

    async def damage(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        """Change a bit of what is stored of the batch that begins at `first`, without asking the log."""
        del log, stream, partition, first
        pytest.skip("never: nothing is stored that could be damaged")

    async def remove(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        """Remove the batch that begins at `first`, without asking the log."""
        del log, stream, partition, first
        pytest.skip("never: nothing is stored that could go missing")

    async def intrude(self, log: EventLog, stream: Stream, partition: int) -> None:
        """Write something into the partition that is no record of ours, without asking the log."""
        del log, stream, partition
        pytest.skip("never: nobody else can write there")


class LogKeeping(LogQuestions):
    """A part of the suite."""

    # What trimming promises.

    async def test_trimming_keeps_what_is_newer_and_forgets_what_is_old(self, log: EventLog) -> None:
        decisions = await log.open_appender(Stream.DECISIONS)
        await decisions.append(0, some(1))
        await decisions.close()
        async with appending(log) as appender:
            await appender.append(0, Records(5, b"old"))
            self.shift_clock(self.trim_grain + 60)
            await appender.append(0, Records(2, b"new"))
            (new,) = [batch for batch in await read(log, {0: 5}, {0: 7}) if batch.first == 5]
            await log.trim(EVENTS, new.appended_at)
            assert await log.bounds(EVENTS) == {0: (5, 7), 1: (0, 0)}
            assert await log.bounds(Stream.DECISIONS) == {0: (0, 1)}, "another stream keeps its own"
            assert joined(await read(log, {0: 5}, {0: 7})) == b"new"
            assert await appender.append(0, some(1)) == 7
        for mark in (0, 4):
            reader = await log.open_reader(EVENTS, {0: mark})
            with pytest.raises(UnknownMark, match="5"):
                await soon(reader.next())
            await reader.close()

    async def test_a_reader_that_was_overtaken_by_trimming_is_told(self, log: EventLog) -> None:
        async with appending(log) as appender:
            await appender.append(0, some(1))
            reader = await log.open_reader(EVENTS, {0: 0})
            await soon(reader.next())
            await appender.append(0, some(4))
            self.shift_clock(self.trim_grain + 60)
            await appender.append(0, some(2))
            (new,) = await read(log, {0: 5}, {0: 7})
            await log.trim(EVENTS, new.appended_at)
        with pytest.raises(UnknownMark, match="5"):
            await soon(reader.next())
        await reader.close()

    async def test_offsets_go_on_though_everything_was_trimmed(self, log: EventLog) -> None:
        async with appending(log) as appender:
            await appender.append(0, some(5))
            (last,) = await read(log, {0: 0}, {0: 5})
        self.shift_clock(self.trim_grain + 60)
        await log.trim(EVENTS, last.appended_at + round((self.trim_grain + 30) * 1_000_000))
        assert (await log.bounds(EVENTS))[0] == (5, 5)
        log = await self.reopen(log)
        reader = await log.open_reader(EVENTS, {0: 5})
        async with appending(log) as appender:
            assert await appender.append(0, Records(1, b"next")) == 5
        assert joined(await soon(reader.next())) == b"next"
        assert (await log.bounds(EVENTS))[0] == (5, 6)
        await reader.close()

    # What a log that takes another one's place promises.

    async def test_an_empty_partition_begins_where_it_is_told(self, log: EventLog) -> None:
        await log.begin(EVENTS, {0: 7, 1: 0})
        assert await log.bounds(EVENTS) == {0: (7, 7), 1: (0, 0)}
        log = await self.reopen(log)
        reader = await log.open_reader(EVENTS, {0: 7})
        async with appending(log) as appender:
            assert [await appender.append(0, Records(2, b"next")), await appender.append(1, some(1))] == [7, 0]
        assert joined(await soon(reader.next())) == b"next"
        await reader.close()
        assert await log.bounds(EVENTS) == {0: (7, 9), 1: (0, 1)}
        early = await log.open_reader(EVENTS, {0: 6})
        with pytest.raises(UnknownMark, match="7"):
            await soon(early.next())
        await early.close()

    async def test_only_an_empty_partition_begins_anew(self, log: EventLog) -> None:
        async with appending(log, [1]) as appender:
            await appender.append(1, some(3))
        with pytest.raises(ValueError, match="partition 1"):
            await log.begin(EVENTS, {0: 7, 1: 9})
        assert await log.bounds(EVENTS) == {0: (0, 0), 1: (0, 3)}
        with pytest.raises(KeyError):
            await log.begin(EVENTS, {2: 0})

    # What is promised when what is stored was tampered with.

    async def test_a_damaged_batch_says_so_and_hides_no_other(self, log: EventLog) -> None:
        async with appending(log) as appender:
            for body in (b"one", b"two", b"three"):
                await appender.append(0, Records(2, body))
        await self.damage(log, EVENTS, 0, 2)
        first, second, third = await read(log, {0: 0}, {0: 6})
        assert (second.first, second.count, second.body) == (2, 2, b"")
        assert "events partition 0, offsets 2 to 3" in second.damage
        assert (first.damage, first.body, third.damage, third.body) == ("", b"one", "", b"three")

    async def test_a_missing_batch_stops_the_reader_and_says_how_to_go_on(self, log: EventLog) -> None:
        async with appending(log) as appender:
            for body in (b"one", b"two", b"three"):
                await appender.append(0, Records(2, body))
        await self.remove(log, EVENTS, 0, 2)
        reader = await log.open_reader(EVENTS, {0: 0})
        assert joined(await soon(reader.next())) == b"one"
        for _ in range(2):
            with pytest.raises(LogGap, match=r"partition 0: offset 2 .* begin at 4 to go on"):
                await soon(reader.next())
        await reader.close()
        assert joined(await read(log, {0: 4}, {0: 6})) == b"three"

    async def test_what_others_wrote_is_told_each_time_and_hides_nothing(self, log: EventLog) -> None:
        async with appending(log) as appender:
            await appender.append(0, Records(2, b"one"))
            await self.intrude(log, EVENTS, 0)
            assert await appender.append(0, Records(2, b"two")) == 2
            await self.intrude(log, EVENTS, 0)
        log = await self.reopen(log)
        assert (await log.bounds(EVENTS))[0] == (0, 4)
        reader = await log.open_reader(EVENTS, {0: 0})
        seen = await told(reader, 4)
        await reader.close()
        assert [(batch.first, batch.count, batch.body) for batch in seen] == [
            (0, 2, b"one"),
            (2, 0, b""),
            (2, 2, b"two"),
            (4, 0, b""),
        ]
        assert all("events" in seen[place].damage for place in (1, 3))
        assert seen[1].damage != seen[3].damage
        again = await log.open_reader(EVENTS, {0: 2})
        assert [batch.damage for batch in await told(again, 3)] == [batch.damage for batch in seen[1:]]
        await again.close()
