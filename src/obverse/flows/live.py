"""Live: what comes in, as it comes in, for people who look on."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
import structlog
from msgspec import Meta, Raw

from obverse.core import codec, times
from obverse.core.events import Event, RejectedEvent
from obverse.flows.views import Time
from obverse.ports.event_log import Batch, EventLog, LogGap, Stream, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime, Work

KEPT: Final = 1000
"""Events that are held for whoever comes to look, at most."""
KEPT_BYTES: Final = 8 << 20
PORTION: Final = 200
"""Events that one portion tells, at most: more nobody reads. It says how many it leaves out."""
PACE: Final = 0.1
"""Seconds between two portions, at least."""
PATIENCE: Final = 2.0
"""Seconds that the first reader waits for what came in before."""
IDLE: Final = 60.0
"""Seconds after the last reader that the log is not read any longer."""
_READ: Final = 500
"""Records of one batch that are decoded, the latest of it: a flood must not cost more than can be shown."""

_decoders: Final[Mapping[Stream, codec.Decoder[Any]]] = {
    Stream.EVENTS: codec.Decoder(Event),
    Stream.REJECTED: codec.Decoder(RejectedEvent),
}
_log = structlog.get_logger(__name__)


class Rejection(msgspec.Struct, frozen=True):
    """Why an event was refused."""

    code: Annotated[str, Meta(description="What was wrong, as a word.", examples=["missing_id"])]
    reason: Annotated[str, Meta(description="What was wrong, where, and what to do.")]


class LiveEventView(msgspec.Struct, frozen=True, kw_only=True):
    """An event that came in, taken or refused."""

    id: Annotated[
        str,
        Meta(
            description="Its place in the log: `partition:offset`; of rejected events `rejected:offset`, "
            "or `rejected-partition:offset`."
        ),
    ]
    type: Annotated[str | None, Meta(description="The call; null if what was sent names none.")]
    event_type: Annotated[str | None, Meta(description="A track's event name, else the call.")]
    name: Annotated[str | None, Meta(description="A track's event name, a page's or screen's name.")]
    message_id: str | None
    source: str
    timestamp: Annotated[str, Meta(description="When it happened, corrected for the sender's clock.")]
    received_at: Time
    user_id: str | None
    anonymous_id: str | None
    properties: Annotated[Raw, Meta(description="As sent.")]
    rejected: Annotated[Rejection | None, Meta(description="Null for an event that was taken.")]


class LiveEventsView(msgspec.Struct, frozen=True):
    """The latest events, the latest first."""

    events: list[LiveEventView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are looked at; None or an empty text: all."""

    source: str | None = None
    type: str | None = None
    text: str = ""
    """Found in the event's name, its ids or its person's, in any case."""

    def passes(self, event: LiveEventView) -> bool:
        """Whether the event is looked at."""
        if self.source and event.source != self.source:
            return False
        if self.type and event.type != self.type:
            return False
        sought = self.text.strip().lower()
        words = (event.event_type, event.user_id, event.anonymous_id, event.message_id)
        return not sought or any(sought in word.lower() for word in words if word)


@dataclass(frozen=True, slots=True)
class Portion:
    """What came in since the portion before."""

    events: list[LiveEventView]
    """The earliest first."""
    skipped: int
    """Events that came too fast to be told."""
    position: str
    """Where to go on, in any process of ours."""


class BadPosition(ValueError):
    """A text that is no `Portion.position`."""


@dataclass(slots=True)
class _Seen:
    number: int
    place: tuple[str, int]
    event: LiveEventView
    size: int


@dataclass(slots=True)
class _Tail:
    """The end of the log, as far as it is held here."""

    held: deque[_Seen] = field(default_factory=deque)
    bytes: int = 0
    last: int = 0
    """Number of what was seen last, from 1."""
    ends: dict[str, int] = field(default_factory=dict)
    """By partition, the offset that comes next."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    works: list[Work] = field(default_factory=list)
    failure: Exception | None = None

    def add(self, partition: str, offset: int, event: LiveEventView) -> None:
        self.last += 1
        size = 500 + len(bytes(event.properties))
        self.held.append(_Seen(self.last, (partition, offset), event, size))
        self.bytes += size
        while len(self.held) > KEPT or self.bytes > KEPT_BYTES:
            self.bytes -= self.held.popleft().size

    def wake(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()

    def position(self) -> str:
        return ",".join(f"{partition}:{end}" for partition, end in sorted(self.ends.items()))


class Live:
    """Reads the end of the log while somebody looks, once for all who do."""

    def __init__(self, log: EventLog, runtime: Runtime) -> None:
        self._log = log
        self._runtime = runtime
        self._ended = False
        self._tail: _Tail | None = None
        self._opening = asyncio.Lock()
        self._readers = 0
        self._resting: Work | None = None

    async def latest(self, wanted: Filter, *, limit: int) -> LiveEventsView:
        """
        Return the latest events, of the last thousand.

        Raises:
            Unreachable, AccessRefused: the log cannot be read.
        """
        async with AsyncExitStack() as stack:
            tail = await self._look(stack)
            passed = [seen.event for seen in reversed(tail.held) if wanted.passes(seen.event)]
            return LiveEventsView(passed[:limit])

    async def follow(self, wanted: Filter, *, after: str = "", ping: float = 10.0) -> AsyncIterator[Portion]:
        """
        Give what comes in, and an empty portion after `ping` seconds without any.

        `after` is where an earlier stream ended, of this process or another; what came since comes first.

        Raises:
            BadPosition: `after` is no position.
            Unreachable, AccessRefused: the log cannot be read.
        """
        marks = _marks(after)
        async with AsyncExitStack() as stack:
            tail = await self._look(stack)
            told = tail.last if not after else 0
            missed = 0
            yield Portion([], 0, tail.position())
            while not self._ended:
                news, position, fresh = tail.news, tail.position(), []
                unseen = [seen for seen in tail.held if seen.number > told]
                if told:
                    missed += tail.last - told - len(unseen)
                for seen in unseen:
                    partition, offset = seen.place
                    if offset >= marks.get(partition, 0) and wanted.passes(seen.event):
                        fresh.append(seen.event)
                told = tail.last
                if fresh or missed:
                    shown = fresh[-PORTION:]
                    yield Portion(shown, missed + len(fresh) - len(shown), position)
                    missed = 0
                    await self._runtime.sleep(PACE)
                if tail.failure is not None:
                    raise tail.failure
                try:
                    async with asyncio.timeout(ping):
                        await news.wait()
                except TimeoutError:
                    yield Portion([], 0, tail.position())

    async def _look(self, stack: AsyncExitStack) -> _Tail:
        """The tail, read on until the stack ends and a while longer."""
        self._readers += 1
        stack.push_async_callback(self._look_away)
        async with self._opening:
            resting, self._resting = self._resting, None
            if resting is not None:
                await resting.stop()
            if self._tail is None or self._tail.failure is not None:
                await self._drop()
                self._tail = await self._open()
            if self._tail.failure is not None:
                raise self._tail.failure
            return self._tail

    async def _look_away(self) -> None:
        self._readers -= 1
        if self._readers == 0 and self._resting is None and not self._ended:
            self._resting = self._runtime.spawn("rest from looking on", self._rest())

    async def _rest(self) -> None:
        await self._runtime.sleep(IDLE)
        async with self._opening:
            if self._readers == 0:
                self._resting = None
                await self._drop()

    async def _open(self) -> _Tail:
        tail = _Tail()
        ends: dict[str, int] = {}
        for stream, bounds in {stream: await self._log.bounds(stream) for stream in _decoders}.items():
            kept = KEPT // len(bounds) if stream is Stream.EVENTS else KEPT // 10
            marks = {partition: max(first, end - kept) for partition, (first, end) in bounds.items()}
            ends |= {_name(stream, partition): end for partition, (_, end) in bounds.items()}
            tail.ends |= {_name(stream, partition): mark for partition, mark in marks.items()}
            tail.works.append(self._runtime.spawn(f"look on {stream}", self._read(tail, stream, marks)))

        async def caught_up() -> None:
            while any(tail.ends[name] < end for name, end in ends.items()) and tail.failure is None:
                await tail.news.wait()

        try:
            async with asyncio.timeout(PATIENCE):
                await caught_up()
        except TimeoutError:
            pass  # what is there is shown, and the rest as it comes
        # They were read stream by stream, and are told in the order in which they came in.
        ordered = sorted(tail.held, key=lambda seen: seen.event.received_at)
        tail.held = deque(ordered)
        for number, seen in enumerate(ordered, tail.last - len(ordered) + 1):
            seen.number = number
        return tail

    async def _read(self, tail: _Tail, stream: Stream, marks: Mapping[int, int]) -> None:
        reader = None
        try:
            reader = await self._log.open_reader(stream, marks)
            while True:
                for batch in await reader.next():
                    _take(tail, stream, batch, marks.get(batch.partition, 0))
                tail.wake()
        except (Unreachable, AccessRefused) as error:
            tail.failure = error
        except (LogGap, UnknownMark) as error:
            tail.failure = Unreachable(f"the end of the log moved while it was read: {error}")
        finally:
            tail.wake()
            if reader is not None:
                await reader.close()

    async def _drop(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            for work in tail.works:
                await work.stop()
            tail.wake()

    async def end_at(self, stop: asyncio.Event) -> None:
        """Close when that is set: a stream that goes on would hold up the end of its process."""
        await stop.wait()
        await self.close()

    async def close(self) -> None:
        """Read no more, and end what is followed."""
        self._ended = True
        resting, self._resting = self._resting, None
        if resting is not None:
            await resting.stop()
        await self._drop()


def _take(tail: _Tail, stream: Stream, batch: Batch, mark: int) -> None:
    name = _name(stream, batch.partition)
    tail.ends[name] = batch.end
    if batch.damage:
        return  # whoever folds it tells
    try:
        records = _decoders[stream].decode(batch.count, batch.body)
    except codec.UnreadableRecord as error:
        _log.warning("records of another release are not shown", stream=str(stream), reason=str(error))
        return
    shown = list(enumerate(records, batch.first))[-_READ:]
    tail.last += len(records) - len(shown)  # counted as missed
    for offset, record in shown:
        if offset >= mark:
            tail.add(name, offset, _view(f"{name}:{offset}", record))


def _name(stream: Stream, partition: int) -> str:
    if stream is Stream.EVENTS:
        return str(partition)
    return f"{stream}-{partition}" if partition else str(stream)


def _view(place: str, record: Any) -> LiveEventView:
    if isinstance(record, RejectedEvent):
        at = times.to_text(record.received_at)
        return LiveEventView(
            id=place,
            type=record.type,
            event_type=record.type,
            name=None,
            message_id=record.message_id,
            source=record.source,
            timestamp=at,
            received_at=at,
            user_id=None,
            anonymous_id=None,
            properties=Raw(b"{}"),
            rejected=Rejection(record.code, record.reason),
        )
    event: Event = record
    return LiveEventView(
        id=place,
        type=event.type,
        event_type=event.event_type,
        name=event.name,
        message_id=event.message_id,
        source=event.source,
        timestamp=times.to_text(event.timestamp),
        received_at=times.to_text(event.received_at),
        user_id=event.user_id,
        anonymous_id=event.anonymous_id,
        properties=Raw(event.properties),
        rejected=None,
    )


_PLACE: Final = r"(\d{1,4}|rejected(-\d{1,4})?):\d{1,19}"
_POSITION: Final = re.compile(rf"{_PLACE}(,{_PLACE}){{0,2200}}")


def _marks(position: str) -> dict[str, int]:
    if not position:
        return {}
    if _POSITION.fullmatch(position) is None:
        raise BadPosition(f"{position[:80]!r} is no place in the log: give the `id` of a message of an earlier stream")
    return {name: int(end) for name, end in (part.split(":") for part in position.split(","))}
