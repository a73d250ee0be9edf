"""Steps that the proofs of an `EventLog` take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import shake_256
from typing import TypeVar

from obverse.ports.event_log import Appender, Batch, EventLog, Reader, Records, Stream

Result = TypeVar("Result")

EVENTS = Stream.EVENTS

PATIENCE = 20.0
"""Seconds for anything that must happen."""

WIDTH = 8
"""Bytes of a record made by `marked`."""


def some(count: int) -> Records:
    """Return records of which only the number matters."""
    return Records(count, b"." * count)


def marked(number: int, count: int) -> Records:
    """Return records that show whose they are and their place."""
    return Records(count, b"".join(f"{number:05}{place:03}".encode() for place in range(count)))


def noise(seed: int, size: int) -> bytes:
    """Return bytes that no log can compress."""
    return shake_256(str(seed).encode()).digest(size)


async def soon(result: Awaitable[Result]) -> Result:
    """Wait for what must happen, but not for ever."""
    async with asyncio.timeout(PATIENCE):
        return await result


@asynccontextmanager
async def appending(log: EventLog, partitions: list[int] | None = None) -> AsyncIterator[Appender]:
    """Be the appender of the events for a while."""
    appender = await soon(log.open_appender(EVENTS, partitions))
    try:
        yield appender
    finally:
        await soon(appender.close())


async def read(
    log: EventLog, marks: Mapping[int, int], ends: Mapping[int, int], stream: Stream = EVENTS
) -> list[Batch]:
    """Read from the marks to the ends with a reader of its own."""
    reader: Reader = await log.open_reader(stream, marks)
    reached = dict(marks)
    batches: list[Batch] = []
    try:
        while any(reached[partition] < end for partition, end in ends.items()):
            for batch in await soon(reader.next()):
                assert batch.end > reached[batch.partition], f"{batch.first} was read again"
                reached[batch.partition] = batch.end
                batches.append(batch)
    finally:
        await reader.close()
    return batches


async def told(reader: Reader, count: int) -> list[Batch]:
    """The batches that a reader brings, up to so many."""
    batches: list[Batch] = []
    while len(batches) < count:
        batches += await soon(reader.next())
    return batches


def joined(batches: Iterable[Batch]) -> bytes:
    """Return the bytes of all batches."""
    return b"".join(batch.body for batch in batches)


def dense(batches: Iterable[Batch], mark: int) -> int:
    """Return the offset after the last batch, having seen that nothing is missing or repeated."""
    for batch in batches:
        assert batch.first == mark, f"{batch.first} follows where {mark} was due"
        mark = batch.end
    return mark
