"""What every `EventLog` must prove."""

from __future__ import annotations

import asyncio

import pytest

from obverse.contracts.event_log_keeping import LogKeeping
from obverse.contracts.event_log_steps import (
    EVENTS,
    WIDTH,
    appending,
    dense,
    joined,
    marked,
    noise,
    read,
    some,
    soon,
)
from obverse.ports.event_log import EventLog, Records, Stream, UnknownMark
from obverse.ports.outcomes import Unreachable

AT_ONCE = 3.0
"""Seconds for what must happen by being woken: less than any interval at which a reader may look by itself."""


class EventLogContract(LogKeeping):
    """
    Subclass, answer the questions, and every promise is tested.

    Whoever answers with a log closes it after the test.
    """

    # What an append promises.

    async def test_offsets_are_dense_from_0_in_each_partition(self, log: EventLog) -> None:
        async with appending(log) as appender:
            assert [await appender.append(0, some(count)) for count in (1, 3, 2)] == [0, 1, 4]
            assert [await appender.append(1, some(count)) for count in (5, 1)] == [0, 5]
        assert await log.bounds(EVENTS) == {0: (0, 6), 1: (0, 6)}

    async def test_what_was_appended_is_read_in_order(self, log: EventLog) -> None:
        bodies = [f"record {number};".encode() for number in range(50)]
        async with appending(log) as appender:
            for body in bodies:
                await appender.append(0, Records(1, body))
        batches = await read(log, {0: 0}, {0: 50})
        assert dense(batches, 0) == 50
        assert joined(batches) == b"".join(bodies)

    async def test_overlapping_appends_are_all_durable_each_at_its_own_offset(self, log: EventLog) -> None:
        sizes = [1 + number * 7 % 9 for number in range(200)]
        async with appending(log) as appender:
            firsts = await soon(
                asyncio.gather(*(appender.append(n % 2, marked(n, size)) for n, size in enumerate(sizes)))
            )
        log = await self.reopen(log)
        ends = {partition: end for partition, (_, end) in (await log.bounds(EVENTS)).items()}
        assert ends == {0: sum(sizes[::2]), 1: sum(sizes[1::2])}
        stored = {
            partition: joined(await read(log, {partition: 0}, {partition: ends[partition]})) for partition in ends
        }
        for number, (first, size) in enumerate(zip(firsts, sizes, strict=True)):
            # Each record of these is WIDTH bytes long, so an offset is a place in the body.
            where = slice(first * WIDTH, (first + size) * WIDTH)
            assert stored[number % 2][where] == marked(number, size).body

    async def test_an_append_that_returned_outlives_a_crash(self, log: EventLog) -> None:
        appender = await log.open_appender(EVENTS)
        await appender.append(0, Records(2, b"kept"))
        log = await self.reopen(log)
        assert joined(await read(log, {0: 0}, {0: 2})) == b"kept"

    async def test_offsets_go_on_after_a_crash(self, log: EventLog) -> None:
        appender = await log.open_appender(EVENTS)
        await appender.append(1, some(7))
        async with appending(await self.reopen(log)) as following:
            assert await following.append(1, some(1)) == 7
            assert await following.append(0, some(1)) == 0

    @pytest.mark.parametrize(
        "body",
        [b"\0", bytes(range(256)), b"\xff" * 1_000_000, noise(1, 1_000_000)],
        ids=["NUL", "every byte", "1 MB alike", "1 MB of noise"],
    )
    async def test_any_bytes_come_back_equal(self, log: EventLog, body: bytes) -> None:
        async with appending(log) as appender:
            await appender.append(0, Records(1, body))
        assert joined(await read(log, {0: 0}, {0: 1})) == body

    async def test_the_time_of_a_batch_never_falls(self, log: EventLog) -> None:
        async with appending(log) as appender:
            await appender.append(0, some(1))
            self.shift_clock(-3600)
            await appender.append(0, some(1))
        log = await self.reopen(log)
        self.shift_clock(-3600)
        async with appending(log) as appender:
            await appender.append(0, some(1))
        times = [batch.appended_at for batch in await read(log, {0: 0}, {0: 3})]
        assert times == sorted(times)
        assert times[0] > 0

    async def test_a_call_that_cannot_be_is_refused(self, log: EventLog) -> None:
        async with appending(log, [1]) as appender:
            with pytest.raises(KeyError):
                await appender.append(0, some(1))
            with pytest.raises(ValueError, match="0"):
                await appender.append(1, Records(0, b""))
        with pytest.raises(KeyError):
            await log.open_appender(EVENTS, [0, 2])
        with pytest.raises(KeyError):
            await log.open_reader(EVENTS, {2: 0})
        with pytest.raises(KeyError):
            await log.open_appender(Stream.CHANGES, [1])

    async def test_closing_finishes_what_waits(self, log: EventLog) -> None:
        appender = await log.open_appender(EVENTS)
        # More than any adapter writes at once.
        calls = [asyncio.ensure_future(appender.append(0, Records(1, noise(n, 100_000)))) for n in range(20)]
        await asyncio.sleep(0)
        await soon(appender.close())
        assert (await log.bounds(EVENTS))[0] == (0, 20)
        assert sorted(await soon(asyncio.gather(*calls))) == list(range(20))
        with pytest.raises(Unreachable):
            await appender.append(0, some(1))

    # Who may append.

    async def test_one_appender_at_a_time(self, log: EventLog) -> None:
        former = await log.open_appender(EVENTS)
        waiting = asyncio.ensure_future(log.open_appender(EVENTS, [1]))
        for number in range(20):
            assert await former.append(1, some(1)) == number
        assert not waiting.done()
        await former.close()
        following = await soon(waiting)
        assert await following.append(1, some(1)) == 20
        await following.close()

    async def test_appenders_of_different_partitions_do_not_wait(self, log: EventLog) -> None:
        async with appending(log, [0]) as one, appending(log, [1]) as other:
            assert [await one.append(0, some(2)), await other.append(1, some(1))] == [0, 0]

    async def test_an_appender_takes_only_as_many_as_it_asked_for_of_those_that_are_free(self, log: EventLog) -> None:
        one = await soon(log.open_appender(EVENTS, most=1))
        other = await soon(log.open_appender(EVENTS, most=2))
        assert sorted([*one.partitions, *other.partitions]) == [0, 1]
        for appender in (one, other):
            (mine,) = appender.partitions
            assert await appender.append(mine, some(2)) == 0
            with pytest.raises(KeyError):
                await appender.append(1 - mine, some(1))
        assert await log.bounds(EVENTS) == {0: (0, 2), 1: (0, 2)}
        for appender in (one, other):
            await soon(appender.close())
        async with appending(log) as whole:
            assert list(whole.partitions) == [0, 1]

    async def test_who_finds_none_free_stands_by_and_takes_what_is_let_go_of(self, log: EventLog) -> None:
        one, other = [await soon(log.open_appender(EVENTS, most=1)) for _ in range(2)]
        standby = asyncio.ensure_future(log.open_appender(EVENTS, most=2))
        (theirs,) = other.partitions
        for number in range(20):
            assert await other.append(theirs, some(1)) == number
        assert not standby.done()
        await soon(other.close())
        following = await soon(standby)
        assert following.partitions == [theirs]
        assert await following.append(theirs, some(1)) == 20
        assert await one.append(one.partitions[0], some(1)) == 0
        await soon(following.close())
        await soon(one.close())

    async def test_whoever_dies_leaves_its_partitions_to_the_next(self, log: EventLog) -> None:
        former = await soon(log.open_appender(EVENTS, most=1))
        (theirs,) = former.partitions
        await former.append(theirs, some(3))
        log = await self.reopen(log)
        # One after another, so that two who want the same at once are not what is asked here.
        first = await soon(log.open_appender(EVENTS, most=1))
        second = await soon(log.open_appender(EVENTS, most=1))
        mine = {one: appender for appender in (first, second) for one in appender.partitions}
        assert sorted(mine) == [0, 1]
        assert await mine[theirs].append(theirs, some(1)) == 3
        assert await mine[1 - theirs].append(1 - theirs, some(1)) == 0
        for appender in (first, second):
            await soon(appender.close())

    async def test_two_who_want_partitions_at_once_both_get_some(self, log: EventLog) -> None:
        both = await soon(asyncio.gather(*(log.open_appender(EVENTS, most=1) for _ in range(2))))
        assert sorted(one for appender in both for one in appender.partitions) == [0, 1]
        for appender in both:
            await soon(appender.close())

    async def test_who_gives_up_standing_by_leaves_the_way_free(self, log: EventLog) -> None:
        former = await log.open_appender(EVENTS)
        impatient = asyncio.ensure_future(log.open_appender(EVENTS, most=1))
        await former.append(1, some(1))
        assert not impatient.done()
        impatient.cancel()
        await asyncio.wait([impatient])
        await soon(former.close())
        async with appending(log) as following:
            assert list(following.partitions) == [0, 1]

    @pytest.mark.parametrize("most", [0, -1])
    async def test_who_asks_for_no_partition_is_told(self, log: EventLog, most: int) -> None:
        with pytest.raises(ValueError, match=rf"at most {most} partitions"):
            await log.open_appender(EVENTS, most=most)

    async def test_who_gives_up_waiting_leaves_the_way_free(self, log: EventLog) -> None:
        former = await log.open_appender(EVENTS, [1])
        impatient = asyncio.ensure_future(log.open_appender(EVENTS, [0, 1]))
        await former.append(1, some(1))
        impatient.cancel()
        await asyncio.wait([impatient])
        await former.close()
        async with appending(log) as following:
            assert await following.append(1, some(1)) == 1

    # Streams.

    async def test_streams_are_apart(self, log: EventLog) -> None:
        for number, stream in enumerate(Stream, start=1):
            appender = await log.open_appender(stream)
            assert await appender.append(0, Records(number, stream.value.encode())) == 0
            await appender.close()
        for number, stream in enumerate(Stream, start=1):
            assert (await log.bounds(stream))[0] == (0, number)
            assert joined(await read(log, {0: 0}, {0: number}, stream)) == stream.value.encode()

    async def test_only_what_collectors_write_has_several_partitions(self, log: EventLog) -> None:
        assert log.partitions == 2
        several = [stream for stream in Stream if len(await log.bounds(stream)) == 2]
        assert several == [Stream.EVENTS, Stream.REJECTED]
        assert {len(await log.bounds(stream)) for stream in Stream if stream not in several} == {1}

    # What a reader promises.

    async def test_a_reader_restarted_at_its_mark_misses_and_repeats_nothing(self, log: EventLog) -> None:
        async with appending(log) as appender:
            for number in range(30):
                await appender.append(number % 2, marked(number, 1 + number % 3))
        whole = {n: joined(await read(log, {n: 0}, {n: 30})) for n in (0, 1)}
        marks, pieces = {0: 0, 1: 0}, {0: b"", 1: b""}
        while marks != {0: 30, 1: 30}:
            reader = await log.open_reader(EVENTS, marks)
            # One batch of what a call returns, as if the rest of it had been lost in a crash.
            batch = next(iter(await soon(reader.next())))
            assert batch.first == marks[batch.partition]
            marks[batch.partition] = batch.end
            pieces[batch.partition] += batch.body
            await reader.close()
        assert pieces == whole

    async def test_a_mark_inside_a_batch_brings_the_whole_batch(self, log: EventLog) -> None:
        async with appending(log) as appender:
            await appender.append(0, some(4))
            await appender.append(0, some(4))
        batches = await read(log, {0: 6}, {0: 8})
        assert batches[0].first <= 6 < batches[0].end
        assert dense(batches, batches[0].first) == 8

    async def test_reading_from_the_end_brings_what_comes(self, log: EventLog) -> None:
        async with appending(log) as appender:
            await appender.append(0, some(3))
            reader = await log.open_reader(EVENTS, {0: 3})
            await appender.append(0, Records(1, b"new"))
            assert joined(await soon(reader.next())) == b"new"
            await reader.close()

    @pytest.mark.parametrize("mark", [4, 1000])
    async def test_a_mark_beyond_the_end_is_unknown(self, log: EventLog, mark: int) -> None:
        async with appending(log) as appender:
            await appender.append(0, some(3))
        reader = await log.open_reader(EVENTS, {0: mark})
        with pytest.raises(UnknownMark, match="3"):
            await soon(reader.next())
        await reader.close()

    async def test_a_waiting_reader_is_woken_by_an_append(self, log: EventLog) -> None:
        reader = await log.open_reader(EVENTS, {0: 0, 1: 0})
        async with appending(log) as appender:
            for number in range(10):
                waiting = asyncio.ensure_future(reader.next())
                await log.bounds(EVENTS)
                assert not waiting.done()
                await appender.append(number % 2, marked(number, 1))
                async with asyncio.timeout(AT_ONCE):
                    assert joined(await waiting) == marked(number, 1).body
        await reader.close()

    async def test_a_cancelled_next_has_not_moved_the_reader(self, log: EventLog) -> None:
        reader = await log.open_reader(EVENTS, {0: 0})
        async with appending(log) as appender:
            for number in range(40):
                waiting = asyncio.ensure_future(reader.next())
                appended = asyncio.ensure_future(appender.append(0, marked(number, 1)))
                if number % 2:
                    await appended
                # Cancelled at another point each time.
                for _ in range(number // 4):
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting, appended])
                seen = [] if waiting.cancelled() else list(waiting.result())
                async with asyncio.timeout(AT_ONCE):
                    while not seen or seen[-1].end < number + 1:
                        seen += await reader.next()
                assert dense(seen, number) == number + 1
        await reader.close()

    async def test_closing_cancels_a_waiting_next(self, log: EventLog) -> None:
        reader = await log.open_reader(EVENTS, {0: 0})
        waiting = asyncio.ensure_future(reader.next())
        await log.bounds(EVENTS)
        await soon(reader.close())
        await soon(asyncio.wait([waiting]))
        assert waiting.cancelled()

    async def test_a_slow_reader_never_blocks_an_appender(self, log: EventLog) -> None:
        reader = await log.open_reader(EVENTS, {0: 0})
        body = noise(2, 300_000)
        async with appending(log) as appender:
            await appender.append(0, Records(1, body))
            batches = list(await soon(reader.next()))
            for _ in range(40):
                await soon(appender.append(0, Records(1, body)))
        mark = dense(batches, 0)
        while mark < 41:
            mark = dense(await soon(reader.next()), mark)
        assert mark == 41
        await reader.close()

    async def test_one_call_returns_so_much_and_no_more(self, log: EventLog) -> None:
        async with appending(log) as appender:
            for number in range(24):
                await appender.append(number % 2, Records(1, noise(number, 900_000)))
        reader = await log.open_reader(EVENTS, {0: 0, 1: 0})
        ends = {0: 0, 1: 0}
        while ends != {0: 12, 1: 12}:
            batches = await soon(reader.next())
            assert sum(len(batch.body) for batch in batches) <= 9_000_000
            ends.update({batch.partition: batch.end for batch in batches})
        await reader.close()

    async def test_no_partition_starves_another(self, log: EventLog) -> None:
        async with appending(log) as appender:
            for _ in range(12):
                await appender.append(0, Records(1, noise(3, 1_000_000)))
            await appender.append(1, some(1))
        reader = await log.open_reader(EVENTS, {0: 0, 1: 0})
        early = [batch for _ in range(2) for batch in await soon(reader.next())]
        assert {batch.partition for batch in early} == {0, 1}
        await reader.close()
