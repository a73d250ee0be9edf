"""How the log in PostgreSQL is appended to: in one round trip, fenced, through every loss of the server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked, noise, read, some, soon
from obverse.ports.event_log import Batch, EventLog, Overtaken, Reader, Records
from obverse.ports.outcomes import Unreachable
from services import Ask, Database, ShiftedRuntime, Wire, opened, until
from stopwatch import quickest

pytestmark = pytest.mark.service


class TestAppending:
    """One session writes, in as few round trips as can be."""

    async def transactions(self, ask: Ask) -> int:
        """Transactions that the server has counted once every other connection is gone."""

        async def alone() -> bool:
            ((others,),) = await ask(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
            return bool(others == 0)

        await until(alone)
        await ask("select pg_stat_force_next_flush()")
        ((count,),) = await ask("select xact_commit from pg_stat_database where datname = current_database()")
        return int(count)

    async def cost(self, settings: PostgresLogSettings, ask: Ask, work: Callable[[EventLog], Awaitable[None]]) -> int:
        before = await self.transactions(ask)
        async with opened(settings, ShiftedRuntime()) as log:
            await work(log)
        return await self.transactions(ask) - before

    async def test_an_append_is_one_statement(self, log_settings: PostgresLogSettings, ask: Ask) -> None:
        async def append(log: EventLog, times: int) -> None:
            appender = await log.open_appender(EVENTS)
            for _ in range(times):
                await appender.append(0, some(1))

        await self.cost(log_settings, ask, lambda log: append(log, 1))
        few = await self.cost(log_settings, ask, lambda log: append(log, 1))
        many = await self.cost(log_settings, ask, lambda log: append(log, 101))
        # Looking whether everybody has gone counts too, and so may the server's own housekeeping.
        assert 95 <= many - few <= 130

    async def test_overlapping_appends_share_a_commit(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        await asyncio.gather(*(appender.append(0, some(1)) for _ in range(500)))
        ((rows,),) = await ask("select count(*) from event_log")
        assert rows == 1

    async def test_a_group_is_written_when_it_is_full(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        patient = replace(log_settings, linger_ms=1000, group_bytes=10_000)
        async with opened(patient, runtime) as log:
            appender = await log.open_appender(EVENTS)
            await soon(asyncio.gather(*(appender.append(0, Records(1, noise(n, 5_000))) for n in range(10))))
            assert [row["count"] for row in await ask("select count from event_log order by first_offset")] == [2] * 5

    async def test_a_call_that_was_cancelled_while_it_waited_is_not_written(self, postgres_log: EventLog) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        calls = [asyncio.ensure_future(appender.append(0, marked(n, 1))) for n in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        assert list(await asyncio.gather(calls[0], calls[2])) == [0, 1]
        assert joined(await read(postgres_log, {0: 0}, {0: 2})) == marked(0, 1).body + marked(2, 1).body

    async def test_a_commit_waits_for_the_disk_whatever_the_role_says(
        self, database: Database, log_settings: PostgresLogSettings, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        await ask(f"alter database {database.name} set synchronous_commit = off")
        async with opened(log_settings, runtime) as log:
            appender = await log.open_appender(EVENTS)
            behind = []
            for _ in range(20):
                await appender.append(0, some(1))
                behind += await ask("select pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn() as bytes")
        # The server writes a little of its own, so now and then there is something to flush.
        assert sum(row["bytes"] == 0 for row in behind) > 10

    async def test_a_lost_connection_hides_nothing_and_doubles_nothing(self, postgres_log: EventLog, ask: Ask) -> None:
        appender = await postgres_log.open_appender(EVENTS)
        kept: dict[int, int] = {}
        refused: list[int] = []

        async def append(number: int) -> None:
            try:
                kept[number] = await appender.append(0, marked(number, 1))
            except Unreachable:
                refused.append(number)

        number = 0
        async with asyncio.timeout(60):
            while len(refused) < 5 or len(kept) < 50:
                calls = [asyncio.ensure_future(append(number + n)) for n in range(50)]
                number += 50
                for _ in range(number % 7):
                    await asyncio.sleep(0.001)
                await ask(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'obverse appends to events' and datname = current_database()"
                )
                await soon(asyncio.gather(*calls))
        _, end = (await postgres_log.bounds(EVENTS))[0]
        assert end >= len(kept)
        stored = joined(await read(postgres_log, {0: 0}, {0: end}))
        pieces = [stored[at : at + 8] for at in range(0, len(stored), 8)]
        assert len(set(pieces)) == len(pieces) == end, "doubled"
        for one, offset in kept.items():
            assert pieces[offset] == marked(one, 1).body

    async def test_a_server_that_is_away_is_noticed_at_once_and_found_again(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime
    ) -> None:
        async with Wire(log_settings.dsn) as wire, opened(replace(log_settings, dsn=wire.dsn), runtime) as log:
            appender = await log.open_appender(EVENTS)
            reader = await log.open_reader(EVENTS, {0: 0})
            await appender.append(0, Records(1, b"before"))
            assert joined(await soon(reader.next())) == b"before"
            await wire.cut()

            async def try_again() -> None:
                answers = await asyncio.gather(
                    *(appender.append(0, some(1)) for _ in range(100)), return_exceptions=True
                )
                assert {type(answer) for answer in answers} == {Unreachable}

            for _ in range(3):
                assert await quickest(try_again, enough=1) < 1
            with pytest.raises(Unreachable):
                await soon(log.bounds(EVENTS))
            await wire.mend()

            async def appended() -> bool:
                try:
                    return await appender.append(0, Records(1, b"after")) == 1
                except Unreachable:
                    return False

            await until(appended)
            assert joined(await soon(self.patient(reader))) == b"after"

    async def test_a_connection_that_only_heard_of_the_end_is_given_up(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime
    ) -> None:
        async with Wire(log_settings.dsn) as wire, opened(replace(log_settings, dsn=wire.dsn), runtime) as log:
            appender = await log.open_appender(EVENTS)
            await appender.append(0, some(1))
            await log.bounds(EVENTS)
            wire.announce_end()
            for call in (lambda: appender.append(0, some(1)), lambda: log.bounds(EVENTS)):

                async def works(call: Callable[[], Awaitable[object]] = call) -> bool:
                    try:
                        await call()
                    except Unreachable:
                        return False
                    return True

                await until(works)

    async def patient(self, reader: Reader) -> Sequence[Batch]:
        while True:
            try:
                return await reader.next()
            except Unreachable:
                await asyncio.sleep(0.01)

    async def test_an_opening_that_waits_holds_no_transaction(self, postgres_log: EventLog, ask: Ask) -> None:
        await postgres_log.open_appender(EVENTS)
        waiting = asyncio.ensure_future(postgres_log.open_appender(EVENTS))

        async def two() -> bool:
            return (
                len(await ask("select from pg_stat_activity where application_name = 'obverse appends to events'")) == 2
            )

        await until(two)
        for _ in range(20):
            held = await ask(
                "select from pg_stat_activity where application_name = 'obverse appends to events'"
                " and (xact_start is not null and wait_event_type = 'Lock')"
            )
            assert not held
        waiting.cancel()
        await asyncio.wait([waiting])

    async def test_another_process_waits_for_the_first_and_goes_on_when_it_is_killed(
        self, log_settings: PostgresLogSettings, postgres_log: EventLog
    ) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, log_settings.dsn, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            await soon(child.stdout.readline())
            waiting = asyncio.ensure_future(postgres_log.open_appender(EVENTS))
            acknowledged = [int(await soon(child.stdout.readline())) for _ in range(200)]
            assert not waiting.done()
        finally:
            os.kill(child.pid, signal.SIGKILL)
        rest, _ = await soon(child.communicate())
        acknowledged += [int(line) for line in rest.splitlines()]
        appender = await soon(waiting)
        mine = await appender.append(0, Records(1, b"mine"))
        assert mine > max(acknowledged)
        batches = await read(postgres_log, {0: 0}, {0: mine + 1})
        assert dense(batches, 0) == mine + 1
        assert joined(batches) == b"".join(f"{number:08}".encode() for number in range(mine)) + b"mine"

    async def test_one_whose_place_was_taken_while_it_had_no_connection_is_told(
        self, log_settings: PostgresLogSettings, postgres_log: EventLog, runtime: ShiftedRuntime, ask: Ask
    ) -> None:
        former = await postgres_log.open_appender(EVENTS)
        await former.append(0, some(2))
        await ask(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'obverse appends to events'"
        )
        async with opened(log_settings, runtime) as other:
            following = await soon(other.open_appender(EVENTS, most=1))
            failure: Exception | None = None
            # At first it may know only that its connection is gone.
            while not isinstance(failure, Overtaken):
                with pytest.raises(Unreachable) as caught:
                    await soon(former.append(0, some(1)))
                failure = caught.value
            assert "another appender is there" in str(failure)
            assert await following.append(0, some(1)) == 2
            await following.close()

        async def goes_on() -> bool:
            try:
                return await former.append(0, some(1)) == 3
            except Unreachable:
                return False  # it does not ask again at once

        await until(goes_on)

    async def test_workspaces_are_apart(
        self, log_settings: PostgresLogSettings, runtime: ShiftedRuntime, postgres_log: EventLog
    ) -> None:
        async with opened(replace(log_settings, workspace="other place"), runtime) as other:
            mine, theirs = await postgres_log.open_appender(EVENTS), await other.open_appender(EVENTS)
            reader = await other.open_reader(EVENTS, {0: 0})
            assert await mine.append(0, Records(1, b"mine")) == 0
            assert await theirs.append(0, Records(1, b"theirs")) == 0
            assert joined(await soon(reader.next())) == b"theirs"
            assert joined(await read(postgres_log, {0: 0}, {0: 1})) == b"mine"


CHILD = """
import asyncio, sys
from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.runtime.system import SystemRuntime
from obverse.ports.event_log import Records, Stream

async def main():
    log = await open_event_log(PostgresLogSettings(dsn=sys.argv[1]), SystemRuntime())
    appender = await log.open_appender(Stream.EVENTS)
    print("ready", flush=True)
    number = 0
    while True:
        print(await appender.append(0, Records(1, f"{number:08}".encode())), flush=True)
        number += 1

asyncio.run(main())
"""
