"""What the log in PostgreSQL promises beyond its port: fencing, one round trip, segments, proofs of soundness."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from dataclasses import replace
from itertools import pairwise
from random import Random

import asyncpg
import pytest

from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.adapters.postgres.event_log_queries import READ
from obverse.adapters.postgres.event_log_reader import LOOK_ANYWAY, prove
from obverse.adapters.postgres.event_log_rows import Place, Row, from_micros, seal
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked, read, some, soon
from obverse.core.events import STORED
from obverse.ports.event_log import EventLog, LogGap, Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from services import Ask, Database, ShiftedRuntime, opened, until

pytestmark = pytest.mark.service

DAY = 86_400.0


class TestProof:
    """A row that was changed is never taken for what was appended."""

    @pytest.mark.parametrize(
        "change",
        [
            "body = set_bit(body, 8 * octet_length(body) - 1, 1 - get_bit(body, 8 * octet_length(body) - 1))",
            "body = substr(body, 1, octet_length(body) - 1)",
            "body = substr(body, 1, 3)",
            "body = ''",
            "body = set_byte(body, 0, 2)",
            "count = count - 1",
            "count = count + 5",
            "checksum = checksum + 1",
            "appended_at = appended_at + interval '1 microsecond'",
        ],
    )
    async def test_a_changed_row_is_damaged(self, postgres_log: EventLog, ask: Ask, change: str) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        for _ in range(3):
            await appender.append(0, some(3))
        await ask(f"update event_log set {change} where first_offset = 3")
        batches = await read(postgres_log, {0: 0}, {0: 9})
        assert [(batch.first, batch.count, bool(batch.damage)) for batch in batches] == [
            (0, 3, False),
            (3, 3, True),
            (6, 3, False),
        ]
        assert batches[1].body == b""
        stored = await ask("select body from event_log order by first_offset")
        assert [batch.stored for batch in batches] == [b"", stored[1]["body"], b""]

    async def test_of_a_thousand_flipped_bits_none_is_overlooked(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        for first in range(0, 1100, 50):
            # One after another in the log, whoever is written first.
            await asyncio.gather(*(appender.append(0, some(1)) for _ in range(first, first + 50)))
        seed = int(os.environ.get("OBVERSE_SEED", secrets.randbits(32)))
        sys.stdout.write(f"seed {seed} (set OBVERSE_SEED to flip the same bits)\n")
        rows = await ask("select first_offset, count, octet_length(body) as size from event_log order by first_offset")
        dice = Random(seed)
        flipped = [
            (row["first_offset"], dice.randrange(8 * row["size"])) for row in rows for _ in range(1000 // len(rows) + 1)
        ]
        for first, bit in flipped:
            # A bit that is flipped twice is as it was.
            await ask(
                "update event_log set body = set_bit(body, $2, 1 - get_bit(body, $2)) where first_offset = $1",
                first,
                bit,
            )
        odd = {first for first, bit in flipped if flipped.count((first, bit)) % 2}

        batches = await read(postgres_log, {0: 0}, {0: 1100})

        assert len(flipped) >= 1000
        assert {batch.first for batch in batches if batch.damage} == odd
        assert sum(batch.count for batch in batches) == 1100
        assert not any(batch.body for batch in batches if batch.damage)

    async def test_a_row_of_another_partition_is_damaged(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        async with opened(replace(log_settings, partitions=2), runtime) as log:
            appender = await log.open_appender(EVENTS)
            await appender.append(0, some(3))
            await ask("update event_log set partition = 1")
            (batch,) = await read(log, {1: 0}, {1: 3})
            assert "checksum" in batch.damage

    async def test_a_row_that_claims_to_be_huge_is_not_unpacked(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await appender.append(0, some(1))
        ((at,),) = await ask("select appended_at from event_log")
        bomb = seal(Place("main", "events", 0), 0, 1, at, bytes(200_000_000))
        await ask("update event_log set body = $1, checksum = $2", bomb.body, bomb.checksum)
        (batch,) = await read(postgres_log, {0: 0}, {0: 1})
        assert "claims to hold more" in batch.damage
        assert batch.stored == bomb.body[:STORED]

    async def test_a_damaged_last_row_never_hides_what_follows(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await appender.append(0, some(3))
        await ask("update event_log set count = 1000")
        reader = await postgres_log.open_reader(EVENTS, {0: 0})
        (damaged,) = await soon(reader.next())
        assert damaged.damage
        await appender.append(0, some(3))
        with pytest.raises(LogGap, match="begin at 3"):
            await soon(reader.next())

    async def test_the_first_row_is_missed(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await appender.append(0, some(3))
        await appender.append(0, some(3))
        await ask("delete from event_log where first_offset = 0")
        reader = await postgres_log.open_reader(EVENTS, {0: 0})
        with pytest.raises(LogGap, match="begin at 3"):
            await soon(reader.next())

    def test_the_row_after_a_damaged_one_says_how_long_it_was(self) -> None:
        place, at = Place("main", "events", 0), from_micros(1)
        sound = [seal(place, first, 2, at, b"ab") for first in (0, 2, 4)]
        longer = [sound[0], replace(sound[1], count=9), sound[2]]
        assert [(batch.first, batch.end, bool(batch.damage)) for batch in prove(place, longer, 0)] == [
            (0, 2, False),
            (2, 4, True),
            (4, 6, False),
        ]
        # Without that row, it waits to be read together with it.
        assert [batch.first for batch in prove(place, longer[:2], 0)] == [0]
        assert [batch.end for batch in prove(place, longer[1:2], 2)] == [11]
        twice: list[Row] = [sound[0], sound[0], sound[1]]
        assert [batch.first for batch in prove(place, twice, 0)] == [0]


class TestReading:
    """Readers look only where something can be, and never sleep through an append."""

    async def test_a_reader_whose_listening_was_cut_is_still_woken(self, postgres_log: EventLog, ask: Ask) -> None:
        reader = await postgres_log.open_reader(EVENTS, {0: 0})
        appender = await postgres_log.open_appender(EVENTS)
        for number in range(3):
            waiting = asyncio.ensure_future(reader.next())

            async def listened() -> bool:
                return bool(
                    await ask(
                        "select from pg_stat_activity where application_name = 'obverse listens to the log'"
                        " and query like 'LISTEN%' and state = 'idle'"
                    )
                )

            await until(listened)
            await ask(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'obverse listens to the log'"
            )
            await appender.append(0, marked(number, 1))
            async with asyncio.timeout(3):
                assert joined(await waiting) == marked(number, 1).body

    async def test_a_reader_looks_though_an_announcement_was_lost(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await appender.append(0, some(1))
        reader = await postgres_log.open_reader(EVENTS, {0: 1})
        waiting = asyncio.ensure_future(reader.next())
        ((at,),) = await ask("select appended_at from event_log")
        row = seal(Place("main", "events", 0), 1, 1, at, b"unannounced")
        await asyncio.sleep(0.3)  # The reader has looked and sleeps, so that only its own look can find the row.
        await ask("insert into event_log values ('main', 'events', 0, 1, 1, $1, $2, $3)", at, row.checksum, row.body)
        async with asyncio.timeout(LOOK_ANYWAY + 2):
            assert joined(await waiting) == b"unannounced"

    async def test_segments_are_read_as_one(self, postgres_log: EventLog, runtime: ShiftedRuntime, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        for number in range(12):
            await appender.append(0, marked(number, 1))
            runtime.shift += DAY * (1 + number % 4)
        segments = await ask("select * from event_log_segments() order by starts_at")
        assert len(segments) >= 12
        batches = await read(postgres_log, {0: 0}, {0: 12})
        assert dense(batches, 0) == 12
        assert joined(batches) == b"".join(marked(number, 1).body for number in range(12))
        assert joined(await read(postgres_log, {0: 7}, {0: 12})) == b"".join(
            marked(number, 1).body for number in range(7, 12)
        )

    async def test_one_look_touches_few_segments_however_many_there_are(
        self, postgres_log: EventLog, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        for _ in range(30):
            await appender.append(0, some(1))
            runtime.shift += DAY
        await ask("set plan_cache_mode = force_custom_plan")
        rows = await ask("select first_offset, appended_at from event_log order by first_offset")
        for first, at in (rows[0], rows[-1]):
            until_ = (
                at.replace(year=at.year + 100) if first == 29 else from_micros(round(at.timestamp() * 1e6 + 2e6 * DAY))
            )
            plan = await ask(f"explain {READ}", "main", "events", 0, first - 1, at, until_, 512, 4_194_304)
            touched = {word for (line,) in plan for word in line.split() if word.startswith("event_log_events_")}
            assert 1 <= len({name for name in touched if not name.endswith("_pkey")}) <= 3

    async def test_segments_of_another_width_fit_in(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        widths = ((24, 0.0), (7, 1.5 * DAY), (1, 0.1 * DAY), (48, 3 * DAY), (24, DAY))
        for number, (hours, shift) in enumerate(widths):
            runtime.shift += shift
            async with opened(replace(log_settings, segment_hours=hours), runtime) as log:
                appender = await log.open_appender(EVENTS)
                await appender.append(0, some(1))
                assert dense(await read(log, {0: 0}, {0: number + 1}), 0) == number + 1
        segments = await ask("select starts_at, ends_at from event_log_segments() order by starts_at")
        assert all(before["ends_at"] <= after["starts_at"] for before, after in pairwise(segments))


class TestRetention:
    """Old segments go whole, and only when they hold nobody else's records."""

    async def tables(self, ask: Ask) -> list[str]:
        return [name for (name,) in await ask("select name from event_log_segments() order by name")]

    async def test_trimming_drops_tables_and_deletes_no_rows(
        self, postgres_log: EventLog, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        for _ in range(6):
            await appender.append(0, some(2))
            runtime.shift += DAY
        before = await self.tables(ask)
        times = [batch.appended_at for batch in await read(postgres_log, {0: 0}, {0: 12})]
        await postgres_log.trim(EVENTS, times[3])
        after = await self.tables(ask)
        assert after == before[3:]
        assert await postgres_log.bounds(EVENTS) == {0: (6, 12)}
        assert not await ask("select from pg_stat_user_tables where n_tup_del > 0 and relname like 'event_log_events%'")
        assert dense(await read(postgres_log, {0: 6}, {0: 12}), 6) == 12

    async def test_trimming_never_takes_the_segment_in_use(
        self, postgres_log: EventLog, runtime: ShiftedRuntime
    ) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await appender.append(0, some(2))
        await postgres_log.trim(EVENTS, runtime.now() + round(1000 * DAY * 1e6))
        assert await postgres_log.bounds(EVENTS) == {0: (0, 2)}
        assert await appender.append(0, some(1)) == 2

    async def test_trimming_spares_the_records_of_other_workspaces(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime, postgres_log: EventLog
    ) -> None:
        async with opened(replace(log_settings, workspace="other"), runtime) as other:
            for one in (postgres_log, other):
                appender = await one.open_appender(EVENTS)
                await appender.append(0, some(2))
            runtime.shift += 10 * DAY
            await postgres_log.trim(EVENTS, runtime.now())
            assert await other.bounds(EVENTS) == {0: (0, 2)}
            assert len(await read(other, {0: 0}, {0: 2})) == 1

    async def test_trimming_waits_for_no_reader(
        self, postgres_log: EventLog, runtime: ShiftedRuntime, database: Database
    ) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await appender.append(0, some(2))
        runtime.shift += 10 * DAY
        connection = await asyncpg.connect(database.admin)
        async with connection.transaction():
            await connection.fetch("select * from event_log")
            await soon(postgres_log.trim(EVENTS, runtime.now()))
            # Appending, and making the segments that it needs, waits for nobody who reads either.
            await soon(appender.append(0, some(2)))
        await connection.close()
        await postgres_log.trim(EVENTS, runtime.now())
        assert await postgres_log.bounds(EVENTS) == {0: (2, 4)}


class TestRights:
    """Each role can do its own work with the log and no more."""

    @pytest.fixture(autouse=True)
    def own_roles(self, database: Database) -> None:
        if database.server.foreign:
            pytest.skip("never: another server has one login for everything")

    async def test_the_collector_appends_and_makes_segments(self, database: Database, runtime: ShiftedRuntime) -> None:
        async with opened(PostgresLogSettings(dsn=database.dsn("obverse_collector")), runtime) as log:
            appender = await log.open_appender(EVENTS)
            await appender.append(0, some(1))
            runtime.shift += 3 * DAY
            await appender.append(0, some(1))
            assert dense(await read(log, {0: 0}, {0: 2}), 0) == 2
            with pytest.raises(AccessRefused, match="permission denied"):
                await log.trim(EVENTS, runtime.now())

    async def test_the_worker_reads_appends_and_trims(self, database: Database, runtime: ShiftedRuntime) -> None:
        async with opened(PostgresLogSettings(dsn=database.dsn("obverse_worker")), runtime) as log:
            appender = await log.open_appender(Stream.CHANGES)
            await appender.append(0, some(1))
            runtime.shift += 3 * DAY
            await log.trim(Stream.CHANGES, runtime.now())
            assert await log.bounds(Stream.CHANGES) == {0: (1, 1)}

    async def test_the_api_only_reads(
        self, database: Database, postgres_log: EventLog, runtime: ShiftedRuntime
    ) -> None:
        await (await postgres_log.open_appender(EVENTS)).append(0, some(1))
        async with opened(PostgresLogSettings(dsn=database.dsn("obverse_api")), runtime) as other:
            assert dense(await read(other, {0: 0}, {0: 1}), 0) == 1
            appender = await other.open_appender(Stream.CHANGES)
            with pytest.raises(Unreachable, match="permission denied"):
                await appender.append(0, some(1))

    @pytest.mark.parametrize("role", ["obverse_collector", "obverse_worker", "obverse_api"])
    @pytest.mark.parametrize(
        "deed",
        [
            "update event_log set count = 1",
            "delete from event_log",
            "truncate event_log",
            "drop table event_log",
            "delete from event_log_trimmed",
            "create table mine (a int)",
        ],
    )
    async def test_nobody_changes_what_was_appended(self, database: Database, role: str, deed: str) -> None:
        connection = await asyncpg.connect(database.dsn(role))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(deed)
        await connection.close()

    async def test_without_the_schema_it_says_what_to_do(
        self, database: Database, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        await ask("drop table event_log cascade")
        async with opened(PostgresLogSettings(dsn=database.dsn()), runtime) as log:
            with pytest.raises(AccessRefused, match="run `obverse migrate`"):
                await log.bounds(EVENTS)
            with pytest.raises(AccessRefused, match="run `obverse migrate`"):
                await log.open_appender(EVENTS)
