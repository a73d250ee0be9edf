"""The log in Kafka among several who append: what they say of themselves, and topics that have to grow for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is documented there

from brokers import kafka_settings
from obverse.adapters.kafka import KafkaLogSettings, open_event_log
from obverse.contracts.event_log_steps import EVENTS, joined, read, some, soon
from obverse.ports.event_log import Records, Stream
from obverse.ports.outcomes import AccessRefused
from obverse.sandboxes.kafka import KafkaSandbox
from services import ShiftedRuntime, until

pytestmark = pytest.mark.service


@pytest.fixture
def settings(kafka: KafkaSandbox) -> KafkaLogSettings:
    return replace(kafka_settings(kafka, partitions=5), lease_ms=3000)


async def make_topic(settings: KafkaLogSettings, stream: Stream, partitions: int) -> None:
    admin = AdminClient(settings.client())
    made = admin.create_topics([NewTopic(settings.topic(stream), partitions, 1)])
    await asyncio.gather(*map(asyncio.wrap_future, made.values()))


async def test_many_who_come_at_once_share_the_partitions_and_the_last_stands_by(settings: KafkaLogSettings) -> None:
    logs = [await open_event_log(settings, ShiftedRuntime()) for _ in range(4)]
    opening = [asyncio.ensure_future(log.open_appender(EVENTS, most=2)) for log in logs]

    async def all_but_one() -> bool:
        return sum(one.done() for one in opening) == 3

    await until(all_but_one)
    held = [one.result().partitions for one in opening if one.done()]
    assert sorted(partition for one in held for partition in one) == [0, 1, 2, 3, 4]
    (standby,) = [one for one in opening if not one.done()]
    (gone,) = [one for one in held if len(one) == 1]
    first = next(one.result() for one in opening if one.done() and one.result().partitions == gone)
    await soon(first.close())
    assert (await soon(standby)).partitions == gone
    for log in logs:
        await soon(log.close())


async def test_a_topic_of_rejected_events_of_before_is_given_more_partitions(settings: KafkaLogSettings) -> None:
    await make_topic(settings, Stream.REJECTED, 1)
    logs = [await open_event_log(settings, ShiftedRuntime()) for _ in range(2)]
    one, other = await soon(asyncio.gather(*(log.open_appender(Stream.REJECTED, most=1) for log in logs)))
    assert one.partitions != other.partitions
    for appender in (one, other):
        assert await appender.append(appender.partitions[0], some(1)) == 0
        await soon(appender.close())
    assert len(await logs[0].bounds(Stream.REJECTED)) == 5
    last = await soon(logs[0].open_appender(Stream.REJECTED, [4]))
    await last.append(4, Records(1, b"last"))
    await soon(last.close())
    assert joined(await read(logs[1], {4: 0}, {4: 1}, Stream.REJECTED)) == b"last"
    for log in logs:
        await soon(log.close())


@pytest.mark.parametrize(("stream", "partitions"), [(Stream.REJECTED, 6), (EVENTS, 1)])
async def test_a_topic_that_nobody_may_change_is_told(
    settings: KafkaLogSettings, stream: Stream, partitions: int
) -> None:
    await make_topic(settings, stream, partitions)
    log = await open_event_log(settings, ShiftedRuntime())
    with pytest.raises(AccessRefused, match=f"has {partitions} partitions, and 5 are set"):
        await soon(log.open_appender(EVENTS, most=1))
    await log.close()
