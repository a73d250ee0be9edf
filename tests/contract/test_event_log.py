"""Every `EventLog` keeps its promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from obverse.adapters.memory import event_log as memory
from obverse.adapters.postgres import event_log as postgres
from obverse.contracts.event_log import EventLogContract
from obverse.ports.event_log import EventLog, Stream
from services import Database, ShiftedRuntime


class TestMemoryEventLog(EventLogContract):
    @pytest.fixture
    async def log(self) -> AsyncIterator[EventLog]:
        self.runtime = ShiftedRuntime()
        log = await memory.open_event_log(memory.MemoryLogSettings(partitions=2), self.runtime)
        yield log
        await log.close()

    async def reopen(self, log: EventLog) -> EventLog:
        assert isinstance(log, memory.MemoryEventLog)
        return log.crash()

    def shift_clock(self, seconds: float) -> None:
        self.runtime.shift += seconds


@pytest.mark.service
class TestPostgresEventLog(EventLogContract):
    trim_grain = 2 * 86_400.0

    @pytest.fixture
    async def log(self, database: Database) -> AsyncIterator[EventLog]:
        self.database, self.runtime, self.opened = database, ShiftedRuntime(), list[EventLog]()
        yield await self.open()
        for log in self.opened:
            await log.close()

    async def open(self) -> EventLog:
        settings = postgres.PostgresLogSettings(dsn=self.database.dsn(), partitions=2)
        self.opened.append(await postgres.open_event_log(settings, self.runtime))
        return self.opened[-1]

    async def reopen(self, log: EventLog) -> EventLog:
        del log
        await self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'obverse %'"
            " and datname = current_database()"
        )
        return await self.open()

    def shift_clock(self, seconds: float) -> None:
        self.runtime.shift += seconds

    async def damage(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        del log
        await self.sql(
            "update event_log set body = set_bit(body, 50, 1 - get_bit(body, 50))"
            " where stream = $1 and partition = $2 and first_offset = $3",
            stream,
            partition,
            first,
        )

    async def remove(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        del log
        await self.sql(
            "delete from event_log where stream = $1 and partition = $2 and first_offset = $3", stream, partition, first
        )

    async def sql(self, query: str, *args: object) -> None:
        connection = await asyncpg.connect(self.database.admin)
        await connection.execute(query, *args)
        await connection.close()
