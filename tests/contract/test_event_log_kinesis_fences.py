"""One appender at a time, though Kinesis takes records from anybody."""

from __future__ import annotations

import asyncio

import pytest

from kinesis_steps import Opened
from kinesis_wire import KinesisWire
from obverse.adapters.kinesis.records import Part
from obverse.adapters.kinesis.records import read as read_record
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked, noise, read, soon
from obverse.ports.event_log import Overtaken, Records
from obverse.ports.outcomes import Unreachable
from services import Ask

pytestmark = pytest.mark.service


async def end_sessions(ask: Ask) -> None:
    """End the sessions that hold an appender's locks."""
    ended = await ask(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name like 'obverse appends%' and datname = current_database()"
    )
    assert ended


async def test_what_was_put_before_the_lock_was_lost_is_not_acknowledged(
    kinesis_logs: Opened, wire: KinesisWire, ask: Ask
) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    await appender.append(0, marked(0, 1))
    wire.answered_after = asyncio.Event()
    wire.reached.clear()
    lost = asyncio.ensure_future(appender.append(0, marked(1, 1)))
    await soon(wire.reached.wait())
    await end_sessions(ask)
    wire.answered_after.set()
    with pytest.raises(Unreachable):
        await soon(lost)
    # Nothing was known of it; as it is, Kinesis has it, and it stands before the claim of whoever came next.
    assert await soon(appender.append(0, marked(2, 1))) == 2
    batches = await read(await kinesis_logs.open(), {0: 0}, {0: 3})
    assert joined(batches) == b"".join(marked(number, 1).body for number in range(3))


async def test_what_comes_behind_a_later_claim_counts_for_nothing(
    kinesis_logs: Opened, wire: KinesisWire, ask: Ask
) -> None:
    former = await kinesis_logs.open()
    zombie = await former.open_appender(EVENTS)
    await zombie.append(0, marked(0, 2))
    reader = await former.open_reader(EVENTS, {0: 2})
    held = wire.held = asyncio.Event()
    wire.reached.clear()
    late = asyncio.ensure_future(zombie.append(0, marked(1, 3)))
    await soon(wire.reached.wait())
    wire.held = None
    await end_sessions(ask)
    following = await soon((await kinesis_logs.open()).open_appender(EVENTS))
    assert await following.append(0, marked(2, 1)) == 2
    held.set()
    with pytest.raises(Unreachable):
        await soon(late)
    assert await following.append(0, marked(3, 1)) == 3

    assert len(await kinesis_logs.parts()) == 4, "the zombie's is there"
    expected = marked(2, 1).body + marked(3, 1).body
    batches = await read(await kinesis_logs.open(), {0: 0}, {0: 4})
    assert dense(batches, 0) == 4
    assert joined(batches) == marked(0, 2).body + expected
    seen = list(await soon(reader.next()))
    while seen[-1].end < 4:
        seen += await soon(reader.next())
    assert joined(seen) == expected
    await reader.close()
    # Nor does the next one count it, with and without what the database knows.
    await following.close()
    await ask("truncate event_log_ends, event_log_positions")
    again = await soon((await kinesis_logs.open()).open_appender(EVENTS))
    assert await again.append(0, marked(4, 1)) == 4


async def test_a_claim_that_comes_behind_a_later_one_counts_for_nothing(
    kinesis_logs: Opened, wire: KinesisWire, ask: Ask
) -> None:
    held = wire.held = asyncio.Event()
    late = asyncio.ensure_future((await kinesis_logs.open()).open_appender(EVENTS))
    await soon(wire.reached.wait())
    wire.held = None
    await end_sessions(ask)
    following = await soon((await kinesis_logs.open()).open_appender(EVENTS))
    assert await following.append(0, marked(1, 1)) == 0
    held.set()
    with pytest.raises(Unreachable):
        await soon(late)
    assert await following.append(0, marked(2, 1)) == 1
    assert joined(await read(await kinesis_logs.open(), {0: 0}, {0: 2})) == marked(1, 1).body + marked(2, 1).body


async def test_an_epoch_that_was_raised_refuses_whoever_has_the_older_one(kinesis_logs: Opened, ask: Ask) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    await appender.append(0, marked(0, 1))
    # As a pooler would have it that gives the session, and its lock, to somebody else.
    await ask("update event_log_ends set epoch = epoch + 1")
    with pytest.raises(Overtaken, match="another appender of events has begun"):
        await soon(appender.append(0, marked(1, 1)))
    assert await soon(appender.append(0, marked(2, 1))) == 2


async def test_a_group_that_was_left_half_written_is_passed_over(kinesis_logs: Opened, wire: KinesisWire) -> None:
    log = await kinesis_logs.open(give_up_seconds=0.2)
    appender = await log.open_appender(EVENTS)
    await appender.append(0, marked(0, 1))
    wire.refuses = lambda _, data: isinstance(part := read_record("main", EVENTS, data), Part) and part.number > 0
    with pytest.raises(Unreachable):
        await soon(appender.append(0, Records(5, noise(1, 3_000_000))))
    wire.refuses = None
    assert await soon(appender.append(0, marked(1, 1))) == 1
    assert len(await kinesis_logs.parts()) > 2
    assert joined(await read(await kinesis_logs.open(), {0: 0}, {0: 2})) == marked(0, 1).body + marked(1, 1).body


@pytest.mark.parametrize("lost", ["event_log_positions", "event_log_ends, event_log_positions"])
async def test_what_the_database_has_lost_is_found_in_the_log(kinesis_logs: Opened, ask: Ask, lost: str) -> None:
    appender = await (await kinesis_logs.open(partitions=2)).open_appender(EVENTS)
    for number in range(10):
        await appender.append(number % 2, marked(number, 1))
    await appender.close()
    await ask(f"truncate {lost}")
    # As from a backup of long ago, or on a machine whose clock is wrong.
    await ask("update event_log_ends set epoch = 1, end_offset = 0, appended_at = null")
    kinesis_logs.runtime.shift = -86_400.0
    log = await kinesis_logs.open()
    following = await soon(log.open_appender(EVENTS))
    assert await log.bounds(EVENTS) == {0: (0, 5), 1: (0, 5)}
    assert [await following.append(partition, marked(10, 1)) for partition in (0, 1)] == [5, 5]
    for partition in (0, 1):
        batches = await read(await kinesis_logs.open(), {partition: 0}, {partition: 6})
        assert dense(batches, 0) == 6
        times = [batch.appended_at for batch in batches]
        assert times == sorted(times)
