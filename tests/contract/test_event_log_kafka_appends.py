"""What the log in Kafka promises beyond its port: who is overtaken, brokers that are away, what others write, tools."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # it is documented there

from brokers import Topic, kafka_running, kafka_settings
from obverse.adapters._kafka.records import Kind, Record, write
from obverse.adapters.kafka import KafkaLogSettings, open_event_log
from obverse.contracts.event_log_steps import EVENTS, dense, joined, marked, read, some, told
from obverse.ports.event_log import Batch, EventLog, Overtaken, Reader, Records
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.sandboxes.kafka import KafkaSandbox
from obverse.sandboxes.kafka.broker import PASSWORD, USER
from services import ShiftedRuntime, until

pytestmark = pytest.mark.service

PATIENCE = 120.0


@asynccontextmanager
async def opened(settings: KafkaLogSettings) -> AsyncIterator[EventLog]:
    log = await open_event_log(settings, ShiftedRuntime())
    try:
        yield log
    finally:
        await log.close()


async def patient(reader: Reader) -> Sequence[Batch]:
    while True:
        try:
            return await reader.next()
        except Unreachable:
            await asyncio.sleep(0.05)


@pytest.fixture
def settings(kafka: KafkaSandbox) -> KafkaLogSettings:
    return kafka_settings(kafka, partitions=1)


class TestOvertaking:
    """An appender that was overtaken writes nothing that counts, and is told so."""

    async def test_one_that_was_paused_is_overtaken_and_nothing_is_lost_or_doubled(
        self, settings: KafkaLogSettings
    ) -> None:
        async with asyncio.timeout(PATIENCE), opened(settings) as log, child(settings) as (process, lines):
            acknowledged = dict[str, str]()
            while len(acknowledged) < 30:
                number, offset = (await anext(lines)).split()
                acknowledged[offset] = number
            os.kill(process.pid, signal.SIGSTOP)
            appender = await log.open_appender(EVENTS)
            mine = {await appender.append(0, Records(1, b"mine%04d" % number)): number for number in range(20)}
            os.kill(process.pid, signal.SIGCONT)
            while "refused" not in (line := await anext(lines)):
                number, offset = line.split()
                acknowledged[offset] = number
            # It lives and wants to go on, but it is not its turn.
            assert "another appender has taken over" in line
            while "another appender is there" not in (line := await anext(lines)):
                assert "refused" in line
            assert mine.keys().isdisjoint(map(int, acknowledged))
            mine[await appender.append(0, Records(1, b"mine0020"))] = 20
            await appender.close()
            while "refused" in (line := await anext(lines)):
                pass
            number, offset = line.split()
            acknowledged[offset] = number
            process.kill()

            end = (await log.bounds(EVENTS))[0][1]
            batches = await read(log, {0: 0}, {0: end})
            assert dense(batches, 0) == end
            body = joined(batches)
            stored = [body[at : at + 8] for at in range(0, len(body), 8)]
            assert len(stored) == len(set(stored)), "doubled"
            for offset, number in acknowledged.items():
                assert stored[int(offset)] == number.encode()
            for place, one in mine.items():
                assert stored[place] == b"mine%04d" % one

    async def test_what_comes_behind_another_claim_is_not_acknowledged_and_counts_for_nobody(
        self, settings: KafkaLogSettings
    ) -> None:
        async with asyncio.timeout(PATIENCE), opened(settings) as log:
            appender = await log.open_appender(EVENTS)
            assert await appender.append(0, Records(1, b"before")) == 0
            topic = Topic(settings, EVENTS, 0)
            claim = Record(kind=Kind.CLAIM, epoch=topic.values()[-1][0] + 1, first=1, body=b"another one")
            topic.send([write(topic.place, claim)])

            with pytest.raises(Overtaken, match="another appender has taken over"):
                await appender.append(0, Records(1, b"behind"))
            # Its session is gone with that, and whoever comes next need not wait for it.
            await appender.close()
            following = await log.open_appender(EVENTS)
            assert await following.append(0, Records(1, b"after")) == 1
            assert joined(await read(log, {0: 0}, {0: 2})) == b"beforeafter"

    async def test_a_killed_one_is_waited_for_no_longer_than_its_lease(self, settings: KafkaLogSettings) -> None:
        # The one says three times a second that it is there; the other believes that it is gone after five seconds
        # without a word, so that a machine with much to do is not taken for a death.
        patient = replace(settings, lease_ms=5000)
        async with asyncio.timeout(PATIENCE), opened(patient) as log, child(settings) as (process, lines):
            first = await anext(lines)
            waiting = asyncio.ensure_future(log.open_appender(EVENTS))
            acknowledged = [first, *[await anext(lines) for _ in range(30)]]
            assert not waiting.done()
            process.kill()
            acknowledged += [line async for line in lines]
            appender = await waiting
            mine = await appender.append(0, Records(1, b"mine"))
            assert mine > max(int(line.split()[1]) for line in acknowledged)


@asynccontextmanager
async def child(
    settings: KafkaLogSettings,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, AsyncIterator[str]]]:
    """A process that appends and prints the number and the offset of what was acknowledged, else `refused`."""
    arguments = (settings.servers, settings.prefix, str(settings.lease_ms))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, *arguments, stdout=asyncio.subprocess.PIPE
    )

    async def lines() -> AsyncIterator[str]:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            yield line.decode()

    try:
        yield process, lines()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


CHILD = """
import asyncio, sys
from obverse.adapters.kafka import KafkaLogSettings, open_event_log
from obverse.adapters._kafka.records import Kind, Record, write
from obverse.adapters.runtime.system import SystemRuntime
from obverse.ports.event_log import Records, Stream
from obverse.ports.outcomes import Unreachable

async def main():
    servers, prefix, lease = sys.argv[1:]
    settings = KafkaLogSettings(
        servers=servers, prefix=prefix, lease_ms=int(lease), replication=1, min_insync=1, flush=False
    )
    log = await open_event_log(settings, SystemRuntime())
    appender = await log.open_appender(Stream.EVENTS)
    number = 0
    while True:
        try:
            print(f"{number:08} {await appender.append(0, Records(1, f'{number:08}'.encode()))}", flush=True)
        except Unreachable as error:
            print("refused", error, flush=True)
            await asyncio.sleep(0.05)
        number += 1

asyncio.run(main())
"""


class TestBrokers:
    """Brokers that are away are told of, and found again without help."""

    async def test_a_broker_that_was_away_is_found_again_and_nothing_is_lost_or_doubled(self, tmp_path: Path) -> None:
        """It answers too late, then not at all, then it is back."""
        async with kafka_running(tmp_path) as sandbox:
            settings = replace(kafka_settings(sandbox, partitions=1), delivery_ms=1000)
            async with asyncio.timeout(2 * PATIENCE), opened(settings) as log:
                appender = await log.open_appender(EVENTS)
                reader = await log.open_reader(EVENTS, {0: 0})
                kept, seen, number = dict[int, int](), list[Batch](), 0

                async def appended() -> bool:
                    nonlocal number
                    number += 1
                    try:
                        kept[number] = await appender.append(0, marked(number, 1))
                    except Unreachable:
                        return False
                    return True

                await until(appended)
                seen += await told(reader, 1)
                for _ in range(2):
                    late = asyncio.ensure_future(appended())
                    await asyncio.sleep(0.02)  # It is on its way, now and then already there: either is to be met.
                    sandbox.brokers[0].pause()
                    await late
                    sandbox.brokers[0].resume()
                await until(appended, seconds=PATIENCE)
                sandbox.brokers[0].kill()
                with pytest.raises(Unreachable, match=r"servers .* run"):
                    await appender.append(0, marked(number + 1, 1))
                with pytest.raises(Unreachable, match=r"servers .* run"):
                    await log.bounds(EVENTS)
                number += 1
                await sandbox.restart(1)
                await until(appended, seconds=PATIENCE)
                end = max(kept.values()) + 1
                while seen[-1].end < end:
                    seen += await patient(reader)
            assert dense(seen, 0) == end
            body = joined(seen)
            stored = [body[at : at + 8] for at in range(0, 8 * end, 8)]
            assert len(set(stored)) == end, "doubled"
            for one, offset in kept.items():
                assert stored[offset] == marked(one, 1).body


def signed_in(kafka: KafkaSandbox, settings: KafkaLogSettings, password: str) -> KafkaLogSettings:
    return replace(
        settings,
        servers=kafka.brokers[0].sasl_server,
        security="sasl_plaintext",
        sasl_mechanism="PLAIN",
        username=USER,
        password=password,
        delivery_ms=2000,
    )


class TestRefusals:
    """What a person must mend says what."""

    async def test_no_broker_at_all_is_said(self) -> None:
        settings = KafkaLogSettings(servers="127.0.0.1:1", delivery_ms=1000)
        async with opened(settings) as log:
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
                await log.open_appender(EVENTS)

    async def test_who_says_who_he_is_is_let_in(self, kafka: KafkaSandbox, settings: KafkaLogSettings) -> None:
        async with asyncio.timeout(PATIENCE), opened(signed_in(kafka, settings, PASSWORD)) as log:
            appender = await log.open_appender(EVENTS)
            assert await appender.append(0, Records(1, b"let in")) == 0
            assert joined(await read(log, {0: 0}, {0: 1})) == b"let in"

    async def test_a_wrong_password_is_said(self, kafka: KafkaSandbox, settings: KafkaLogSettings) -> None:
        async with asyncio.timeout(PATIENCE), opened(signed_in(kafka, settings, "wrong")) as log:
            with pytest.raises(AccessRefused, match="password"):
                await log.open_appender(EVENTS)
            reader = await log.open_reader(EVENTS, {0: 0})
            with pytest.raises(AccessRefused, match="password"):
                await reader.next()

    async def test_another_number_of_partitions_is_said(self, settings: KafkaLogSettings) -> None:
        async with opened(settings) as log:
            await log.bounds(EVENTS)
        async with opened(replace(settings, partitions=3)) as log:
            with pytest.raises(AccessRefused, match="has 1 partitions, and 3 are set"):
                await log.bounds(EVENTS)

    async def test_more_copies_than_brokers_is_said(self, settings: KafkaLogSettings) -> None:
        async with opened(replace(settings, replication=3)) as log:
            with pytest.raises(AccessRefused, match="replication"):
                await log.bounds(EVENTS)

    @pytest.mark.parametrize(
        ("change", "waits"),
        [
            ({"replication": 1, "min_insync": 1}, True),
            ({"replication": 3}, False),
            ({"replication": 3, "flush": True}, True),
            ({"replication": 1, "min_insync": 1, "flush": False}, False),
        ],
    )
    def test_where_nobody_has_a_copy_a_record_waits_for_the_disk(self, change: dict[str, Any], *, waits: bool) -> None:
        assert KafkaLogSettings(servers="a:1", **change).flushes is waits

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"servers": " "}, "servers"),
            ({"prefix": "a b"}, "prefix"),
            ({"prefix": "a" * 250}, "prefix"),
            ({"workspace": "two words"}, "workspace"),
            ({"security": "tls"}, "security"),
            ({"replication": 0}, "replication"),
            ({"min_insync": 4}, "min_insync"),
            ({"partitions": 0}, "partitions"),
            ({"group_bytes": 1 << 30}, "group_bytes"),
            ({"lease_ms": 1}, "lease_ms"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, change: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            KafkaLogSettings(**({"servers": "a:1"} | change))

    def test_secrets_are_not_shown(self) -> None:
        shown = repr(KafkaLogSettings(servers="a:1", password="geheim", key_password="geheim"))
        assert "geheim" not in shown


async def test_a_topic_is_made_so_that_kafka_loses_nothing_of_it(settings: KafkaLogSettings) -> None:
    async with opened(replace(settings, flush=None)) as log:
        await log.bounds(EVENTS)
    admin = AdminClient(settings.client())
    resource = ConfigResource(ConfigResource.Type.TOPIC, settings.topic("events"))
    (answer,) = admin.describe_configs([resource]).values()
    made = {name: entry.value for name, entry in (await asyncio.to_thread(answer.result, 60)).items()}
    assert (made["retention.ms"], made["retention.bytes"], made["cleanup.policy"]) == ("-1", "-1", "delete")
    assert (made["flush.messages"], made["unclean.leader.election.enable"]) == ("1", "false")


async def test_kafkas_own_tools_show_how_far_a_process_reads(settings: KafkaLogSettings) -> None:
    named = replace(settings, reader="worker")
    async with asyncio.timeout(PATIENCE), opened(named) as log:
        appender = await log.open_appender(EVENTS)
        for _ in range(3):
            await appender.append(0, some(2))
        reader = await log.open_reader(EVENTS, {0: 0})
        seen = list(await reader.next())
        while seen[-1].end < 6:
            seen += await reader.next()
        end = Topic(settings, EVENTS, 0).values()[-1][0] + 1
        admin = AdminClient(settings.client())
        group = ConsumerGroupTopicPartitions(f"{settings.prefix}.main.worker")

        async def noted() -> bool:
            answer = admin.list_consumer_group_offsets([group])[group.group_id]
            found = await asyncio.to_thread(answer.result, 60)
            return [(one.topic, one.offset) for one in found.topic_partitions] == [(settings.topic("events"), end)]

        await until(noted, seconds=PATIENCE)


class TestStrangers:
    """What others write stops nobody, whatever it is."""

    async def test_nothing_that_others_write_stops_a_reader_or_an_appender(self, settings: KafkaLogSettings) -> None:
        async with asyncio.timeout(PATIENCE), opened(settings) as log:
            appender = await log.open_appender(EVENTS)
            topic = Topic(settings, EVENTS, 0)
            assert await appender.append(0, some(2)) == 0
            ours = topic.values()[-1][1]
            strange = [secrets.token_bytes(40), b"", b"OBVL", ours[:40], ours + b"x", bytes(1000), ours]
            offsets = topic.send(strange)
            assert await appender.append(0, some(3)) == 2
            batches = await told(await log.open_reader(EVENTS, {0: 0}), 7)
            assert [(one.first, one.count) for one in batches] == [(0, 2), *[(2, 0)] * 5, (2, 3)]
            # The sixth and the seventh say that they are what came before: they are passed over.
            passed = {offsets[4], offsets[6]}
            assert [
                offset for offset in offsets if any(f"Kafka offset {offset} " in one.damage for one in batches)
            ] == [offset for offset in offsets if offset not in passed]
            assert all(topic.name in one.damage for one in batches if not one.count)

    async def test_many_of_them_at_the_end_hide_nothing(self, settings: KafkaLogSettings) -> None:
        async with asyncio.timeout(PATIENCE), opened(settings) as log:
            appender = await log.open_appender(EVENTS)
            await appender.append(0, some(2))
            Topic(settings, EVENTS, 0).send([b"rubbish"] * 300)
            assert await log.bounds(EVENTS) == {0: (0, 2)}
            assert await appender.append(0, some(1)) == 2
            await appender.close()
            again = await log.open_appender(EVENTS)
            assert await again.append(0, some(1)) == 3
