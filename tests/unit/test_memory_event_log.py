"""The log in memory runs under virtual time, and runs the same way for the same seed."""

from __future__ import annotations

import asyncio

from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.runtime.simulated import simulate
from obverse.contracts.event_log_steps import dense
from obverse.ports.event_log import Batch, Records, Stream
from obverse.ports.runtime import Runtime


async def run(runtime: Runtime) -> list[Batch]:
    """Let five append, each at its own pace, and one read."""
    log = await open_event_log(MemoryLogSettings(), runtime)
    appender = await log.open_appender(Stream.EVENTS)
    reader = await log.open_reader(Stream.EVENTS, {0: 0})

    async def append(name: str) -> None:
        for number in range(10):
            await runtime.sleep(runtime.random.random())
            await appender.append(0, Records(1, f"{name}{number} ".encode()))

    work = [runtime.spawn(name, append(name)) for name in "abcde"]
    batches: list[Batch] = []
    while not batches or batches[-1].end < 50:
        batches += await reader.next()
    await asyncio.gather(*(one.wait() for one in work))
    await log.close()
    return batches


def test_the_same_seed_gives_the_same_log() -> None:
    once, again = simulate(7, run), simulate(7, run)
    assert once == again
    assert dense(once[0], 0) == 50


def test_another_seed_gives_another_order() -> None:
    assert simulate(7, run)[0] != simulate(8, run)[0]


def test_it_waits_in_virtual_time_for_who_holds_the_partition() -> None:
    async def take_over(runtime: Runtime) -> float:
        log = await open_event_log(MemoryLogSettings(), runtime)
        former = await log.open_appender(Stream.EVENTS)

        async def leave() -> None:
            await runtime.sleep(3600)
            await former.close()

        runtime.spawn("leave", leave())
        await log.open_appender(Stream.EVENTS)
        return runtime.elapsed()

    assert simulate(1, take_over)[0] == 3600
