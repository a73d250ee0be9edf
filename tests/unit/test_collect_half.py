"""Collect over a log that is away, or of which only a part can be written."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import permutations
from typing import Any
from zlib import crc32

import pytest

from collect_steps import WEB, Installation
from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.ports.event_log import Appender, Reader, Records, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime
from wire_steps import GOOD, batch


class HalfLog:
    """A log that is away for a while, and then takes nothing in odd partitions."""

    partitions = 4

    def __init__(self, runtime: Runtime, away: int) -> None:
        self.whole = MemoryEventLog(MemoryLogSettings(partitions=4), runtime)
        self.away = away

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        if self.away:
            self.away -= 1
            raise Unreachable("away", after=0.3)
        whole = await self.whole.open_appender(stream, partitions, most=most)
        return whole if stream is Stream.REJECTED else HalfAppender(whole)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        return await self.whole.open_reader(stream, marks)

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        return await self.whole.bounds(stream)

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        await self.whole.begin(stream, offsets)

    async def trim(self, stream: Stream, before: int) -> None:
        await self.whole.trim(stream, before)

    async def close(self) -> None:
        await self.whole.close()


class HalfAppender:
    def __init__(self, whole: Appender) -> None:
        self._whole = whole

    @property
    def partitions(self) -> Sequence[int]:
        return self._whole.partitions

    async def append(self, partition: int, records: Records) -> int:
        if partition % 2:
            raise Unreachable(f"partition {partition}")
        return await self._whole.append(partition, records)

    async def close(self) -> None:
        await self._whole.close()


def test_a_log_that_is_away_at_the_start_is_waited_for() -> None:
    async def run(runtime: SimulatedRuntime) -> float:
        one = Installation(runtime, HalfLog(runtime, away=7))
        await one.collect.open()
        assert one.collect.ready
        return runtime.elapsed()

    elapsed, _ = simulate(0, run)
    assert elapsed == pytest.approx(7 * 0.3)


def test_if_a_part_cannot_be_written_the_sender_is_told_to_send_again_and_no_failure_is_left_lying() -> None:
    left: list[Any] = []

    async def run(runtime: SimulatedRuntime) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: left.append(context))
        one = Installation(runtime, HalfLog(runtime, away=0))
        await one.collect.open()
        users = {crc32(f"u{number}".encode()) % 4: f"u{number}" for number in range(40)}
        for order in permutations(range(4)):
            answer = await one.take(batch(*({**GOOD, "userId": users[place]} for place in order), {"a": 1}), WEB)
            assert (answer.status, answer.code) == (HTTPStatus.SERVICE_UNAVAILABLE, "log_unavailable")
        assert one.collect.intake.waiting_bytes == 0
        assert await one.rejected() == []

    simulate(0, run)
    gc.collect()
    assert left == []
