"""Collect answers by the contract's table, and only what it answered 200 for is in the log, all of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from itertools import permutations
from typing import Any
from zlib import crc32

import msgspec
import pytest

from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import codec
from obverse.core.definitions import Definitions, Source, define
from obverse.core.events import Event, RejectedEvent
from obverse.flows.collect import SOON, Answer, Collect, Request, partition_of
from obverse.ports.event_log import Appender, Batch, EventLog, Reader, Records, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime
from wire_steps import GOOD, batch


def hash_key(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def source(name: str, *, enabled: bool = True) -> Source:
    return Source(name, enabled, frozenset({hash_key(f"key of {name}")}))


DEFINITIONS = define(sources=[source("web"), source("app"), source("old", enabled=False)])
WEB, APP, OLD, UNKNOWN = (hash_key(f"key of {name}") for name in ("web", "app", "old", "nobody"))


class Installation:
    """A collector over a log in memory."""

    def __init__(self, runtime: Runtime, log: EventLog, **options: Any) -> None:
        self.runtime, self.log, self.definitions = runtime, log, DEFINITIONS
        self.collect = Collect(log=log, definitions=self.current, runtime=runtime, hash_key=hash_key, **options)

    def current(self) -> Definitions:
        return self.definitions

    async def take(self, body: Any, *keys: str, call: str | None = None) -> Answer:
        text = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.collect.take(Request(call=call, body=text, key_hashes=keys))

    async def batches(self, stream: Stream) -> list[Batch]:
        """Return what the log holds of a stream."""
        bounds = await self.log.bounds(stream)
        reader = await self.log.open_reader(stream, dict.fromkeys(bounds, 0))
        found: list[Batch] = []
        while sum(batch.count for batch in found) < sum(end for _, end in bounds.values()):
            found += await reader.next()
        await reader.close()
        return found

    async def events(self) -> list[Event]:
        return [
            event
            for one in await self.batches(Stream.EVENTS)
            for event in codec.Decoder(Event).decode(one.count, one.body)
        ]

    async def rejected(self) -> list[RejectedEvent]:
        return [
            event
            for one in await self.batches(Stream.REJECTED)
            for event in codec.Decoder(RejectedEvent).decode(one.count, one.body)
        ]


Test = Callable[[Installation], Awaitable[None]]


def collecting(test: Test, *, partitions: int = 1, opened: bool = True, **options: Any) -> None:
    """Run a test over a collector in virtual time."""

    async def run(runtime: SimulatedRuntime) -> None:
        log = MemoryEventLog(MemoryLogSettings(partitions=partitions), runtime)
        installation = Installation(runtime, log, **options)
        if opened:
            await installation.collect.open()
        await test(installation)

    simulate(0, run)


# The table "What ours answers".


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        (batch(GOOD), []),
        (batch(GOOD), [UNKNOWN]),
        (batch(GOOD, writeKey="key of nobody"), []),
        (batch(GOOD, writeKey=5), []),
        (batch(GOOD, writeKey="key of web"), [UNKNOWN]),  # what the headers say counts
        (b"5", []),
        (b"no json", [UNKNOWN]),
    ],
)
def test_without_a_good_key_nothing_is_taken(body: bytes, keys: list[str]) -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(body, *keys)
        assert (answer.status, answer.code) == (HTTPStatus.UNAUTHORIZED, "invalid_write_key")
        assert "HTTP Basic" in answer.message
        assert "`writeKey` in the body" in answer.message
        assert (answer.source, answer.events, answer.rejected) == ("", (), ())
        assert (await one.events(), await one.rejected()) == ([], [])

    collecting(test)


@pytest.mark.parametrize(
    ("body", "keys"),
    [(batch(GOOD), [OLD]), (batch(GOOD, writeKey="key of old"), []), (b"no json", [OLD]), (b"[", [OLD])],
)
def test_a_disabled_source_is_told_so(body: bytes, keys: list[str]) -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(body, *keys)
        assert (answer.status, answer.code, answer.source) == (HTTPStatus.NOT_FOUND, "source_disabled", "old")
        assert "'old' is disabled; set `enabled: true`" in answer.message
        assert (await one.events(), await one.rejected()) == ([], [])

    collecting(test)


@pytest.mark.parametrize(
    ("body", "call", "code"),
    [
        (b"no json", None, "invalid_json"),
        (b'{"a":NaN}', "track", "invalid_json"),
        (b'{"a":"\xff"}', None, "invalid_json"),
        (b'{"a":"' + b"x" * 33_000 + b'"}', "track", "event_too_large"),
        (b'{"batch":["' + b"x" * 520_000 + b'"]}', None, "batch_too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_its_beginning_kept(body: bytes, call: str | None, code: str) -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(body, WEB, call=call)
        assert (answer.status, answer.code, answer.source) == (HTTPStatus.BAD_REQUEST, code, "web")
        (rejected,) = await one.rejected()
        assert (rejected.source, rejected.code, rejected.reason) == ("web", code, answer.message)
        assert rejected.body == body[:1024]
        assert rejected.received_at <= one.runtime.now()
        assert list(answer.rejected) == [rejected]
        assert await one.events() == []

    collecting(test)


def test_whose_an_unreadable_body_is_must_be_known_to_keep_it() -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(b"no json")
        assert (answer.status, answer.code) == (HTTPStatus.BAD_REQUEST, "invalid_json")
        assert await one.rejected() == []

    collecting(test)


@pytest.mark.parametrize("call", [None, "track"])
@pytest.mark.parametrize("item", [5, {"type": "track", "event": "E"}, {"type": "track", "userId": "u"}])
def test_json_that_is_no_event_is_accepted_and_rejected_later(item: Any, call: str | None) -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(item if call else batch(item), WEB, call=call)
        assert answer.status is HTTPStatus.OK
        assert await one.events() == []
        assert list(answer.rejected) == await one.rejected() != []
        assert [row["index"] for row in answer.report] == [0]

    collecting(test)


def test_in_a_batch_good_items_are_accepted_and_bad_ones_kept() -> None:
    async def test(one: Installation) -> None:
        large = {**GOOD, "properties": {"x": "x" * 33_000}}
        answer = await one.take(batch(GOOD, large, {**GOOD, "messageId": "m2"}, {"a": 1}), WEB)
        assert answer.status is HTTPStatus.OK
        assert [event.message_id for event in await one.events()] == ["m1", "m2"]
        assert [event.code for event in await one.rejected()] == ["event_too_large", "unknown_type"]
        assert [row["index"] for row in answer.report] == [1, 3]
        assert len((await one.rejected())[0].body) == 1024

    collecting(test)


def test_beyond_2500_items_the_rest_is_kept_as_rejected() -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(batch(*[{"type": "page", "userId": "u"}] * 2502), WEB)
        assert (answer.status, len(answer.events), len(answer.rejected)) == (HTTPStatus.OK, 2500, 2)
        assert len(await one.events()) == 2500
        assert {event.code for event in await one.rejected()} == {"too_many_items"}

    collecting(test)


def test_a_log_that_cannot_be_written_is_told_and_nothing_kept() -> None:
    async def test(one: Installation) -> None:
        assert not one.collect.ready
        for body in (batch(GOOD), batch({"a": 1}), b"no json"):
            answer = await one.take(body, WEB)
            assert (answer.status, answer.code) == (HTTPStatus.SERVICE_UNAVAILABLE, "log_unavailable")
            assert answer.retry_after == SOON
            assert "Retry-After" in answer.message
        assert one.collect.waiting_bytes == 0
        assert (await one.events(), await one.rejected()) == ([], [])

    collecting(test, opened=False)


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_log_that_is_lost_is_told(partitions: int) -> None:
    async def test(one: Installation) -> None:
        assert isinstance(one.log, MemoryEventLog)
        one.log.crash()
        many = [{**GOOD, "userId": f"u{number}"} for number in range(20)]
        for body in (batch(*many), batch({"a": 1}), b"no json"):
            answer = await one.take(body, WEB)
            assert (answer.status, answer.code) == (HTTPStatus.SERVICE_UNAVAILABLE, "log_unavailable")
        assert one.collect.waiting_bytes == 0

    collecting(test, partitions=partitions)


def test_more_than_the_queue_takes_is_told_to_wait() -> None:
    body = batch(*[{**GOOD, "properties": {"x": "x" * 1000}}] * 20)

    async def test(one: Installation) -> None:
        answers = await asyncio.gather(*(one.take(body, WEB) for _ in range(5)))
        assert [answer.status for answer in answers].count(HTTPStatus.OK) == 3
        refused = [answer for answer in answers if answer.status is not HTTPStatus.OK]
        assert {(answer.status, answer.code, answer.retry_after) for answer in refused} == {
            (HTTPStatus.TOO_MANY_REQUESTS, "overloaded", SOON)
        }
        assert len(await one.events()) == 60
        assert one.collect.waiting_bytes == 0
        assert (await one.take(body, WEB)).status is HTTPStatus.OK

    collecting(test, queue_bytes=3 * len(body))


# What is appended.


def test_a_good_answer_is_given_only_when_all_is_in_the_log() -> None:
    async def test(one: Installation) -> None:
        work = asyncio.ensure_future(one.take(batch(GOOD, {"a": 1}), WEB))
        while not work.done():
            assert one.collect.waiting_bytes >= 0
            await asyncio.sleep(0)
        assert work.result().status is HTTPStatus.OK
        assert (len(await one.events()), len(await one.rejected())) == (1, 1)

    collecting(test)


def test_the_source_is_that_of_the_key_and_the_time_that_of_arrival() -> None:
    async def test(one: Installation) -> None:
        before = one.runtime.now()
        for body, keys in (
            (batch(GOOD), [APP]),
            (batch(GOOD, writeKey="key of web"), []),
            (batch(GOOD), [UNKNOWN, WEB]),
        ):
            answer = await one.take(body, *keys)
            assert answer.status is HTTPStatus.OK
        events = await one.events()
        assert [event.source for event in events] == ["app", "web", "web"]
        assert all(before <= event.received_at <= one.runtime.now() for event in events)

    collecting(test)


def test_a_source_that_is_added_or_disabled_counts_from_then_on() -> None:
    async def test(one: Installation) -> None:
        new = hash_key("key of new")
        assert (await one.take(batch(GOOD), new)).status is HTTPStatus.UNAUTHORIZED
        one.definitions = define(sources=[source("new")])
        assert (await one.take(batch(GOOD), new)).status is HTTPStatus.OK
        assert (await one.take(batch(GOOD), WEB)).status is HTTPStatus.UNAUTHORIZED
        one.definitions = define(sources=[source("new", enabled=False)])
        assert (await one.take(batch(GOOD), new)).status is HTTPStatus.NOT_FOUND

    collecting(test)


def test_message_ids_that_are_missing_are_made_and_all_differ() -> None:
    async def test(one: Installation) -> None:
        await one.take(batch(*[{"type": "page", "userId": "u"}] * 50), WEB)
        await one.take({"userId": "u"}, WEB, call="page")
        ids = [event.message_id for event in await one.events()]
        assert len(set(ids)) == 51
        assert all(one.startswith("obverse-") and len(one) < 100 for one in ids)

    collecting(test)


def test_what_is_known_of_one_person_goes_to_one_partition_in_its_order() -> None:
    people = [f"u{number}" for number in range(40)]
    items = [
        {"type": "page", "userId": person, "messageId": f"{turn}-{person}"} for turn in range(3) for person in people
    ]
    items += [{"type": "page", "anonymousId": person, "messageId": f"3-{person}"} for person in people]

    async def test(one: Installation) -> None:
        assert (await one.take(batch(*items), WEB)).status is HTTPStatus.OK
        found: dict[str, list[tuple[int, str]]] = {}
        for part in await one.batches(Stream.EVENTS):
            for event in codec.Decoder(Event).decode(part.count, part.body):
                person = event.user_id or event.anonymous_id
                assert person is not None
                assert part.partition == partition_of(event, 4)
                found.setdefault(person, []).append((part.partition, event.message_id))
        assert found.keys() == set(people)
        for person, seen in found.items():
            assert len({partition for partition, _ in seen}) == 1
            assert [message for _, message in seen] == [f"{turn}-{person}" for turn in range(4)]
        assert {partition for seen in found.values() for partition, _ in seen} == {0, 1, 2, 3}

    collecting(test, partitions=4)


def test_requests_that_overlap_are_all_taken_whole() -> None:
    async def test(one: Installation) -> None:
        bodies = [
            batch(*[{"type": "page", "userId": f"u{n}", "messageId": f"{request}-{n}"} for n in range(7)], {"bad": 1})
            for request in range(30)
        ]
        answers = await asyncio.gather(*(one.take(body, WEB) for body in bodies))
        assert {answer.status for answer in answers} == {HTTPStatus.OK}
        assert {event.message_id for event in await one.events()} == {f"{r}-{n}" for r in range(30) for n in range(7)}
        assert (len(await one.events()), len(await one.rejected())) == (210, 30)
        assert one.collect.waiting_bytes == 0

    collecting(test, partitions=3)


def test_closing_lets_the_next_collector_in() -> None:
    async def test(one: Installation) -> None:
        following = Installation(one.runtime, one.log)
        opening = one.runtime.spawn("open", following.collect.open())
        assert (await one.take(batch(GOOD), WEB)).status is HTTPStatus.OK
        assert not following.collect.ready
        await one.collect.close()
        await opening.wait()
        assert following.collect.ready
        assert (await following.take(batch(GOOD), WEB)).status is HTTPStatus.OK
        assert (await one.take(batch(GOOD), WEB)).status is HTTPStatus.SERVICE_UNAVAILABLE

    collecting(test)


# A log of which only a part fails.


class HalfLog:
    """A log that is away for a while, and then takes nothing in odd partitions."""

    partitions = 4

    def __init__(self, runtime: Runtime, away: int) -> None:
        self.whole = MemoryEventLog(MemoryLogSettings(partitions=4), runtime)
        self.away = away

    async def open_appender(self, stream: Stream, partitions: Sequence[int] | None = None) -> Appender:
        if self.away:
            self.away -= 1
            raise Unreachable("away", after=0.3)
        whole = await self.whole.open_appender(stream, partitions)
        return whole if stream is Stream.REJECTED else HalfAppender(whole)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        return await self.whole.open_reader(stream, marks)

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        return await self.whole.bounds(stream)

    async def trim(self, before: int) -> None:
        await self.whole.trim(before)

    async def close(self) -> None:
        await self.whole.close()


class HalfAppender:
    def __init__(self, whole: Appender) -> None:
        self._whole = whole

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
        assert one.collect.waiting_bytes == 0
        assert await one.rejected() == []

    simulate(0, run)
    gc.collect()
    assert left == []
