"""Reading from Kinesis: near the mark, within its limits, past what is not ours, and on where a shard was closed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping

import pytest

from kinesis_steps import Opened, settings_for
from kinesis_wire import KinesisWire
from obverse.adapters.kinesis.records import FORMAT, MAGIC, Kind, Part, Place, pack
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked, noise, read, soon
from obverse.ports.event_log import Batch, EventLog, Records, Stream, UnknownMark
from services import Ask, Database, ShiftedRuntime, until

pytestmark = pytest.mark.service


class TestShards:
    """Shards are split and merged while the log is written and read."""

    @pytest.fixture(params=["moto", "kinesalite"])
    async def logs(
        self, request: pytest.FixtureRequest, database: Database, runtime: ShiftedRuntime
    ) -> AsyncIterator[Opened]:
        url = request.getfixturevalue(f"{request.param}_server")
        prefix = secrets.token_hex(6)
        logs = Opened(
            settings_for(url, database.dsn(), stream_prefix=prefix, partitions=3, position_seconds=0), runtime
        )
        yield logs
        await logs.close()

    async def test_readers_and_appenders_go_on_through_splits_and_merges(self, logs: Opened) -> None:
        log = await logs.open(shards=1)
        appender = await log.open_appender(EVENTS)
        reader = await log.open_reader(EVENTS, dict.fromkeys(range(3), 0))
        written: dict[int, list[bytes]] = {0: [], 1: [], 2: []}

        async def append(rounds: int) -> None:
            for _ in range(rounds):
                for partition, bodies in written.items():
                    body = marked(len(bodies), 1).body
                    assert await soon(appender.append(partition, Records(1, body))) == len(bodies)
                    bodies.append(body)

        await append(2)
        for change in (self.split, self.split, self.merge, self.split):
            async with asyncio.TaskGroup() as group:
                group.create_task(append(3))
                group.create_task(change(logs))
        await append(2)
        ends = {partition: len(bodies) for partition, bodies in written.items()}
        seen: list[Batch] = []
        while any(max((one.end for one in seen if one.partition == p), default=0) < end for p, end in ends.items()):
            seen += await soon(reader.next())
        await reader.close()
        for partition, bodies in written.items():
            mine = [batch for batch in seen if batch.partition == partition]
            assert dense(mine, 0) == ends[partition]
            assert joined(mine) == b"".join(bodies)
            # And so do who comes later, from the beginning and from somewhere.
            other = await logs.open()
            for mark in (0, 7):
                batches = await read(other, {partition: mark}, {partition: ends[partition]})
                assert joined(batches) == b"".join(bodies[mark:])

    async def test_the_next_appender_finds_the_end_in_a_later_shard(self, logs: Opened, ask: Ask) -> None:
        log = await logs.open(shards=1)
        appender = await log.open_appender(EVENTS)
        for number in range(4):
            await appender.append(1, marked(number, 1))
        await self.split(logs)
        for number in range(4, 6):
            await appender.append(1, marked(number, 1))
        await appender.close()
        following = await soon((await logs.open()).open_appender(EVENTS))
        assert await following.append(1, marked(6, 1)) == 6
        await following.close()
        await ask("truncate event_log_ends, event_log_positions")
        again = await soon((await logs.open()).open_appender(EVENTS))
        assert await again.append(1, marked(7, 1)) == 7

    async def split(self, logs: Opened) -> None:
        """Split the widest shard in the middle."""
        async with logs.vendor() as client:
            shards = await self.open_shards(logs, client)
            start, end, name = max(shards, key=lambda one: one[1] - one[0])
            await client.split_shard(
                StreamName=logs.stream, ShardToSplit=name, NewStartingHashKey=str((start + end) // 2)
            )
            await self.settled(logs, client)

    async def merge(self, logs: Opened) -> None:
        """Merge the first two."""
        async with logs.vendor() as client:
            (_, _, first), (_, _, second), *_ = await self.open_shards(logs, client)
            await client.merge_shards(StreamName=logs.stream, ShardToMerge=first, AdjacentShardToMerge=second)
            await self.settled(logs, client)

    async def open_shards(self, logs: Opened, client: object) -> list[tuple[int, int, str]]:
        listed = (await client.list_shards(StreamName=logs.stream))["Shards"]  # type: ignore[attr-defined]
        parents = {one.get(name) for one in listed for name in ("ParentShardId", "AdjacentParentShardId")}
        return sorted(
            (int(one["HashKeyRange"]["StartingHashKey"]), int(one["HashKeyRange"]["EndingHashKey"]), one["ShardId"])
            for one in listed
            if one["ShardId"] not in parents
        )

    async def settled(self, logs: Opened, client: object) -> None:
        async def active() -> bool:
            found = await client.describe_stream_summary(StreamName=logs.stream)  # type: ignore[attr-defined]
            return bool(found["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

        await until(active, seconds=60)


class TestForeign:
    """What others write into a stream of ours stops nobody."""

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (noise(1, 2000), "2000 bytes that were not written by a log"),
            (MAGIC + bytes([FORMAT + 1]) + bytes(100), "format 02, which this version cannot read"),
            (
                pack(Place("other", "events", 0), Part(kind=Kind.PART, partition=0, epoch=9, first=1, count=1), b"x")[
                    0
                ],
                "belongs to another log",
            ),
        ],
        ids=["noise", "a later format", "of another workspace"],
    )
    async def test_a_record_that_is_not_ours_is_told_once_and_passed_over(
        self, kinesis_logs: Opened, data: bytes, reason: str
    ) -> None:
        log = await kinesis_logs.open(partitions=2, shards=1, position_seconds=0)
        appender = await log.open_appender(EVENTS)
        await appender.append(0, marked(0, 1))
        number = await kinesis_logs.put(data)
        await appender.append(0, marked(1, 1))
        await appender.append(1, marked(2, 1))
        seen = await self.all_of(log, {0: 0, 1: 0}, 3)
        (told,) = [batch for batch in seen if batch.damage]
        assert (told.partition, told.first, told.count, told.body) == (0, 1, 0, b"")
        assert told.damage.startswith(f"{kinesis_logs.stream}, shardId-000000000000, sequence number {number}: ")
        assert reason in told.damage
        assert dense([batch for batch in seen if batch.partition == 0], 0) == 2
        # Behind it, it is not told again; before it, it is, and in the same words.
        assert not any(batch.damage for batch in await read(log, {0: 2}, {0: 2}))
        await appender.append(0, marked(3, 1))
        assert not any(batch.damage for batch in await read(await kinesis_logs.open(), {0: 2}, {0: 3}))
        for mark in (0, 1):
            again = await self.all_of(await kinesis_logs.open(), {0: mark}, 3 - mark)
            assert [batch.damage for batch in again if batch.damage] == [told.damage]

    async def all_of(self, log: EventLog, marks: Mapping[int, int], count: int) -> list[Batch]:
        """Read until so many records were seen."""
        reader = await log.open_reader(EVENTS, marks)
        seen: list[Batch] = []
        while sum(batch.count for batch in seen) < count:
            seen += await soon(reader.next())
        await reader.close()
        return seen

    async def test_the_next_appender_passes_over_it_too(self, kinesis_logs: Opened, ask: Ask) -> None:
        appender = await (await kinesis_logs.open()).open_appender(EVENTS)
        await appender.append(0, marked(0, 1))
        await appender.close()
        await kinesis_logs.put(b"rubbish")
        await ask("truncate event_log_ends, event_log_positions")
        following = await soon((await kinesis_logs.open()).open_appender(EVENTS))
        assert await following.append(0, marked(1, 1)) == 1


class TestLimits:
    """Kinesis allows five looks a second and shard, to all readers together."""

    async def test_readers_of_one_process_share_their_looks(self, kinesis_logs: Opened, wire: KinesisWire) -> None:
        log = await kinesis_logs.open(look_ms=60_000)
        appender = await log.open_appender(EVENTS)
        readers = [await log.open_reader(EVENTS, {0: 0}) for _ in range(8)]
        for number in range(5):
            waiting = [asyncio.ensure_future(reader.next()) for reader in readers]
            await log.bounds(EVENTS)
            wire.calls.clear()
            await appender.append(0, marked(number, 1))
            for batches in await soon(asyncio.gather(*waiting)):
                assert joined(batches) == marked(number, 1).body
            assert wire.calls["GetRecords"] <= 6
        for reader in readers:
            await reader.close()

    async def test_who_waits_does_not_look(self, kinesis_logs: Opened, wire: KinesisWire) -> None:
        log = await kinesis_logs.open(look_ms=60_000)
        appender = await log.open_appender(EVENTS)
        await appender.append(0, marked(0, 1))
        reader = await log.open_reader(EVENTS, {0: 0})
        await soon(reader.next())
        waiting = asyncio.ensure_future(reader.next())
        await asyncio.sleep(0.5)
        # Four or so to begin with, where a hundred would have been possible since.
        assert wire.calls["GetRecords"] <= 8
        await appender.append(0, marked(1, 1))
        assert joined(await soon(waiting)) == marked(1, 1).body
        await reader.close()

    async def test_two_looks_are_apart_by_what_is_set(self, kinesis_logs: Opened, wire: KinesisWire) -> None:
        log = await kinesis_logs.open(poll_ms=300)
        appender = await log.open_appender(EVENTS)
        began = kinesis_logs.runtime.elapsed()
        wire.calls.clear()
        reader = await log.open_reader(EVENTS, {0: 0})
        for number in range(5):
            await appender.append(0, marked(number, 1))
            await soon(reader.next())
        took = kinesis_logs.runtime.elapsed() - began
        assert wire.calls["GetRecords"] <= took / 0.3 + 2
        await reader.close()

    async def test_an_append_that_nobody_announced_is_seen(self, kinesis_logs: Opened, ask: Ask) -> None:
        log = await kinesis_logs.open(look_ms=200)
        appender = await log.open_appender(EVENTS)
        reader = await log.open_reader(EVENTS, {0: 0})
        waiting = asyncio.ensure_future(reader.next())
        epoch = (await ask("select epoch from event_log_ends"))[0]["epoch"]
        head = Part(kind=Kind.PART, partition=0, epoch=epoch, first=0, count=1, appended_at=1)
        (data,) = pack(Place("main", "events", 0), head, b"unannounced")
        await kinesis_logs.put(data)
        assert joined(await soon(waiting)) == b"unannounced"
        await reader.close()
        await appender.close()

    async def test_throttled_reads_and_expired_iterators_are_tried_again(
        self, kinesis_logs: Opened, wire: KinesisWire
    ) -> None:
        log = await kinesis_logs.open()
        appender = await log.open_appender(EVENTS)
        reader = await log.open_reader(EVENTS, {0: 0})
        for number in range(6):
            wire.throttled_reads, wire.expired_iterators = 3 * (number % 2), number // 2
            await appender.append(0, marked(number, 1))
            assert joined(await soon(reader.next())) == marked(number, 1).body
        await reader.close()


class TestPlaces:
    """A reader begins near its mark, and what Kinesis has forgotten is not missed in silence."""

    async def test_a_reader_begins_near_its_mark(self, kinesis_logs: Opened, wire: KinesisWire) -> None:
        log = await kinesis_logs.open(position_seconds=60)
        appender = await log.open_appender(EVENTS)
        for number in range(30):
            await appender.append(0, marked(number, 1))
            kinesis_logs.runtime.shift += 20
        passed: list[bytes] = []

        def note(data: bytes) -> bytes:
            passed.append(data)
            return data

        wire.changes.append(note)
        other = await kinesis_logs.open()
        assert joined(await read(other, {0: 25}, {0: 30})) == b"".join(marked(n, 1).body for n in range(25, 30))
        assert len(passed) <= 30 - 25 + 3

    async def test_positions_that_nobody_needs_are_forgotten(self, kinesis_logs: Opened, ask: Ask) -> None:
        log = await kinesis_logs.open(position_seconds=0, retention_hours=24)
        appender = await log.open_appender(EVENTS)
        for number in range(10):
            await appender.append(0, marked(number, 1))
            kinesis_logs.runtime.shift += 3600
        await log.trim(EVENTS, kinesis_logs.runtime.now() - 4 * 3_600_000_000)
        kept = (await log.bounds(EVENTS))[0][0]
        firsts = [row["first_offset"] for row in await ask("select first_offset from event_log_positions")]
        assert min(firsts) == kept == 7
        assert dense(await read(await kinesis_logs.open(), {0: kept}, {0: 10}), kept) == 10
        # What has expired there needs no position either; the next appender sees to it.
        kinesis_logs.runtime.shift += 22 * 3600
        await appender.close()
        following = await soon((await kinesis_logs.open()).open_appender(EVENTS))
        assert (await log.bounds(EVENTS))[0] == (9, 10)
        assert min(row["first_offset"] for row in await ask("select first_offset from event_log_positions")) == 9
        await following.close()

    async def test_what_kinesis_has_forgotten_is_said(self, kinesis_logs: Opened, wire: KinesisWire, ask: Ask) -> None:
        log = await kinesis_logs.open()
        appender = await log.open_appender(EVENTS)
        for number in range(6):
            await appender.append(0, marked(number, 1))
        gone = set((await kinesis_logs.stored())[:5])  # the claim, and four groups
        wire.changes.append(lambda data: None if data in gone else data)
        for truncated in (False, True):
            if truncated:
                await ask("truncate event_log_positions")
            reader = await (await kinesis_logs.open()).open_reader(EVENTS, {0: 2})
            for _ in range(2):
                with pytest.raises(UnknownMark, match="begin at 4"):
                    await soon(reader.next())
            await reader.close()
            assert (
                joined(await read(await kinesis_logs.open(), {0: 4}, {0: 6})) == marked(4, 1).body + marked(5, 1).body
            )

    async def test_a_partition_of_which_everything_has_expired_goes_on(
        self, kinesis_logs: Opened, wire: KinesisWire
    ) -> None:
        log = await kinesis_logs.open()
        appender = await log.open_appender(EVENTS)
        for number in range(3):
            await appender.append(0, marked(number, 1))
        await appender.close()
        gone = set(await kinesis_logs.stored())
        wire.changes.append(lambda data: None if data in gone else data)
        log = await kinesis_logs.open()
        reader = await log.open_reader(EVENTS, {0: 3})
        following = await soon(log.open_appender(EVENTS))
        assert await following.append(0, marked(3, 1)) == 3
        assert joined(await soon(reader.next())) == marked(3, 1).body
        await reader.close()

    async def test_roles_have_what_they_need(self, kinesis_logs: Opened, database: Database, wire: KinesisWire) -> None:
        if database.server.foreign:
            pytest.skip("never: a foreign server has one login for everything")
        collector = await kinesis_logs.open(dsn=database.dsn("obverse_collector"), position_seconds=0)
        events = await collector.open_appender(EVENTS)
        await events.append(0, marked(0, 1))
        worker = await kinesis_logs.open(dsn=database.dsn("obverse_worker"))
        changes = await worker.open_appender(Stream.CHANGES)
        await changes.append(0, marked(1, 1))
        await worker.trim(EVENTS, 0)
        api = await kinesis_logs.open(dsn=database.dsn("obverse_api"))
        assert (await api.bounds(EVENTS))[0] == (0, 1)
        assert joined(await read(api, {0: 0}, {0: 1})) == marked(0, 1).body
        assert wire.calls["PutRecords"] == 4
