"""The demo's player, against a real server on a loopback port that fails as collectors and networks fail."""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from obverse.adapters.runtime.system import SystemRuntime
from obverse.apps.demo import player
from obverse.apps.demo.player import Played, PlayError, Retries, play

pytestmark = pytest.mark.service

Answer = Callable[[web.Request], web.StreamResponse]

KEY = "wk_demo"


class Collector:
    """Answers as it was told to, one answer a request, and 200 when it was told nothing more."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.accepted: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.url = ""
        self.silences = 0
        self.end = asyncio.Event()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = await request.read()
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            if self.silences:
                self.silences -= 1
                await self.end.wait()
            if self.answers:
                return self.answers.pop(0)(request)
            self.accepted += msgspec.json.decode(body)["batch"]
            return web.json_response({"success": True})
        finally:
            self.in_flight -= 1


class HastyRuntime(SystemRuntime):
    """Sleeps take no time but are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(1)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(0)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/batch", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    collector.end.set()
    await runner.cleanup()


@pytest.fixture
def runtime() -> HastyRuntime:
    return HastyRuntime()


def told(count: int, *, note: str = "") -> list[dict[str, Any]]:
    return [
        {
            "type": "track",
            "event": "Order Completed",
            "userId": "1",
            "timestamp": f"2010-12-{1 + place // 100:02d}T08:26:00.000+00:00",
            "properties": {"revenue": Decimal("15.10"), "note": note},
            "messageId": f"demo-{place:06d}",
        }
        for place in range(count)
    ]


def status(code: int, **headers: str) -> Answer:
    body = {"success": False, "code": "overloaded", "message": "the log cannot be written; send again"}
    return lambda _: web.json_response(
        body, status=code, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


def cut(request: web.Request) -> web.StreamResponse:
    """The line goes dead before an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def play_all(
    collector: Collector, runtime: HastyRuntime, events: Sequence[dict[str, Any]], **options: Any
) -> Played:
    return await play(collector.url, KEY, events, total=len(events), runtime=runtime, **options)


def ids(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["messageId"] for event in events]


async def test_everything_arrives_in_order_in_batches_of_100_one_at_a_time(
    collector: Collector, runtime: HastyRuntime
) -> None:
    events = told(250)
    played = await play_all(collector, runtime, events)
    assert played.events_accepted == 250
    assert played.seconds > 0
    assert ids(collector.accepted) == ids(events)
    assert [len(msgspec.json.decode(body)["batch"]) for body in collector.bodies] == [100, 100, 50]
    assert collector.most_in_flight == 1
    assert runtime.slept == []


async def test_a_request_looks_as_a_segment_clients(collector: Collector, runtime: HastyRuntime) -> None:
    await play_all(collector, runtime, told(1))
    headers = collector.headers[0]
    assert headers["Authorization"] == f"Basic {b64encode(b'wk_demo:').decode()}"
    assert headers["Content-Type"] == "application/json"
    assert "X-Retry-Count" not in headers
    body = msgspec.json.decode(collector.bodies[0])
    assert set(body) == {"batch", "writeKey"}
    assert body["writeKey"] == KEY
    assert b'"revenue":15.10,' in collector.bodies[0]


async def test_what_fails_on_the_way_is_sent_again_unchanged(collector: Collector, runtime: HastyRuntime) -> None:
    events = told(200)
    collector.answers = [status(503), cut, status(500), status(429, Retry_After="7")]
    played = await play_all(collector, runtime, events)
    assert played.events_accepted == 200
    assert len(collector.bodies) == 6
    assert len(set(collector.bodies[:5])) == 1
    assert collector.bodies[5] != collector.bodies[4]
    assert ids(collector.accepted) == ids(events)
    assert [headers.get("X-Retry-Count") for headers in collector.headers] == [None, "1", "2", "3", "4", None]
    backing_off, asked_for = runtime.slept[:3], runtime.slept[3]
    assert all(wait / 2 <= slept <= wait for wait, slept in zip((0.1, 0.2, 0.4), backing_off, strict=True))
    assert asked_for == 7.0


async def test_a_refusal_in_the_middle_stops_the_play_and_says_what_the_server_said(
    collector: Collector, runtime: HastyRuntime
) -> None:
    error = {"success": False, "code": "batch_too_large", "message": "the request has 501 KB: send less"}
    accept: Answer = lambda _: web.json_response({"success": True})  # noqa: E731 - one line reads better
    collector.answers = [accept, lambda _: web.json_response(error, status=400)]
    with pytest.raises(PlayError) as stopped:
        await play_all(collector, runtime, told(300))
    assert "400 batch_too_large: the request has 501 KB: send less" in str(stopped.value)
    assert "100 events were accepted before" in str(stopped.value)
    assert collector.url in str(stopped.value)
    assert len(collector.bodies) == 2


@pytest.mark.parametrize("code", [201, 204, 301, 401, 404, 408, 413])
async def test_only_200_is_accepted(collector: Collector, runtime: HastyRuntime, code: int) -> None:
    collector.answers = [lambda _: web.Response(status=code, headers={"Location": "/elsewhere"})]
    with pytest.raises(PlayError, match=str(code)):
        await play_all(collector, runtime, told(1))
    assert len(collector.bodies) == 1


async def test_an_answer_that_is_no_json_is_told_as_it_is(collector: Collector, runtime: HastyRuntime) -> None:
    collector.answers = [lambda _: web.Response(status=404, text="<h1>not\nhere</h1>")]
    with pytest.raises(PlayError, match="404 <h1>not here</h1>"):
        await play_all(collector, runtime, told(1))


async def test_a_collector_that_never_recovers_is_given_up_loudly(collector: Collector, runtime: HastyRuntime) -> None:
    collector.answers = [status(503) for _ in range(3)]
    # Waits are not slept here, so only one that reaches beyond the limit by itself can end the play.
    with pytest.raises(PlayError) as stopped:
        await play_all(collector, runtime, told(1), retries=Retries(first=1, longest=100, limit=3))
    assert "503 overloaded: the log cannot be written; send again" in str(stopped.value)
    assert "0 events were accepted before" in str(stopped.value)
    assert len(collector.bodies) == 3


async def test_nobody_at_the_address_is_tried_again(runtime: HastyRuntime) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # ours, so that nobody else listens there, and neither do we
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(PlayError, match="ClientConnectorError"):
            await play(
                url,
                KEY,
                told(1),
                total=1,
                runtime=runtime,
                retries=Retries(first=1, longest=100, limit=3),
            )
    assert len(runtime.slept) >= 1


async def test_a_silent_collector_is_tried_again(collector: Collector, runtime: HastyRuntime) -> None:
    collector.silences = 1
    played = await play_all(collector, runtime, told(1), retries=Retries(answer=0.1))
    assert played.events_accepted == 1
    assert len(runtime.slept) == 1
    assert len(set(collector.bodies)) == 1
    assert len(collector.bodies) == 2


@pytest.mark.parametrize("url", ["localhost:8030", "", "ftp://localhost", "http://"])
async def test_an_address_that_is_none_is_told_at_once(runtime: HastyRuntime, url: str) -> None:
    with pytest.raises(PlayError, match="is no address of a collector"):
        await play(url, KEY, told(1), total=1, runtime=runtime)
    assert runtime.slept == []


async def test_no_body_is_over_the_limit(collector: Collector, runtime: HastyRuntime) -> None:
    events = told(100, note="x" * 30_000)
    await play_all(collector, runtime, events)
    assert ids(collector.accepted) == ids(events)
    sizes = [len(body) for body in collector.bodies]
    assert max(sizes) <= player.MOST_BYTES
    assert len(sizes) == 7  # fifteen of these events fit into one body


async def test_an_event_that_the_collector_would_reject_stops_the_play(
    collector: Collector, runtime: HastyRuntime
) -> None:
    with pytest.raises(PlayError, match="'demo-000000' has 32,"):
        await play_all(collector, runtime, told(1, note="x" * 32_700))
    assert collector.bodies == []


async def test_progress_follows_the_answers(collector: Collector, runtime: HastyRuntime) -> None:
    seen: list[tuple[int, int, date]] = []
    await play_all(collector, runtime, told(250), progress=lambda sent, total, day: seen.append((sent, total, day)))
    assert seen == [
        (100, 250, date(2010, 12, 1)),
        (200, 250, date(2010, 12, 2)),
        (250, 250, date(2010, 12, 3)),
    ]


async def test_a_given_session_stays_open(collector: Collector, runtime: HastyRuntime) -> None:
    async with aiohttp.ClientSession() as session:
        await play_all(collector, runtime, told(1), session=session)
        await play_all(collector, runtime, told(1), session=session)
        assert not session.closed


async def test_nothing_to_play_asks_nothing(collector: Collector, runtime: HastyRuntime) -> None:
    assert (await play_all(collector, runtime, [])).events_accepted == 0
    assert collector.bodies == []


def test_waits_double_up_to_the_longest_and_never_overflow() -> None:
    retries = Retries(first=0.1, longest=2.0)
    assert [retries.wait(failures, 1.0) for failures in (1, 2, 3, 6, 10_000)] == [0.1, 0.2, 0.4, 2.0, 2.0]
    assert retries.wait(10_000, 0.0) == 1.0
