"""A message is taken once, whatever its sender does, and it is told what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import Answer, App, ask
from obverse.adapters.memory.outbox import MemoryOutbox
from obverse.adapters.runtime.system import open_runtime
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import define
from obverse.core.messages import Message
from obverse.core.outgoing import Campaign, Template
from obverse.flows.messages import Messages
from obverse.ports.outbox import Remembered, Settled
from obverse.ports.outcomes import Unreachable

HELLO = Template(name="hello", subject="Hello {{ customer.name }}", sender="shop@example.com", text="Hello")
VIP = Audience("vip", parse({"op": "exists", "attribute": "plan"}))
BODY = {"template": "hello", "to": "bob@example.com", "data": {"b": 1, "a": 2.50}}


class OutboxOfATest(MemoryOutbox):
    """An outbox that fails when it is told to."""

    failure: Exception | None = None

    async def accept(self, message: Message | None, answer: Remembered | None) -> Remembered | None:
        if self.failure is not None and message is not None:
            raise self.failure
        return await super().accept(message, answer)


@dataclass
class Desk:
    app: App
    outbox: OutboxOfATest

    async def send(self, body: Any, key: str | None = None) -> Answer:
        sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {} if key is None else {"Idempotency-Key": key}
        return await ask(self.app, "/v1/messages", method="POST", headers=headers, body=sent)

    async def get(self, path: str) -> Answer:
        return await ask(self.app, f"/v1{path}")

    async def resolve(self, id_: str, body: Any) -> Answer:
        sent = msgspec.json.encode(body)
        return await ask(self.app, f"/v1/messages/{id_}/resolve", method="POST", body=sent)

    async def count(self) -> int:
        return len(await self.outbox.page(limit=100))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    runtime = open_runtime()
    outbox = OutboxOfATest(runtime)
    campaigns = [Campaign(name="welcome", audience="vip", template="hello")]
    definitions = define(audiences=[VIP], templates=[HELLO], campaigns=campaigns)
    async with open_api_shop() as shop:
        messages = Messages(outbox, shop.serve, lambda: definitions, runtime)
        yield Desk(build_api(shop, messages=messages), outbox)


async def test_a_message_is_queued_and_can_be_read(desk: Desk) -> None:
    answer = await desk.send(BODY)

    assert answer.status == 202
    told = answer.json
    assert (told["status"], told["to"], told["template"]) == ("queued", "bob@example.com", "hello")
    assert told["message_id"] == f"<{told['id']}@example.com>"
    assert (await desk.get(f"/messages/{told['id']}")).json == told
    assert (await desk.get("/messages?q=BOB@&status=queued")).json == {"messages": [told], "next": None}
    stored = await desk.outbox.page(limit=1)
    assert stored[0].data == b'{"b":1,"a":2.5}'


async def test_a_person_can_be_named_by_any_identifier(desk: Desk) -> None:
    told = (await desk.send({"template": "hello", "to": {"identifier": "user_id:ada"}})).json

    assert told["to"] == "ada@example.com"
    assert told["profile"] == (await desk.get("/profiles/user_id:ada")).json["id"]
    assert (await desk.send({"template": "hello", "to": "Ada@example.com"})).json["profile"] == told["profile"]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "cannot be read"),
        (b"[]", 400, "cannot be read"),
        (b"\xff", 400, "cannot be read"),
        (b"[" * 100_000, 400, "cannot be read"),
        (BODY | {"tamplate": "x"}, 400, "tamplate"),
        ({"template": "hello"}, 400, "to"),
        (BODY | {"data": [1]}, 400, "$.data"),
        (BODY | {"to": "nobody"}, 400, "to: 'nobody' is no address"),
        (BODY | {"to": "a@example.com\r\nBcc: b@example.com"}, 400, "is no address"),
        (BODY | {"to": {"identifier": "nokind"}}, 400, "kind:value"),
        (BODY | {"to": {"identifier": "user_id:nobody"}}, 404, "to.identifier"),
        (BODY | {"template": "helo"}, 404, "there are hello"),
        (BODY | {"data": {"x": "x" * 300_000}}, 413, "more than"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_its_place(desk: Desk, body: Any, status: int, told: str) -> None:
    answer = await desk.send(body, "key")

    assert answer.status == status
    assert told in answer.json["detail"]
    assert answer.json["remedy"]
    assert await desk.count() == 0
    assert (await desk.send(BODY, "key")).status == 202, "a key is free again when nothing was begun"


async def test_the_same_key_and_body_are_answered_as_the_first_time(desk: Desk) -> None:
    first = await desk.send(BODY, "key")
    again = await desk.send({**dict(reversed(BODY.items())), "data": {"a": 2.50, "b": 1}}, "key")

    assert "idempotent-replayed" not in first.headers
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert await desk.count() == 1


async def test_another_body_under_the_same_key_is_refused(desk: Desk) -> None:
    await desk.send(BODY, "key")

    answer = await desk.send(BODY | {"to": "eve@example.com"}, "key")

    assert is_problem(answer, 422, "idempotency-key-reused")
    assert await desk.count() == 1


async def test_of_two_at_once_one_is_told_to_wait(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.send(BODY, "key") for _ in range(5)))

    statuses = sorted(answer.status for answer in answers)
    assert statuses[0] == 202
    assert 409 in statuses
    refused = next(answer for answer in answers if answer.status == 409)
    assert is_problem(refused, 409, "request-in-flight")
    assert refused.headers["retry-after"] == "1"
    assert await desk.count() == 1


async def test_an_error_of_ours_is_answered_to_each_repetition(desk: Desk) -> None:
    desk.outbox.failure = RuntimeError("a fault of ours")
    first = await desk.send(BODY, "key")
    desk.outbox.failure = None
    again = await desk.send(BODY, "key")

    assert first.status == again.status == 500
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert await desk.count() == 0
    assert (await desk.send(BODY, "another")).status == 202


async def test_a_database_that_is_away_is_no_answer_to_remember(desk: Desk) -> None:
    desk.outbox.failure = Unreachable("away")
    assert is_problem(await desk.send(BODY, "key"), 503, "unavailable")
    desk.outbox.failure = None

    assert (await desk.send(BODY, "key")).status == 202


async def test_without_a_key_each_call_is_a_message(desk: Desk) -> None:
    for _ in range(3):
        assert (await desk.send(BODY)).status == 202

    assert await desk.count() == 3


async def test_a_key_that_was_forgotten_is_new(desk: Desk) -> None:
    await desk.send(BODY, "key")
    worker = await desk.outbox.open_worker()
    await worker.forget(2**60)

    assert "idempotent-replayed" not in (await desk.send(BODY, "key")).headers
    assert await desk.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "caf\xe9\x80"])
async def test_a_key_that_cannot_be_one_is_refused(desk: Desk, key: str) -> None:
    assert is_problem(await desk.send(BODY, key), 400, "invalid-message")
    assert (await desk.send(BODY, "x" * 255)).status == 202


async def test_a_doubt_is_listed_and_resolved_by_a_person(desk: Desk) -> None:
    ids = [(await desk.send(BODY)).json["id"] for _ in range(3)]
    worker = await desk.outbox.open_worker()
    for one in await worker.claim(limit=2, now=2**60):
        await worker.settle([Settled(id=one.id, status="unknown", reason="no answer")])

    doubts = (await desk.get("/messages?status=unknown")).json["messages"]
    assert [one["reason"] for one in doubts] == ["no answer"] * 2
    assert (await desk.resolve(doubts[0]["id"], {"as": "sent"})).json["status"] == "sent"
    assert (await desk.resolve(doubts[1]["id"], {"as": "resend"})).json["status"] == "queued"

    assert is_problem(await desk.resolve(doubts[0]["id"], {"as": "resend"}), 409, "no-doubt")
    (other,) = set(ids) - {one["id"] for one in doubts}
    assert is_problem(await desk.resolve(other, {"as": "sent"}), 409, "no-doubt")
    assert is_problem(await desk.resolve(other, {"as": "lost"}), 400, "invalid-body")
    assert is_problem(await desk.resolve("nothing", {"as": "sent"}), 404, "message-not-found")


async def test_campaigns_tell_what_became_of_their_messages(desk: Desk) -> None:
    assert (await desk.get("/campaigns")).json == {
        "campaigns": [
            {
                "name": "welcome",
                "trigger": "entered vip",
                "template": "hello",
                "queued": 0,
                "waiting": 0,
                "sending": 0,
                "sent": 0,
                "refused": 0,
                "unknown": 0,
            }
        ]
    }


async def test_messages_are_paged_and_bad_pages_refused(desk: Desk) -> None:
    ids = [(await desk.send(BODY)).json["id"] for _ in range(3)]

    first = (await desk.get("/messages?limit=2")).json
    second = (await desk.get(f"/messages?limit=2&after={first['next']}")).json

    assert {one["id"] for one in first["messages"] + second["messages"]} == set(ids)
    assert second["next"] is None
    beyond = f"after={10**18 - 1}.{bytes(16).hex()}"  # no calendar has this year
    for bad in ("after=x", "after=1.zz", beyond, "limit=0", "limit=501", "status=lost"):
        assert is_problem(await desk.get(f"/messages?{bad}"), 400, "invalid-parameter")
    for bad in ("x", "00000000-0000-0000-0000-000000000000"):
        assert is_problem(await desk.get(f"/messages/{bad}"), 404, "message-not-found")
