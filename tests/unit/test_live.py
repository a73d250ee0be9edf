"""What comes in is shown as it comes in: once read for all who look, filtered, and gone on with after a break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, cast

import aiohttp
import msgspec
import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.runtime.system import open_runtime
from obverse.core import codec
from obverse.core.events import RejectedEvent
from obverse.flows.live import KEPT, PORTION, BadPosition, Filter, Live, Portion
from obverse.ports.event_log import Batch, EventLog, Reader, Records, Stream
from obverse.ports.outcomes import Unreachable
from reading import NOON, Shop, identify, track
from serving import serving

ALL = Filter()
PATIENCE = 10.0


def a_rejected(number: int = 0) -> RejectedEvent:
    return RejectedEvent(
        source="till",
        received_at=NOON + number,
        code="missing_id",
        reason="$.userId: missing",
        message_id="r-1",
        type="track",
        body=b"{}",
    )


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        yield opened


@pytest.fixture
async def live(shop: Shop) -> AsyncIterator[Live]:
    opened = Live(shop.faulty_log, open_runtime())
    yield opened
    await opened.close()


@pytest.fixture
async def api(shop: Shop, live: Live) -> App:
    return build_api(shop, live=live)


async def refuse_one(shop: Shop) -> None:
    appender = await shop.log.open_appender(Stream.REJECTED)
    await appender.append(0, Records(1, codec.encode([a_rejected()])))
    await appender.close()


async def following(portions: AsyncIterator[Portion], ids: list[str]) -> Portion:
    """Read on until all of these came; returns the last portion."""
    seen: list[str] = []
    async with asyncio.timeout(PATIENCE):
        async for portion in portions:
            seen += [event.id for event in portion.events]
            if len(seen) >= len(ids):
                assert seen == ids
                return portion
    raise AssertionError(f"it ended after {seen}")


async def test_the_latest_come_first_taken_or_refused(api: App, shop: Shop) -> None:
    await refuse_one(shop)

    events = (await ask(api, "/v1/events")).json["events"]

    assert [one["id"] for one in events] == ["0:2", "0:1", "0:0", "rejected:0"]
    assert [one["event_type"] for one in events] == ["Order Completed", "identify", "Order Completed", "track"]
    assert events[-1]["rejected"] == {"code": "missing_id", "reason": "$.userId: missing"}
    assert events[0]["rejected"] is None
    assert events[0]["properties"] == {"revenue": Decimal("1000.20"), "sku": "A0"}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("type=identify", ["0:1"]),
        ("source=till", ["rejected:0"]),
        ("source=nobody", []),
        ("q=ORDER", ["0:2", "0:0"]),
        ("q=a-1", ["0:1", "0:0"]),
        ("q=m-2&type=track", ["0:2"]),
        ("q=m-2&type=page", []),
        ("limit=1", ["0:2"]),
    ],
)
async def test_events_are_filtered(api: App, shop: Shop, query: str, ids: list[str]) -> None:
    await refuse_one(shop)

    assert [one["id"] for one in (await ask(api, f"/v1/events?{query}")).json["events"]] == ids


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", f"q={'x' * 201}"])
async def test_what_cannot_be_asked(api: App, query: str) -> None:
    assert is_problem(await ask(api, f"/v1/events?{query}"), 400, "invalid-parameter")


async def test_what_comes_in_is_told_to_everybody_who_looks(shop: Shop, live: Live) -> None:
    one, two = live.follow(ALL), live.follow(Filter(type="identify"))
    async with aclosing(one), aclosing(two):  # type: ignore[type-var]
        assert (await anext(one)).events == (await anext(two)).events == []
        await shop.fold(track(7, "1", user_id="x"), identify(8, "{}", user_id="x"))

        await following(one, ["0:3", "0:4"])
        await following(two, ["0:4"])
    assert shop.faulty_log.asked.count("open_reader") == 2, "a stream each, whoever looks"


async def test_a_stream_goes_on_where_another_ended_in_any_process(shop: Shop, live: Live) -> None:
    async with aclosing(live.follow(ALL)) as portions:  # type: ignore[type-var]
        position = (await anext(portions)).position
    await refuse_one(shop)
    await shop.fold(track(7, "1", user_id="x"))

    other = Live(shop.log, open_runtime())
    async with aclosing(other.follow(ALL, after=position)) as portions:  # type: ignore[type-var]
        last = await following(portions, ["rejected:0", "0:3"])
        await shop.fold(track(8, "1", user_id="x"))
        await following(portions, ["0:4"])
    async with aclosing(other.follow(ALL, after=last.position)) as portions:  # type: ignore[type-var]
        await following(portions, ["0:4"])
    await other.close()


async def test_what_comes_too_fast_is_counted(shop: Shop, live: Live) -> None:
    async with aclosing(live.follow(ALL)) as portions:  # type: ignore[type-var]
        await anext(portions)
        events = [track(number % 60, "1", user_id="x") for number in range(3 * KEPT)]
        await shop.appender.append(0, Records(len(events), codec.encode(events)))

        told = skipped = 0
        async with asyncio.timeout(PATIENCE):
            async for portion in portions:
                told, skipped = told + len(portion.events), skipped + portion.skipped
                if portion.events:
                    break
    assert told == PORTION
    assert portion.events[-1].id == f"0:{2 + len(events)}"
    assert skipped == len(events) - PORTION


async def test_while_nothing_comes_it_says_so(live: Live) -> None:
    async with aclosing(live.follow(ALL, ping=0.01)) as portions:  # type: ignore[type-var]
        for _ in range(3):
            portion = await anext(portions)
            assert (portion.events, portion.skipped) == ([], 0)


@pytest.mark.parametrize("after", ["x", "0", "0:", "0:1,", "a:1", "0:1;1:2", "-1:2", "0:" + "9" * 30, " "])
async def test_a_place_that_is_none(api: App, live: Live, after: str) -> None:
    with pytest.raises(BadPosition):
        await anext(live.follow(ALL, after=after))
    answer = await ask(api, "/v1/events/live", headers={"Last-Event-ID": after.strip() or "?"})
    assert is_problem(answer, 400, "invalid-parameter")
    assert "Last-Event-ID" in answer.json["detail"]


async def test_while_the_log_is_away_and_after(api: App, shop: Shop) -> None:
    shop.faulty_log.failure = Unreachable("no log")
    for path in ("/v1/events", "/v1/events/live"):
        assert is_problem(await ask(api, path), 503, "unavailable")

    shop.faulty_log.failure = None
    assert len((await ask(api, "/v1/events")).json["events"]) == 3


class LogThatGoes:
    """A log that can be away, also for those who read it already."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.away = asyncio.Event()

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        if self.away.is_set():
            raise Unreachable("no log")
        return await self._log.bounds(stream)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        return ReaderThatGoes(await self._log.open_reader(stream, marks), self.away)


class ReaderThatGoes:
    def __init__(self, reader: Reader, away: asyncio.Event) -> None:
        self._reader = reader
        self._away = away

    async def next(self) -> Sequence[Batch]:
        reading, going = asyncio.ensure_future(self._reader.next()), asyncio.ensure_future(self._away.wait())
        await asyncio.wait([reading, going], return_when=asyncio.FIRST_COMPLETED)
        going.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        raise Unreachable("no log")

    async def close(self) -> None:
        await self._reader.close()


async def test_a_log_that_goes_away_ends_the_stream_and_the_next_look_begins_anew(shop: Shop) -> None:
    log = LogThatGoes(shop.log)
    live = Live(cast("EventLog", log), open_runtime())
    async with aclosing(live.follow(ALL)) as portions:  # type: ignore[type-var]
        await anext(portions)
        log.away.set()
        with pytest.raises(Unreachable):
            await anext(portions)
    with pytest.raises(Unreachable):
        await live.latest(ALL, limit=5)

    log.away.clear()
    assert len((await live.latest(ALL, limit=5)).events) == 3
    await live.close()


async def test_the_end_ends_what_is_followed(live: Live) -> None:
    async with aclosing(live.follow(ALL)) as portions:  # type: ignore[type-var]
        await anext(portions)
        stop = asyncio.Event()
        ending = asyncio.create_task(live.end_at(stop))
        stop.set()

        async with asyncio.timeout(PATIENCE):
            assert [portion async for portion in portions] == []
        await ending


async def test_the_stream_over_http(api: App, shop: Shop) -> None:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    pretty = identify(7, '{\r\n"a":\n1}', user_id="x")
    async with serving(api) as url, aiohttp.ClientSession(timeout=timeout) as http:
        async with http.head(f"{url}/v1/events/live") as head:
            assert head.status == 200
        async with http.get(f"{url}/v1/events/live?type=identify") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            assert await answer.content.readuntil(b"\n\n") == b": still here\n\n"
            await shop.fold(track(6, "1", user_id="x"), pretty)
            told = _message(await answer.content.readuntil(b"\n\n"))
    assert told["event"] == "events"
    assert told["id"] == "0:5,rejected:0"
    ((event,),) = [msgspec.json.decode(told["data"])]
    assert (event["id"], event["properties"]) == ("0:4", {"a": 1})


def _message(block: bytes) -> dict[str, str]:
    """As browsers read it."""
    told: dict[str, Any] = {}
    for line in block.decode().splitlines():
        name, _, value = line.partition(": ")
        told[name] = f"{told[name]}\n{value}" if name in told else value
    return {name: value for name, value in told.items() if name}


async def test_those_that_several_collectors_refused_are_told_apart_and_gone_on_from() -> None:
    log = MemoryEventLog(MemoryLogSettings(partitions=3), open_runtime())
    appender = await log.open_appender(Stream.REJECTED)
    for number, partition in enumerate((0, 2)):
        await appender.append(partition, Records(1, codec.encode([a_rejected(number * 1_000_000)])))
    live = Live(log, open_runtime())
    events = (await live.latest(ALL, limit=10)).events
    assert [one.id for one in events] == ["rejected-2:0", "rejected:0"]
    async with aclosing(live.follow(ALL)) as portions:  # type: ignore[type-var]
        position = (await anext(portions)).position
    assert position == "0:0,1:0,2:0,rejected:1,rejected-1:0,rejected-2:1"
    await appender.append(2, Records(1, codec.encode([a_rejected(2)])))
    async with aclosing(live.follow(ALL, after=position)) as portions:  # type: ignore[type-var]
        await following(portions, ["rejected-2:1"])
    await live.close()
