"""Changes on their way out of the embedded engine: in parts that a log takes, and before a mark passes them."""

from __future__ import annotations

import asyncio

from obverse.adapters._changes_out import PATIENCE, ChangesOut
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.runtime.system import open_runtime
from obverse.core import codec
from obverse.core.changes import ATTRIBUTE, Change
from obverse.ports.engine import Progress
from obverse.ports.event_log import TAKEN, Batch, EventLog, Records, Stream


def change(number: int, name: str = "name") -> Change:
    return Change(b"p" * 16, ATTRIBUTE, f"{name}-{number}", "m-1")


async def written(log: EventLog) -> list[Batch]:
    end = (await log.bounds(Stream.CHANGES))[0][1]
    reader = await log.open_reader(Stream.CHANGES, {0: 0})
    batches: list[Batch] = []
    while not batches or batches[-1].end < end:
        batches += await reader.next()
    await reader.close()
    return batches


async def test_what_waits_is_written_at_once_when_it_is_flushed() -> None:
    runtime = open_runtime()
    log = await open_event_log(MemoryLogSettings(), runtime)
    progress = Progress()
    out = ChangesOut(runtime, await log.open_appender(Stream.CHANGES), progress, 0)
    out.add([change(1), change(2), change(1)])

    await out.flush()
    await out.flush()

    (batch,) = await written(log)
    assert codec.Decoder(Change).decode(batch.count, batch.body) == [change(1), change(2)]
    assert progress.changes == 2


async def test_nothing_is_told_of_whom_nobody_can_see() -> None:
    runtime = open_runtime()
    log = await open_event_log(MemoryLogSettings(), runtime)
    out = ChangesOut(runtime, await log.open_appender(Stream.CHANGES), Progress(), 0)
    going = asyncio.create_task(out.run())
    with out.hold([change(1)]):
        out.add([change(2)])
        flushing = asyncio.create_task(out.flush())
        await asyncio.sleep(4 * PATIENCE)
        (batch,) = await written(log)
        assert codec.Decoder(Change).decode(batch.count, batch.body) == [change(2)]
        assert not flushing.done(), "a checkpoint would say that what is held was told"
    await asyncio.wait_for(flushing, 10)
    going.cancel()
    assert [one.count for one in await written(log)] == [1, 1]


async def test_more_than_a_log_takes_at_once_goes_in_parts() -> None:
    runtime = open_runtime()
    log = await open_event_log(MemoryLogSettings(), runtime)
    out = ChangesOut(runtime, await log.open_appender(Stream.CHANGES), Progress(), 0)
    many = [change(number, "n" * 30_000) for number in range(1_200)]
    assert len(codec.encode(many)) > 2 * TAKEN
    out.add(many)

    await asyncio.wait_for(out.flush(), 30)

    batches = await written(log)
    assert [one for batch in batches for one in codec.Decoder(Change).decode(batch.count, batch.body)] == many


def test_records_are_cut_to_what_a_log_takes() -> None:
    many = [change(number, "n" * 30_000) for number in range(1_200)]

    parts = Records.of(many)

    assert len(parts) > 2
    assert max(len(part.body) for part in parts) <= TAKEN
    assert sum(part.count for part in parts) == len(many)
    assert b"".join(part.body for part in parts) == codec.encode(many)
