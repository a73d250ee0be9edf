"""Several collectors on one log: each writes its share of the partitions, and a standby takes over that of another."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_steps import WEB, Installation
from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import codec
from obverse.core.events import Event
from obverse.flows.answers import UNWRITABLE
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.flows.share import place_of
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.event_log import Records, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Work
from obverse.settings import BadSettings, Collector, Settings
from obverse.wiring import wire
from wire_steps import batch

PEOPLE = [f"u{number}" for number in range(60)]


class Collectors:
    """Some collectors over one log, each holding its share for as long as it lives."""

    def __init__(self, runtime: SimulatedRuntime, *, partitions: int, each: int | None, count: int) -> None:
        self.runtime = runtime
        self.log = MemoryEventLog(MemoryLogSettings(partitions=partitions), runtime)
        self.each = [Installation(runtime, self.log, partitions=each) for _ in range(count)]
        self.works: list[Work] = []

    async def start(self) -> None:
        """Start them one after another, so that the first has the first partitions."""
        for one in self.each:
            self.works.append(self.runtime.spawn("hold a share", one.collect.share.hold()))
            await self.runtime.sleep(0.1)

    def held(self) -> list[list[int]]:
        return [list(one.collect.share.partitions) for one in self.each]

    async def end(self, number: int) -> None:
        await self.works[number].stop()
        await self.each[number].collect.close()

    async def send(self, number: int, turn: int, *bad: Any) -> HTTPStatus:
        items = [{"type": "page", "userId": one, "messageId": f"{number}-{turn}-{one}"} for one in PEOPLE]
        return (await self.each[number].take(batch(*items, *bad), WEB)).status

    async def counted(self) -> Counter[str]:
        return Counter(event.message_id for event in await self.each[0].events())


def collecting(test: Callable[[Collectors], Awaitable[None]], *, partitions: int, each: int | None, count: int) -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        collectors = Collectors(runtime, partitions=partitions, each=each, count=count)
        await collectors.start()
        await test(collectors)

    simulate(0, run)


def test_each_writes_its_own_share_and_all_is_there() -> None:
    async def test(some: Collectors) -> None:
        assert some.held() == [[0, 1], [2, 3]]
        assert [one.collect.ready for one in some.each] == [True, True]
        statuses = await asyncio.gather(*(some.send(number, turn) for number in (0, 1) for turn in range(3)))
        assert set(statuses) == {HTTPStatus.OK}
        counted = await some.counted()
        assert counted == dict.fromkeys((f"{n}-{turn}-{one}" for n in (0, 1) for turn in range(3) for one in PEOPLE), 1)
        for part in await some.each[0].batches(Stream.EVENTS):
            for event in codec.Decoder(Event).decode(part.count, part.body):
                assert part.partition in some.held()[int(event.message_id[0])]

    collecting(test, partitions=4, each=2, count=2)


def test_one_that_finds_none_stands_by_and_says_so() -> None:
    async def test(some: Collectors) -> None:
        assert some.held() == [[0], [1], []]
        standby = some.each[2].collect
        assert not standby.ready
        answer = await some.each[2].take(batch({"type": "page", "userId": "u"}), WEB)
        assert answer is UNWRITABLE
        assert (answer.status, answer.retry_after) == (HTTPStatus.SERVICE_UNAVAILABLE, 1)
        await some.end(1)
        await some.runtime.sleep(0.01)
        assert some.held() == [[0], [], [1]]
        assert standby.ready
        assert await some.send(2, 0) is HTTPStatus.OK

    collecting(test, partitions=2, each=1, count=3)


def test_whoever_is_overtaken_stands_by_and_takes_what_is_free() -> None:
    async def test(some: Collectors) -> None:
        assert some.held() == [[0, 1], [2, 3], []]
        assert await some.send(0, 0) is HTTPStatus.OK
        # It was silent for too long: the standby is there by now, and the first one does not know it yet.
        for partition in (0, 1):
            some.log.overtake(Stream.EVENTS, partition)
        await some.runtime.sleep(1)
        assert some.held() == [[0, 1], [2, 3], [0, 1]]
        assert await some.send(0, 1) is HTTPStatus.SERVICE_UNAVAILABLE
        assert not some.each[0].collect.ready
        await some.runtime.sleep(1)
        assert some.held() == [[], [2, 3], [0, 1]]
        assert await some.send(2, 0) is HTTPStatus.OK
        await some.end(1)
        await some.runtime.sleep(1)
        assert some.held() == [[2, 3], [], [0, 1]]
        assert await some.send(0, 2) is HTTPStatus.OK
        counted = await some.counted()
        assert counted == dict.fromkeys((f"{sent}-{one}" for sent in ("0-0", "2-0", "0-2") for one in PEOPLE), 1)

    collecting(test, partitions=4, each=2, count=3)


@pytest.mark.parametrize("lost", [0, 1])
def test_whoever_is_overtaken_stands_by_though_another_partition_cannot_be_written(lost: int) -> None:
    async def test(some: Collectors) -> None:
        put = some.log.put

        async def failing(stream: Stream, partition: int, records: Records) -> int:
            if partition != lost:
                raise Unreachable("it takes no more at this moment")
            return await put(stream, partition, records)

        some.log.put = failing  # type: ignore[method-assign]
        some.log.overtake(Stream.EVENTS, lost)
        assert await some.send(0, 0) is HTTPStatus.SERVICE_UNAVAILABLE
        assert not some.each[0].collect.ready

    collecting(test, partitions=2, each=2, count=1)


def test_rejected_events_of_all_of_them_are_kept() -> None:
    async def test(some: Collectors) -> None:
        bad = {"type": "unheard of", "userId": "u", "messageId": "bad"}
        assert [await some.send(number, 0, bad) for number in (0, 1)] == [HTTPStatus.OK] * 2
        ends = {one: end for one, (_, end) in (await some.log.bounds(Stream.REJECTED)).items()}
        assert sorted(ends.values()) == [0, 0, 1, 1]
        assert [one.message_id for one in await some.each[0].rejected()] == ["bad", "bad"]

    collecting(test, partitions=4, each=1, count=2)


def test_one_alone_takes_all_and_a_second_one_waits_for_it() -> None:
    async def test(some: Collectors) -> None:
        assert some.held() == [[0, 1, 2], []]
        await some.end(0)
        await some.runtime.sleep(1)
        assert some.held() == [[], [0, 1, 2]]

    collecting(test, partitions=3, each=None, count=2)


def test_less_than_its_share_is_enough() -> None:
    async def test(some: Collectors) -> None:
        assert some.held() == [[0, 1], [2]]
        assert [await some.send(number, 0) for number in (0, 1)] == [HTTPStatus.OK] * 2

    collecting(test, partitions=3, each=2, count=2)


@given(st.text(), st.integers(1, 64))
def test_what_a_sender_sends_again_goes_to_the_same_partition(user_id: str, count: int) -> None:
    def event(message_id: str) -> Event:
        return Event(
            type="track",
            message_id=message_id,
            source="web",
            timestamp=1,
            received_at=1,
            user_id=user_id or None,
        )

    place = place_of(event("1"), count)
    assert 0 <= place < count
    assert place == place_of(event("2"), count)


@pytest.mark.parametrize("count", [2, 7])
def test_all_partitions_of_a_share_are_used(count: int) -> None:
    async def test(some: Collectors) -> None:
        assert await some.send(0, 0) is HTTPStatus.OK
        bounds = await some.log.bounds(Stream.EVENTS)
        assert all(end for _, end in bounds.values())

    collecting(test, partitions=count, each=count, count=1)


def test_a_log_that_is_one_process_s_own_cannot_be_shared() -> None:
    settings = Settings(event_log={"adapter": "memory"}, partitions=2, collector=Collector(partitions=1))
    wiring = wire(settings)
    log = MemoryEventLog(MemoryLogSettings(partitions=2), wiring.runtime)
    definitions = CurrentDefinitions(cast("DefinitionStore", None), {}, wiring.runtime)
    with pytest.raises(BadSettings, match=r"leave collector\.partitions out, or keep the log in postgres, kafka"):
        wiring.collect(log, definitions, lambda _: False)
