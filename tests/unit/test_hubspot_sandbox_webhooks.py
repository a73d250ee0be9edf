"""Webhooks: what they tell, how they are signed, repeated, disordered and sent again."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hubspot_steps import CONTACTS, START, Account, Clock, account
from obverse.sandboxes.hubspot.signatures import sign_v1, sign_v3
from obverse.sandboxes.hubspot.webhooks import DELAYS

pytestmark = pytest.mark.service

QUIET: dict[str, Any] = {"repeats": 0.0, "disorder": 0.0}


@dataclass
class Receiver:
    """Takes webhooks, and answers as it is told."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """What the next requests are answered with; then 204."""

    silent: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def batches(self) -> list[list[dict[str, Any]]]:
        return [json.loads(body) for _, body in self.requests]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch]

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        if self.silent:
            await self.over.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    taking = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", taking.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    taking.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks?of=%C3%A9%2F%20x"
    yield taking
    taking.over.set()
    await runner.cleanup()


async def send_due(hubspot: Account, *, seconds: float = 1.0, patience: float = 5.0) -> bool:
    """Let time pass, and send once what is due then."""
    hubspot.clock.now += seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience)) as http:
        return await hubspot.sandbox.courier.send_due(http)


async def test_a_creation_over_the_api_is_told_with_its_properties(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        number = await hubspot.create(email="a@b.co", firstname="A")
        await send_due(hubspot)
        (batch,) = receiver.batches
        common = {
            "portalId": 62515,
            "appId": 54321,
            "occurredAt": 1700000000000,
            "attemptNumber": 0,
            "objectId": int(number),
            "changeSource": "INTEGRATION",
            "sourceId": "54321",
        }
        assert all(isinstance(event.pop("eventId"), int) for event in batch)
        subscriptions = {event.pop("subscriptionId") for event in batch}
        assert len(subscriptions) == 3
        changed = {"subscriptionType": "contact.propertyChange", "isSensitive": False, **common}
        assert batch == [
            {"subscriptionType": "contact.creation", "changeFlag": "CREATED", **common},
            {**changed, "propertyName": "email", "propertyValue": "a@b.co"},
            {**changed, "propertyName": "firstname", "propertyValue": "A"},
        ]


async def test_an_edit_by_a_person_says_so(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        number = await hubspot.create(firstname="A")
        await send_due(hubspot)
        receiver.requests.clear()
        await hubspot.ask("PUT", f"/sandbox/contacts/{number}", {"properties": {"firstname": "B", "lastname": ""}})
        await send_due(hubspot)
        (event,) = receiver.events
        assert (event["propertyName"], event["propertyValue"]) == ("firstname", "B")
        assert (event["changeSource"], event["sourceId"]) == ("CRM_UI", "userId:2024")


async def test_archiving_and_erasing_are_told(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        first, second = [await hubspot.create(email=f"{name}@b.co") for name in "ab"]
        await hubspot.ask("DELETE", f"{CONTACTS}/{first}")
        await hubspot.ask("POST", f"{CONTACTS}/gdpr-delete", {"objectId": second})
        await send_due(hubspot)
        told = [(event["subscriptionType"], event["objectId"]) for event in receiver.events if "changeFlag" in event]
        assert told[2:] == [
            ("contact.deletion", int(first)),
            ("contact.deletion", int(second)),
            ("contact.privacyDeletion", int(second)),
        ]


async def test_what_was_refused_is_not_told(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        body = {"inputs": [{"properties": {"email": "a@b.co"}}, {"properties": {"email": "nope"}}]}
        assert (await hubspot.ask("POST", f"{CONTACTS}/batch/create", body)).status == 400
        assert not await send_due(hubspot)


async def test_requests_are_signed_for_the_address_they_go_to(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        await hubspot.create(firstname="é")
        await send_due(hubspot)
        ((headers, body),) = receiver.requests
        assert headers["Content-Type"] == "application/json"
        assert headers["X-HubSpot-Request-Timestamp"] == str(int((START + 1) * 1000))
        said = (receiver.url, body, headers["X-HubSpot-Request-Timestamp"])
        assert headers["X-HubSpot-Signature-v3"] == sign_v3("secret", "POST", *said)
        assert headers["X-HubSpot-Signature-Version"] == "v1"
        assert headers["X-HubSpot-Signature"] == sign_v1("secret", body)


async def test_a_request_holds_a_hundred_events_at_most(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        inputs = [{"properties": {"firstname": str(at), "lastname": "L"}} for at in range(100)]
        await hubspot.ask("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})
        assert (await hubspot.figures())["webhooks_waiting"] == 300
        await send_due(hubspot)
        assert [len(batch) for batch in receiver.batches] == [100, 100, 100]
        figures = await hubspot.figures()
        assert (figures["webhooks_sent"], figures["webhooks_waiting"]) == (300, 0)


async def test_events_gather_before_they_are_sent(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, webhook_delay=2.0, **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        assert not await send_due(hubspot, seconds=1.9)
        await hubspot.create(firstname="B")
        assert await send_due(hubspot, seconds=0.1)
        assert len(receiver.events) == 2
        assert await send_due(hubspot, seconds=1.9)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
async def test_what_is_not_taken_is_sent_again(tmp_path: Path, receiver: Receiver, status: int) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        receiver.statuses = [status]
        await send_due(hubspot)
        assert len(receiver.requests) == 1
        assert not await send_due(hubspot, seconds=0.8 * DELAYS[0] - 2)
        assert await send_due(hubspot, seconds=0.2 * DELAYS[0] + 2)
        first, second = receiver.batches
        assert [event["attemptNumber"] for event in second] == [1, 1]
        assert [{**event, "attemptNumber": 0} for event in second] == first
        assert not await send_due(hubspot, seconds=86_400)


async def test_no_answer_is_no_answer(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        receiver.silent = True
        await send_due(hubspot, patience=0.05)
        assert (await hubspot.figures())["webhooks_waiting"] == 2
        receiver.silent = False
        await send_due(hubspot, seconds=DELAYS[0])
        assert (await hubspot.figures())["webhooks_waiting"] == 0


async def test_ten_tries_more_within_a_day_and_then_no_more(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        receiver.statuses = [500] * 100
        await send_due(hubspot)
        while (due := await hubspot.sandbox._inside(hubspot.sandbox._store.next_due)) is not None:
            hubspot.clock.now = due
            await send_due(hubspot, seconds=0)
        # Each event has its own delays.
        attempts = [event["attemptNumber"] for event in receiver.events if "propertyName" in event]
        assert attempts == list(range(11))
        assert hubspot.clock.now - START < 86_400
        assert (await hubspot.figures())["webhooks_sent"] == 0


async def test_retries_can_be_made_quick(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url=receiver.url, retry_scale=0.001, **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        receiver.statuses = [500]
        await send_due(hubspot)
        assert await send_due(hubspot, seconds=0.06)


async def test_the_queue_survives_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    clock = Clock()
    async with account(tmp_path, clock, webhook_url=receiver.url, **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        receiver.statuses = [500]
        await send_due(hubspot)
    async with account(tmp_path, clock, webhook_url=receiver.url, **QUIET) as hubspot:
        assert await send_due(hubspot, seconds=60)
        assert [event["attemptNumber"] for event in receiver.batches[1]] == [1, 1]


async def test_some_events_come_twice_and_some_late(tmp_path: Path, receiver: Receiver) -> None:
    async def sent(folder: Path) -> list[tuple[int, str]]:
        receiver.requests.clear()
        async with account(folder, webhook_url=receiver.url, repeats=0.2, disorder=0.2, seed=7) as hubspot:
            for at in range(50):
                await hubspot.create(firstname=str(at))
                await send_due(hubspot, seconds=0.05)
            while await send_due(hubspot, seconds=0.1):
                pass
            await send_due(hubspot, seconds=10)
            return [(event["objectId"], event["subscriptionType"]) for event in receiver.events]

    first = await sent(tmp_path / "first")
    assert len(set(first)) == 100
    assert 105 < len(first) < 145
    once = list(dict.fromkeys(first))
    assert once != sorted(once, key=lambda one: one[0])
    # The same seed misbehaves in the same way.
    assert await sent(tmp_path / "second") == first


async def test_a_target_is_set_at_run_time_and_kept(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, webhook_url="http://127.0.0.1:1/", **QUIET) as hubspot:
        assert (await hubspot.ask("PUT", "/sandbox/webhooks", {"url": receiver.url})).json == {"url": receiver.url}
    async with account(tmp_path, webhook_url="http://127.0.0.1:1/", **QUIET) as hubspot:
        await hubspot.create(firstname="A")
        await send_due(hubspot)
        assert len(receiver.events) == 2
        await hubspot.ask("PUT", "/sandbox/webhooks", {"url": None})
        await hubspot.create(firstname="B")
        assert (await hubspot.figures())["webhooks_waiting"] == 0


async def test_an_edit_arrives_while_the_sender_runs(tmp_path: Path, receiver: Receiver) -> None:
    async with account(tmp_path, clock=time.time, webhook_url=receiver.url, **QUIET) as hubspot:  # type: ignore[arg-type]
        running = asyncio.create_task(hubspot.sandbox.run())
        await until(lambda: running.done() or hubspot.sandbox.courier._target is not None)
        await hubspot.create(firstname="A")
        began = time.monotonic()
        await until(lambda: len(receiver.events) == 2)
        assert time.monotonic() - began < 1
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


SERVE = """
import asyncio, sys
from pathlib import Path
import uvicorn
from obverse.sandboxes.hubspot import HubSpotSandboxSettings, open_hubspot_sandbox
async def serve():
    settings = HubSpotSandboxSettings(token="pat-test", client_secret="secret", webhook_url="http://127.0.0.1:1/")
    sandbox = await open_hubspot_sandbox(Path(sys.argv[1]), settings)
    server = uvicorn.Server(uvicorn.Config(sandbox.app, port=0, lifespan="off", log_level="warning"))
    starting = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await starting
asyncio.run(serve())
"""


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "hubspot"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    port = int(await asyncio.wait_for(process.stdout.readline(), 30))
    headers = {"Authorization": "Bearer pat-test"}
    created: list[str] = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
        for at in range(20):
            async with http.post(CONTACTS, json={"properties": {"email": f"k{at}@b.co"}}) as answer:
                created.append((await answer.json())["id"])
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with account(folder) as hubspot:
        for at, number in enumerate(created):
            assert (await hubspot.properties(number, "email"))["email"] == f"k{at}@b.co"
        figures = await hubspot.figures()
        assert (figures["contacts"], figures["requests"], figures["webhooks_waiting"] >= 40) == (20, 40, True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
