"""Collect: check the key, the limits and the shape of what an SDK sends, and append it; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from zlib import crc32

import structlog

from obverse.core import codec, wire
from obverse.core.definitions import Definitions, Source
from obverse.core.events import Event, RejectedEvent
from obverse.ports.event_log import Appender, EventLog, Records, Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime, Work

_REJECTED_AT_ONCE: Final = 10_000
"""Rejected events in one append: half a megabyte of empty items makes more of them than a log takes at once."""
_log = structlog.get_logger(__name__)

SOON: Final = 1
"""Seconds after which a sender whom we could not serve should try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call as it came, unpacked."""

    call: str | None
    """The type that the path names; None for a batch."""
    body: bytes
    key_hashes: Sequence[str] = ()
    """SHA-256 of the keys that the headers or the query carry, in hexadecimal, the best one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered, and what came of it."""

    status: HTTPStatus = HTTPStatus.OK
    code: str = ""
    """A word for programs; empty on success."""
    message: str = ""
    retry_after: int | None = None
    """Seconds."""
    source: str = ""
    events: Sequence[Event] = ()
    """What was accepted."""
    rejected: Sequence[RejectedEvent] = ()
    report: Sequence[Mapping[str, Any]] = field(default=())
    """The rejected events as their sender is told of them, if it asks."""


class Collect:
    """
    Answers 200 once the log says that everything is durable: the events, and the rejected events with their reasons.

    Never waits for profiles, and never for a log that is away: it says so, and the sender tries again.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        definitions: Callable[[], Definitions],
        runtime: Runtime,
        hash_key: Callable[[str], str],
        limits: wire.Limits | None = None,
        queue_bytes: int = 64 << 20,
    ) -> None:
        self._log = log
        self._definitions = definitions
        self._runtime = runtime
        self._hash_key = hash_key
        self._limits = limits or wire.Limits()
        self._queue_bytes = queue_bytes
        self._events: Appender | None = None
        self._rejected: Appender | None = None
        self.waiting_bytes = 0
        """Bytes of requests whose records are on their way into the log."""

    @property
    def ready(self) -> bool:
        """Whether the log can be written."""
        return self._events is not None and self._rejected is not None

    async def open(self) -> None:
        """Become the log's appender, waiting as long as it takes."""
        while not self.ready:
            try:
                self._events = self._events or await self._log.open_appender(Stream.EVENTS)
                self._rejected = self._rejected or await self._log.open_appender(Stream.REJECTED)
            except Unreachable as error:
                await self._runtime.sleep(min(error.after, SOON))
            except AccessRefused as error:
                _log.error("the log refuses us", reason=str(error))
                await self._runtime.sleep(SOON)

    async def close(self) -> None:
        """Finish what waits, and let the next collector in."""
        for appender in (self._events, self._rejected):
            if appender is not None:
                await appender.close()

    async def take(self, request: Request) -> Answer:
        """Answer one request, by the table "What ours answers" of the ingest contract."""
        found = self._source(request.key_hashes)
        if request.key_hashes and found is None:
            return _INVALID_KEY
        received_at = self._runtime.now()
        try:
            message = wire.open_body(request.body, batch=request.call is None, limits=self._limits)
        except wire.Unreadable as unreadable:
            return await self._refuse(request, unreadable, found, received_at)
        if found is None:
            found = self._source([self._hash_key(message.write_key)]) if message.write_key else None
        if found is None:
            return _INVALID_KEY
        if not found.enabled:
            return _disabled(found)
        reading = wire.read_events(
            message,
            call=request.call,
            source=found.name,
            received_at=received_at,
            new_id=self._new_id,
            limits=self._limits,
        )
        refusal = await self.append(reading.events, reading.rejected, len(request.body))
        return refusal or Answer(
            source=found.name,
            events=reading.events,
            rejected=reading.rejected,
            report=tuple(wire.rejections(reading)) if reading.rejected else (),
        )

    async def refuse(self, request: Request, unreadable: wire.Unreadable) -> Answer:
        """Answer a request whose body could not even be unpacked: as one that is no JSON."""
        found = self._source(request.key_hashes)
        if request.key_hashes and found is None:
            return _INVALID_KEY
        return await self._refuse(request, unreadable, found, self._runtime.now())

    def _source(self, key_hashes: Sequence[str]) -> Source | None:
        sources = self._definitions().source_of_key
        return next((sources[one] for one in key_hashes if one in sources), None)

    async def _refuse(
        self, request: Request, unreadable: wire.Unreadable, found: Source | None, received_at: int
    ) -> Answer:
        """Keep the beginning of an unreadable body, if we know whose it is, and say what is wrong with it."""
        if found is None:
            keys = wire.glimpsed_keys(request.body)
            found = self._source([self._hash_key(key) for key in keys])
            if keys and found is None:
                return _INVALID_KEY
        if found is not None and not found.enabled:
            return _disabled(found)
        kept: list[RejectedEvent] = []
        if found is not None:
            kept = [
                wire.rejected_whole(request.body, unreadable, source=found.name, received_at=received_at),
            ]
            refusal = await self.append((), kept, wire.SAMPLE)
            if refusal is not None:
                return refusal
        return Answer(
            status=HTTPStatus.BAD_REQUEST,
            code=unreadable.code,
            message=str(unreadable),
            source=found.name if found else "",
            rejected=kept,
        )

    async def append(self, events: Sequence[Event], rejected: Sequence[RejectedEvent], size: int) -> Answer | None:
        """Make all of it durable, `size` bytes as it came; the answer to give instead, if that cannot be done now."""
        if self._events is None or self._rejected is None:
            return _UNWRITABLE
        if self.waiting_bytes + size > self._queue_bytes:
            return _OVERLOADED
        self.waiting_bytes += size
        try:
            if events:
                await self._append_events(self._events, events)
            for at in range(0, len(rejected), _REJECTED_AT_ONCE):
                part = rejected[at : at + _REJECTED_AT_ONCE]
                await self._rejected.append(0, Records(len(part), codec.encode(part)))
        except Unreachable:
            # What of it is in the log is not known. The sender tries again with the same message ids, and
            # the window of message ids catches what comes twice.
            return _UNWRITABLE
        finally:
            self.waiting_bytes -= size
        return None

    async def _append_events(self, appender: Appender, events: Sequence[Event]) -> None:
        partitions = self._log.partitions
        parts: dict[int, list[Event]] = {}
        for event in events:
            parts.setdefault(partition_of(event, partitions), []).append(event)
        records = {partition: Records(len(part), codec.encode(part)) for partition, part in parts.items()}
        *others, (last, rest) = records.items()
        started = [
            self._runtime.spawn(f"append to {partition}", _append_one(appender, partition, part))
            for partition, part in others
        ]
        try:
            await appender.append(last, rest)
        finally:
            await _ended(started)

    def _new_id(self) -> str:
        return f"obverse-{self._runtime.now():x}-{self._runtime.random.getrandbits(64):016x}"


async def _ended(started: Sequence[Work]) -> None:
    """Wait for all of them, also after one has failed; raises what the last failure was."""
    failed: Unreachable | None = None
    for work in started:
        try:
            await work.wait()
        except Unreachable as error:
            failed = error
    if failed is not None:
        raise failed


async def _append_one(appender: Appender, partition: int, records: Records) -> None:
    await appender.append(partition, records)


def partition_of(event: Event, partitions: int) -> int:
    """The partition of an event: one sender's retries, and what is known of one person, go to the same."""
    if partitions == 1:
        return 0
    return crc32((event.user_id or event.anonymous_id or "").encode()) % partitions


def _disabled(source: Source) -> Answer:
    return Answer(
        status=HTTPStatus.NOT_FOUND,
        code="source_disabled",
        message=f"source {source.name!r} is disabled; set `enabled: true` in its definition",
        source=source.name,
    )


_INVALID_KEY: Final = Answer(
    status=HTTPStatus.UNAUTHORIZED,
    code="invalid_write_key",
    message=(
        "no write key, or one that no source has; send it as user of HTTP Basic authentication, with an empty "
        "password, or as `writeKey` in the body (`obverse source add NAME` makes one)"
    ),
)
_OVERLOADED: Final = Answer(
    status=HTTPStatus.TOO_MANY_REQUESTS,
    code="overloaded",
    message="more is coming in than can be written down; send it again after the time in Retry-After",
    retry_after=SOON,
)
_UNWRITABLE: Final = Answer(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="log_unavailable",
    message="the log cannot be written now; nothing was accepted, send it again after the time in Retry-After",
    retry_after=SOON,
)
