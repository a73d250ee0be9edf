"""The log in Apache Kafka keeps the promises of every log, against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from brokers import MortalRuntime, kafka_settings
from obverse.adapters.kafka import open_event_log
from obverse.contracts.event_log import EventLogContract
from obverse.ports.event_log import EventLog
from obverse.sandboxes.kafka import KafkaSandbox

pytestmark = pytest.mark.service


class TestKafkaEventLog(EventLogContract):
    @pytest.fixture
    async def log(self, kafka: KafkaSandbox) -> AsyncIterator[EventLog]:
        self.settings, self.shift = kafka_settings(kafka), 0.0
        self.runtime, self.opened = MortalRuntime(), list[EventLog]()
        yield await self.open()
        for log in self.opened:
            with suppress(asyncio.CancelledError):  # of a process that was killed
                await log.close()

    async def open(self) -> EventLog:
        self.opened.append(await open_event_log(self.settings, self.runtime))
        return self.opened[-1]

    async def reopen(self, log: EventLog) -> EventLog:
        del log
        await self.runtime.kill()
        shift, self.runtime = self.runtime.shift, MortalRuntime()
        self.runtime.shift = shift
        return await self.open()

    def shift_clock(self, seconds: float) -> None:
        self.runtime.shift += seconds
