"""Who is turned away at the gate: answered at once, whole, and without the app; and who is let in after all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from door_steps import KEY, Door, basic, hash_key, shut_door
from obverse.apps.http_door import Joined, Rounds
from obverse.core.definitions import Source, define
from obverse.flows.collect import Collect
from obverse.flows.intake import Intake
from serving import serving
from wire_steps import GOOD, batch

DEFINITIONS = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])
BODY = batch(GOOD)


def head(*more: str, path: str = "/v1/batch", method: str = "POST", size: int | None = len(BODY)) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {basic(KEY)}", *more]
    if size is not None:
        lines.append(f"Content-Length: {size}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@dataclass(slots=True)
class Caller:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, *parts: bytes) -> tuple[int, bytes, bytes]:
        """Status, headers and body of the answer."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
        async with asyncio.timeout(20):
            told = await self.reader.readuntil(b"\r\n\r\n")
            size = int(told.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(told.split()[1]), told, await self.reader.readexactly(size)

    async def flood(self, some: bytes) -> None:
        """Send it again and again, until nobody takes it any more."""
        while True:
            self.writer.write(some)
            await self.writer.drain()

    async def ended(self) -> bool:
        async with asyncio.timeout(20):
            return await self.reader.read() == b""


@dataclass(slots=True)
class Place:
    """A collector with a gate, and somebody who asks it."""

    collect: Collect
    door: Door
    caller: Caller
    url: str

    @property
    def intake(self) -> Intake:
        return self.collect.intake

    def crowd(self) -> int:
        """As many wait as would take a minute."""
        return self.intake.whole(1 << 40)


async def connect(url: str) -> Caller:
    place = urlsplit(url)
    return Caller(*await asyncio.open_connection(place.hostname, place.port))


@asynccontextmanager
async def gated() -> AsyncIterator[Place]:
    async with shut_door(DEFINITIONS) as (collect, door), serving(door.app, gate=door.app) as url:
        await collect.open()
        caller = await connect(url)
        try:
            yield Place(collect, door, caller, url)
        finally:
            caller.writer.close()


async def test_in_a_crowd_one_is_told_to_come_again_and_may_on_the_same_connection() -> None:
    async with gated() as place:
        crowd = place.crowd()
        for _ in range(3):
            status, headers, body = await place.caller.ask(head(), BODY)
            assert status == 429
            assert b"\r\nretry-after: 1\r\n" in headers
            assert b"\r\naccess-control-allow-origin: *\r\n" in headers
            told = msgspec.json.decode(body)
            assert (told["success"], told["code"]) == (False, "overloaded")
            assert "Retry-After" in told["message"]
        place.intake.begun(crowd)
        assert (await place.caller.ask(head(), BODY))[0] == 200
        assert len((await place.door.kept())[0]) == 1
        assert place.intake.whole_bytes == 0
        told = (await place.door.get("/metrics")).body.decode()
        assert 'obverse_collector_requests_total{status="429"} 3.0' in told
        assert 'obverse_collector_requests_total{status="200"} 1.0' in told


@pytest.mark.parametrize("sent", [BODY + b" " * 300_000, b" " * 10_000_000])
async def test_the_body_of_one_who_was_turned_away_is_passed_over(sent: bytes) -> None:
    async with gated() as place:
        crowd = place.crowd()
        assert (await place.caller.ask(head(size=len(sent)), sent))[0] == 429
        place.intake.begun(crowd)
        assert (await place.caller.ask(head(), BODY))[0] == 200
        assert len((await place.door.kept())[0]) == 1


async def test_a_body_in_chunks_is_passed_over_too() -> None:
    async with gated() as place:
        crowd = place.crowd()
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
        status, _, _ = await place.caller.ask(head("Transfer-Encoding: chunked", size=None), chunks)
        assert status == 429
        place.intake.begun(crowd)
        assert (await place.caller.ask(head("Transfer-Encoding: chunked", size=None), chunks))[0] == 200
        assert len((await place.door.kept())[0]) == 1


async def test_a_connection_that_was_to_be_closed_is() -> None:
    async with gated() as place:
        place.crowd()
        assert (await place.caller.ask(head("Connection: close"), BODY))[0] == 429
        assert await place.caller.ended()


async def test_who_only_looks_is_let_in() -> None:
    async with gated() as place:
        place.crowd()
        for path in ("/ready", f"/v1/projects/{KEY}/settings"):
            assert (await place.caller.ask(head(path=path, method="GET", size=None)))[0] == 200


async def test_who_asks_before_it_sends_its_body_is_not_kept_waiting() -> None:
    async with gated() as place:
        place.crowd()
        # The app refuses nothing for the crowd once it is asked, but has room; so this one is let in.
        place.caller.writer.write(head("Expect: 100-continue"))
        assert (await place.caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        assert (await place.caller.ask(BODY))[0] == 200


@pytest.mark.parametrize("path", ["/v1/nowhere", "/ready", "/webhooks/crm/none", "/v1/pixel/track", "/v1/batch"])
@pytest.mark.parametrize("size", [10, 600_000, 1_500_000])
async def test_what_is_never_read_does_not_wait_for_ever(path: str, size: int) -> None:
    async with gated() as place:
        body = b" " * size
        if path in {"/v1/batch", "/webhooks/crm/none"}:
            await place.caller.ask(head(path=path, size=size), body)
        else:  # it is answered before its body comes
            await place.caller.ask(head(path=path, size=size))
            place.caller.writer.write(body)
        for _ in range(3):
            status, _, _ = await place.caller.ask(head(), BODY)
            assert status == 200
        assert place.intake.whole_bytes == 0


async def test_who_asks_on_and_takes_no_answer_is_let_go() -> None:
    async with gated() as place:
        place.crowd()
        place.caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        some = head(size=0) * 5000
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError):
                await place.caller.flood(some)


@pytest.mark.parametrize("crowded", [True, False])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_last_answer_of_a_connection_says_so(version: str, *, crowded: bool) -> None:
    async with gated() as place:
        if crowded:
            place.crowd()
        asked = head(*(["Connection: close"] if version == "1.1" else [])).replace(
            b"HTTP/1.1", f"HTTP/{version}".encode()
        )
        status, told, _ = await place.caller.ask(asked, BODY)
        assert status == (429 if crowded else 200)
        assert b"\r\nconnection: close\r\n" in told
        assert await place.caller.ended()


async def test_of_those_who_leave_nothing_is_left() -> None:
    async with gated() as place:
        first = head() + BODY
        for sent in (first + first + first, head() + BODY[:10], first + head() + BODY[:10]):
            caller = await connect(place.url)
            caller.writer.write(sent)
            await caller.writer.drain()
            caller.writer.transport.abort()
        while True:  # until the server has seen all three
            assert (await place.caller.ask(head(), BODY))[0] == 200
            if not place.intake.whole_bytes and not place.intake.reading_bytes:
                break


async def test_one_who_sends_on_before_it_is_answered_is_answered_in_turn() -> None:
    async with gated() as place:
        place.caller.writer.write((head() + BODY) * 3)
        assert [(await place.caller.ask())[0] for _ in range(3)] == [200, 200, 200]
        assert place.intake.whole_bytes == 0


@pytest.mark.parametrize("cut", [0, 30, 90])
async def test_an_offer_of_another_protocol_is_passed_over(cut: int) -> None:
    """As Java's HttpClient makes it with each request that is not encrypted."""
    async with gated() as place:
        offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")
        whole = head(*offer) + BODY
        for parts in ((whole,), (whole[:cut], whole[cut:])):
            status, _, _ = await place.caller.ask(*parts)
            assert status == 200
        body = batch({**GOOD, "properties": {"a": "\r\nUpgrade: h2c"}})
        assert (await place.caller.ask(head(size=len(body)), body))[0] == 200
        events, rejected = await place.door.kept()
        assert (len(events), rejected) == (3, [])
        assert b"Upgrade: h2c" in events[-1].properties


class Recorded(asyncio.Transport):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[bytes, ...] | str] = []

    def write(self, data: Any) -> None:
        self.calls.append((bytes(data),))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.calls.append(tuple(map(bytes, list_of_data)))

    def close(self) -> None:
        self.calls.append("close")


async def test_the_head_of_an_answer_goes_out_with_its_body_and_never_after_it() -> None:
    transport = Recorded()
    joined = Joined(transport, asyncio.get_running_loop())

    for part in (b"head", b"body", b"head of another", b""):
        joined.write(part)
    joined.write(b"head alone")
    await asyncio.sleep(0)
    joined.write(b"last")
    joined.close()

    assert transport.calls == [(b"head", b"body"), (b"head of another", b""), (b"head alone",), (b"last",), "close"]


class Loop:
    """Comes round when it is told to."""

    def __init__(self) -> None:
        self.now, self.ready = 100.0, list[Callable[[], None]]()

    def round(self, seconds: float) -> None:
        self.now += seconds
        ready, self.ready = self.ready, []
        for one in ready:
            one()


def test_how_long_nobody_looked_is_told_by_two_rounds_while_something_comes() -> None:
    loop = Loop()
    rounds = Rounds(lambda turn: loop.ready.append(turn), lambda: loop.now)  # noqa: PLW0108 - `ready` is another list after each round

    def comes(*took: float) -> list[float]:
        told = []
        for seconds in took:
            rounds.note()
            loop.round(seconds)
            told.append(round(rounds.waited, 6))
        return told

    assert comes(0.001, 0.002, 0.05, 0.001) == [0, 0.001, 0.002, 0.001], "one long round is no crowd"
    assert comes(0.03, 0.04, 0.02) == [0.001, 0.03, 0.02]
    loop.round(0.5)
    assert (rounds.waited, loop.ready) == (0, []), "nothing has come, so nobody turns for nothing"
    assert comes(0.03) == [0]
