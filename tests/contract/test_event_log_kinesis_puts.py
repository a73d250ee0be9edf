"""Appending to Kinesis where it fails as its maker documents that it may."""

from __future__ import annotations

import asyncio

import pytest

from kinesis_steps import Opened
from kinesis_wire import KinesisWire
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked, noise, read, soon
from obverse.ports.event_log import Records
from obverse.ports.outcomes import AccessRefused, Unreachable
from services import until

pytestmark = pytest.mark.service


async def test_a_call_in_which_every_third_record_failed_loses_nothing_and_doubles_nothing(
    kinesis_logs: Opened, wire: KinesisWire
) -> None:
    log = await kinesis_logs.open(partitions=4)
    appender = await log.open_appender(EVENTS)
    wire.fail_every = 3
    # Some are of several records of Kinesis each, of which one then comes behind the others.
    bodies = [noise(number, 1_500_000) if number < 4 else marked(number, 1).body for number in range(100)]
    firsts = await soon(asyncio.gather(*(appender.append(n % 4, Records(1, body)) for n, body in enumerate(bodies))))
    for partition in range(4):
        assert firsts[partition::4] == list(range(25))
        batches = await read(log, {partition: 0}, {partition: 25})
        assert dense(batches, 0) == 25
        assert joined(batches) == b"".join(bodies[partition::4])


async def test_only_what_failed_is_sent_again(kinesis_logs: Opened, wire: KinesisWire) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    wire.fail_every = 3
    await soon(appender.append(0, Records(1, noise(1, 6_000_000))))
    numbers = [part.number for part in await kinesis_logs.parts()]
    assert sorted(numbers) == list(range(6)), "each was taken once"
    assert numbers != sorted(numbers), "some of them late"
    assert joined(await read(log, {0: 0}, {0: 1})) == noise(1, 6_000_000)


async def test_what_was_taken_though_its_answer_was_lost_is_read_once(kinesis_logs: Opened, wire: KinesisWire) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    for number in range(6):
        wire.lost_answers = number % 3
        assert await soon(appender.append(0, marked(number, 2))) == 2 * number
    firsts = [part.first for part in await kinesis_logs.parts()]
    assert len(firsts) == 12
    assert sorted(set(firsts)) == [0, 2, 4, 6, 8, 10]
    batches = await read(await kinesis_logs.open(), {0: 0}, {0: 12})
    assert dense(batches, 0) == 12
    assert joined(batches) == b"".join(marked(number, 2).body for number in range(6))


async def test_what_was_taken_long_before_its_second_copy_came_is_read_once(kinesis_logs: Opened) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    for number in range(3):
        await appender.append(0, marked(number, 1))
    copies = await kinesis_logs.stored()
    for data in copies:
        await kinesis_logs.put(data)
    assert await appender.append(0, marked(3, 1)) == 3
    assert dense(await read(await kinesis_logs.open(), {0: 0}, {0: 4}), 0) == 4
    assert dense(await read(await kinesis_logs.open(), {0: 2}, {0: 4}), 2) == 4
    await appender.close()
    following = await (await kinesis_logs.open()).open_appender(EVENTS)
    assert await following.append(0, marked(4, 1)) == 4


async def test_throttled_puts_are_tried_again(kinesis_logs: Opened, wire: KinesisWire) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    wire.throttled_puts = 4
    assert await soon(appender.append(0, marked(1, 1))) == 0
    assert wire.throttled_puts == 0


async def test_a_partition_that_fails_hides_no_others_fate(kinesis_logs: Opened, wire: KinesisWire) -> None:
    log = await kinesis_logs.open(partitions=2, give_up_seconds=0.2, linger_ms=50)
    appender = await log.open_appender(EVENTS)
    wire.refuses = lambda key, _: key == "1"
    puts = [appender.append(partition, marked(partition, 1)) for partition in (0, 1)]
    sound, lost = await soon(asyncio.gather(*puts, return_exceptions=True))
    assert sound == 0
    assert isinstance(lost, Unreachable)
    wire.refuses = None
    assert [await soon(appender.append(partition, marked(2, 1))) for partition in (0, 1)] == [1, 0]


async def test_a_group_larger_than_a_call_takes_is_put_by_several(kinesis_logs: Opened) -> None:
    log = await kinesis_logs.open()
    appender = await log.open_appender(EVENTS)
    body = noise(1, 16 << 20)
    assert await soon(appender.append(0, Records(3, body))) == 0
    assert await soon(appender.append(0, marked(1, 1))) == 3
    assert len(await kinesis_logs.parts()) == 18
    assert joined(await read(log, {0: 0}, {0: 4})) == body + marked(1, 1).body


async def test_the_server_is_down_and_comes_back(kinesis_logs: Opened, wire: KinesisWire) -> None:
    log = await kinesis_logs.open(give_up_seconds=0.3, look_ms=50)
    appender = await log.open_appender(EVENTS)
    reader = await log.open_reader(EVENTS, {0: 0})
    acknowledged = {await appender.append(0, marked(0, 1)): 0}
    assert joined(await soon(reader.next())) == marked(0, 1).body
    await wire.stop()
    with pytest.raises(Unreachable, match="Kinesis"):
        await soon(appender.append(0, marked(1, 1)))
    with pytest.raises(Unreachable, match="Kinesis"):
        await soon(reader.next())
    await wire.start()

    async def appended(number: int) -> bool:
        try:
            acknowledged[await appender.append(0, marked(number, 1))] = number
        except Unreachable:
            return False
        return True

    for number in range(2, 6):
        await until(lambda number=number: appended(number), seconds=60)  # type: ignore[misc]
    end = (await log.bounds(EVENTS))[0][1]
    batches = await read(await kinesis_logs.open(), {0: 0}, {0: end})
    stored = joined(batches)
    assert dense(batches, 0) == end
    assert {first: stored[8 * first : 8 * first + 8] for first in acknowledged} == {
        first: marked(number, 1).body for first, number in acknowledged.items()
    }
    # Who read before goes on where it stood.
    seen = 1
    while seen < end:
        try:
            seen = dense(await soon(reader.next()), seen)
        except Unreachable:
            await asyncio.sleep(0)
    await reader.close()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AccessDeniedException", "let the role do"),
        ("KMSDisabledException", "enable the key"),
    ],
)
async def test_who_is_not_let_in_is_told_what_to_do(
    kinesis_logs: Opened, wire: KinesisWire, code: str, remedy: str
) -> None:
    log = await kinesis_logs.open()
    wire.refused = code
    with pytest.raises(AccessRefused, match=f"{code}.*{remedy}"):
        await soon(log.open_appender(EVENTS))
    reader = await log.open_reader(EVENTS, {0: 0})
    with pytest.raises(AccessRefused, match=f"{code}.*{remedy}"):
        await soon(reader.next())
    await reader.close()


async def test_a_stream_that_somebody_else_must_create_is_told(kinesis_logs: Opened) -> None:
    log = await kinesis_logs.open(create_streams=False)
    with pytest.raises(AccessRefused, match=f"there is no stream {kinesis_logs.stream}"):
        await soon(log.open_appender(EVENTS))


async def test_streams_are_created_with_shards_and_a_time_for_which_they_keep(kinesis_logs: Opened) -> None:
    log = await kinesis_logs.open(partitions=3, retention_hours=72)
    await (await log.open_appender(EVENTS)).close()
    async with kinesis_logs.vendor() as client:
        made = (await client.describe_stream_summary(StreamName=kinesis_logs.stream))["StreamDescriptionSummary"]
    assert (made["OpenShardCount"], made["RetentionPeriodHours"]) == (4, 72)
    await (await (await kinesis_logs.open(retention_hours=24)).open_appender(EVENTS)).close()
    async with kinesis_logs.vendor() as client:
        made = (await client.describe_stream_summary(StreamName=kinesis_logs.stream))["StreamDescriptionSummary"]
    assert made["RetentionPeriodHours"] == 72, "never lowered"
