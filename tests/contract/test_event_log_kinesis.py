"""The log in Kinesis keeps the promises of every `EventLog`, against two servers that know nothing of each other."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest

from kinesis_steps import Opened, bit_flipped, group_at, settings_for
from kinesis_wire import KinesisWire, wire_to
from obverse.adapters import kinesis
from obverse.contracts.event_log import EventLogContract
from obverse.ports.event_log import EventLog, Stream
from services import Database, ShiftedRuntime

pytestmark = pytest.mark.service


class KinesisContract(EventLogContract):
    """What both servers have in common."""

    trim_grain = 10.0
    more: Mapping[str, Any] = MappingProxyType({})

    @pytest.fixture
    async def log(self, server: str, database: Database) -> AsyncIterator[EventLog]:
        self.database, self.runtime, self.opened = database, ShiftedRuntime(), list[EventLog]()
        self.prefix = secrets.token_hex(6)
        async with wire_to(server) as wire:
            self.wire: KinesisWire = wire
            yield await self.open()
            for log in self.opened:
                await log.close()

    async def open(self) -> EventLog:
        settings = settings_for(
            self.wire.url, self.database.dsn(), stream_prefix=self.prefix, partitions=2, **self.more
        )
        self.opened.append(await kinesis.open_event_log(settings, self.runtime))
        return self.opened[-1]

    async def reopen(self, log: EventLog) -> EventLog:
        del log
        connection = await asyncpg.connect(self.database.admin)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'obverse %'"
            " and datname = current_database()"
        )
        await connection.close()
        return await self.open()

    def shift_clock(self, seconds: float) -> None:
        self.runtime.shift += seconds

    async def damage(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        del log
        self.wire.changes.append(lambda data: bit_flipped(data) if group_at(data, stream, partition, first) else data)

    async def remove(self, log: EventLog, stream: Stream, partition: int, first: int) -> None:
        del log
        self.wire.changes.append(lambda data: None if group_at(data, stream, partition, first) else data)

    async def intrude(self, log: EventLog, stream: Stream, partition: int) -> None:
        del log
        settings = settings_for(self.wire.url, self.database.dsn(), stream_prefix=self.prefix)
        await Opened(settings, self.runtime).put(b"rubbish", stream=stream, partition=partition)


class TestKinesisEventLog(KinesisContract):
    @pytest.fixture
    def server(self, moto_server: str) -> str:
        return moto_server


class TestKinesisEventLogOnKinesalite(KinesisContract):
    # It knows the longest time that Kinesis had some years ago.
    more = MappingProxyType({"decisions_retention_hours": 168})

    @pytest.fixture
    def server(self, kinesalite_server: str) -> str:
        return kinesalite_server
