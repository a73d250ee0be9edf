"""Collect answers by the contract's table, and only what it answered 200 for is in the log, all of it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import pytest

from collect_steps import APP, OLD, UNKNOWN, WEB, Installation, collecting, hash_key, source
from obverse.adapters.memory.event_log import MemoryEventLog
from obverse.core import codec
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.flows.answers import SOON
from obverse.flows.share import place_of
from obverse.ports.event_log import Stream
from wire_steps import GOOD, batch

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


UNREADABLE = [
    (b"{no json", None, "invalid_json"),
    (b'{"a":NaN}', "track", "invalid_json"),
    (b'{"a":"' + b"x" * 33_000 + b'"}', "track", "event_too_large"),
    (b'{"batch":["' + b"x" * 520_000 + b'"]}', None, "batch_too_large"),
]


@pytest.mark.parametrize(("body", "call", "code"), UNREADABLE)
def test_the_key_in_a_body_that_cannot_be_read_counts_too(body: bytes, call: str | None, code: str) -> None:
    async def test(one: Installation) -> None:
        for key, status, name in (
            (b"key of web", HTTPStatus.BAD_REQUEST, code),
            (b"key of nobody", HTTPStatus.UNAUTHORIZED, "invalid_write_key"),
            (b"key of old", HTTPStatus.NOT_FOUND, "source_disabled"),
        ):
            answer = await one.take(b'{"writeKey" : "' + key + b'",' + body[1:], call=call)
            assert (answer.status, answer.code) == (status, name)
        (rejected,) = await one.rejected()
        assert (rejected.code, rejected.source, len(rejected.body) <= 1024) == (code, "web", True)

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


def test_of_very_many_items_all_are_kept_in_pieces_that_a_log_takes() -> None:
    async def test(one: Installation) -> None:
        answer = await one.take(batch(*[b'""'] * 25_000), WEB)
        assert (answer.status, len(answer.rejected)) == (HTTPStatus.OK, 25_000)
        pieces = await one.batches(Stream.REJECTED)
        assert [piece.count for piece in pieces] == [10_000, 10_000, 5_000]
        assert await one.rejected() == list(answer.rejected)

    collecting(test)


def test_a_log_that_cannot_be_written_is_told_and_nothing_kept() -> None:
    async def test(one: Installation) -> None:
        assert not one.collect.ready
        for body in (batch(GOOD), batch({"a": 1}), b"no json"):
            answer = await one.take(body, WEB)
            assert (answer.status, answer.code) == (HTTPStatus.SERVICE_UNAVAILABLE, "log_unavailable")
            assert answer.retry_after == SOON
            assert "Retry-After" in answer.message
        assert one.collect.intake.waiting_bytes == 0
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
        assert one.collect.intake.waiting_bytes == 0

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
        assert one.collect.intake.waiting_bytes == 0
        assert (await one.take(body, WEB)).status is HTTPStatus.OK

    collecting(test, queue_bytes=3 * len(body))


def test_a_disk_that_is_nearly_full_takes_nothing_until_there_is_room() -> None:
    said: list[str | None] = ["the disk has 3 MiB left: free some"]

    async def test(one: Installation) -> None:
        for body in (batch(GOOD), b"{"):
            refused = await one.take(body, WEB)
            assert (refused.status, refused.code, refused.retry_after) == (507, "disk_full", SOON)
            assert "free some; nothing was accepted" in refused.message
        assert await one.events() == []
        said[0] = None
        assert (await one.take(batch(GOOD), WEB)).status is HTTPStatus.OK
        assert len(await one.events()) == 1

    collecting(test, obstacle=lambda: said[0])


# What is appended.


def test_a_good_answer_is_given_only_when_all_is_in_the_log() -> None:
    async def test(one: Installation) -> None:
        work = asyncio.ensure_future(one.take(batch(GOOD, {"a": 1}), WEB))
        while not work.done():
            assert one.collect.intake.waiting_bytes >= 0
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
                assert part.partition == place_of(event, 4)
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
        assert one.collect.intake.waiting_bytes == 0

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
