"""The collector's door for CRMs: what they call back with is believed if it is signed, and becomes events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from door_steps import Door, shut_door
from obverse.adapters.memory.crm import SIGNATURE, MemoryAccount
from obverse.adapters.runtime.system import open_runtime
from obverse.core.definitions import define
from obverse.core.outgoing import Connection, MappedField
from obverse.flows.collect import Collect
from obverse.ports.outcomes import Unreachable

MOST = 600 * 1024
SUCCESS = b'{"success":true}'
DEFINITIONS = define(
    connections=[
        Connection(
            name="crm",
            crm="memory",
            fields=(MappedField(field="firstname", subject="attribute", name="first_name", direction="both"),),
        )
    ],
)
ACCOUNT = MemoryAccount()


@pytest.fixture
async def shut() -> AsyncIterator[tuple[Collect, Door]]:
    """A collector that has not opened its log yet."""
    async with shut_door(DEFINITIONS, ACCOUNT) as both:
        yield both


@pytest.fixture
async def door(shut: tuple[Collect, Door]) -> Door:
    """A collector that takes events."""
    collect, door = shut
    await collect.open()
    return door


def called(**fields: str) -> tuple[bytes, dict[str, str]]:
    """A callback that tells of a contact which was changed, and its headers."""
    ACCOUNT.contacts["7"] = {"email": "ada@example.com"}
    callback = ACCOUNT.edit("7", fields, open_runtime().now())
    return callback.body, dict(callback.headers)


async def test_an_edit_in_a_crm_is_an_event_of_that_connection(door: Door) -> None:
    body, headers = called(firstname="Ada")

    reply = await door.post(body, "/webhooks/crm/crm", **headers)

    assert (reply.status, reply.body) == (200, SUCCESS)
    ((event,), rejected) = await door.kept()
    assert (event.source, event.type, event.properties, rejected) == ("crm", "identify", b'{"first_name":"Ada"}', [])
    assert msgspec.json.decode(event.context)["traits"] == {"email": "ada@example.com"}


@pytest.mark.parametrize(
    ("call", "headers", "status", "told"),
    [
        ("POST crm", {SIGNATURE: "1.00"}, 401, "five minutes"),
        ("POST crm", {}, 401, "signature"),
        ("POST nobody", {}, 404, "there are crm"),
        ("POST ", {}, 404, "there are crm"),
        ("GET crm", {}, 405, "use POST"),
    ],
)
async def test_a_callback_that_is_not_believed_changes_nothing(
    door: Door, call: str, headers: dict[str, str], status: int, told: str
) -> None:
    method, _, connection = call.partition(" ")
    body, _ = called(firstname="Ada")

    reply = await door.ask(method, f"/webhooks/crm/{connection}", [body], **headers)

    assert reply is not None
    assert reply.status == status
    assert told in reply.json["message"]
    assert await door.kept() == ([], [])


async def test_a_callback_that_cannot_be_read_says_why(door: Door) -> None:
    callback = ACCOUNT.call(b"[{", open_runtime().now())

    reply = await door.post(callback.body, "/webhooks/crm/crm", **callback.headers)

    assert (reply.status, reply.json["code"]) == (400, "bad_callback")


async def test_a_callback_has_a_size(door: Door) -> None:
    reply = await door.post(b" " * (MOST + 1), "/webhooks/crm/crm")

    assert (reply.status, reply.json["code"]) == (413, "too_large")


async def test_a_callback_is_asked_again_while_the_log_or_the_crm_is_away(shut: tuple[Collect, Door]) -> None:
    _, closed = shut
    body, headers = called(firstname="Ada")
    assert (await closed.post(body, "/webhooks/crm/crm", **headers)).status == 503

    ACCOUNT.trouble = Unreachable("gone")
    try:
        reply = await closed.post(body, "/webhooks/crm/crm", **headers)
    finally:
        ACCOUNT.trouble = None

    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
