"""Collect: check the key, the limits and the shape of what an SDK sends, and append it; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Final

import msgspec

from obverse.core import wire
from obverse.core.definitions import Definitions, Source
from obverse.core.events import Event, RejectedEvent
from obverse.core.rates import Bucket
from obverse.flows.answers import (
    INVALID_KEY,
    OVERLOADED,
    UNINFORMED,
    UNWRITABLE,
    Answer,
    disabled,
    no_room,
    too_often,
)
from obverse.flows.intake import Intake
from obverse.flows.share import Share
from obverse.flows.vitals import Vitals
from obverse.ports.event_log import EventLog
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

_SHOWN: Final = 200
"""Characters of a sender's name for itself that a reason shows."""


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call as it came, unpacked."""

    call: str | None
    """The type that the path names; None for a batch."""
    body: bytes
    key_hashes: Sequence[str] = ()
    """SHA-256 of the keys that the headers or the query carry, in hexadecimal, the best one first."""
    origin: str = ""
    """Scheme and host of the page whose browser sends it; empty for all that is no browser."""
    agent: str = ""
    """What sent it, as it calls itself."""
    address: str = ""
    """The IP address it came from."""


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
        queue_seconds: float = 0.02,
        partitions: int | None = None,
        is_bot: Callable[[str], bool] = lambda _: False,
        obstacle: Callable[[], str | None] = lambda: None,
    ) -> None:
        """
        `limits` are those of sources that set none; `is_bot` knows crawlers by what they call themselves.

        `partitions` are those that it takes of the log, as other collectors have the rest; all of them, if None.
        `obstacle` says why nothing may be written now, if so it is.
        """
        self._definitions = definitions
        self._runtime = runtime
        self._hash_key = hash_key
        self._limits = limits or wire.Limits()
        self._is_bot = is_bot
        self._obstacle = obstacle
        self._rates: dict[str, Bucket] = {}
        self._measured: Definitions | None = None
        self._knows = False
        self._most = 0
        self.share = Share(log, runtime, most=partitions)
        self.intake = Intake(runtime.elapsed, most_bytes=queue_bytes, most_seconds=queue_seconds)
        self.vitals = Vitals()
        """Of appending to the log."""

    @property
    def ready(self) -> bool:
        """Whether the log can be written, and it is known who may."""
        return self.share.is_open and self._informed

    @property
    def _informed(self) -> bool:
        """Whether definitions are known: before, nobody can be told from a stranger."""
        if not self._knows:
            try:
                self._definitions()
            except Unreachable:
                return False
            self._knows = True
        return True

    @property
    def most_bytes(self) -> int:
        """Bytes that no request may have more of, whatever its source."""
        now = self._definitions() if self._informed else Definitions()
        if now is not self._measured:
            every = [self._limits, *map(self._limits_of, now.sources)]
            self._most = max(max(one.batch_bytes, one.event_bytes) for one in every)
            self._measured = now
        return self._most

    async def open(self) -> None:
        """Take a share of the log, waiting as long as it takes."""
        await self.share.open()

    async def close(self) -> None:
        """Finish what waits, and let the next collector in."""
        await self.share.close()

    async def take(self, request: Request) -> Answer:
        """Answer one request, by the table "What ours answers" of the ingest contract."""
        if not self._informed:
            return UNINFORMED
        # Keys in the body are looked for without reading it: whose it is decides how much of it is read.
        hashes = request.key_hashes or self._glimpsed(request.body)
        found = self._source(hashes)
        if found is None and request.key_hashes:
            return INVALID_KEY
        refusal = self._admit(found)
        if refusal is not None:
            return refusal
        received_at = self._runtime.now()
        limits = self._limits_of(found)
        try:
            message = wire.open_body(request.body, batch=request.call is None, limits=limits)
        except wire.Unreadable as unreadable:
            return await self._refuse(request, unreadable, found, received_at)
        if not request.key_hashes:
            meant = self._source([self._hash_key(message.write_key)]) if message.write_key else None
            if meant is not found:  # another text in it looked like its key
                return await self.take(
                    msgspec.structs.replace(request, key_hashes=(self._hash_key(message.write_key or ""),))
                )
        if found is None:
            return INVALID_KEY
        message.address, message.browser = request.address, bool(request.origin)
        reading = wire.read_events(
            message,
            call=request.call,
            source=found.name,
            received_at=received_at,
            new_id=self._new_id,
            limits=limits,
        )
        unwelcome = self._sort_out(request, found, reading) or _refused_alone(message, reading)
        refusal = await self.append(reading.events, reading.rejected, len(request.body))
        return (
            refusal
            or unwelcome
            or Answer(
                source=found.name,
                events=reading.events,
                rejected=reading.rejected,
                report=tuple(wire.rejections(reading)) if reading.rejected else (),
            )
        )

    def read(self, source: str, body: bytes, *, received_at: int, name: str) -> wire.Reading | wire.Unreadable:
        """
        Hold what was rejected against today's rules, as of its arrival: those of a request, and the tracking plan.

        A message id that is missing is made of `name`, so that it is the same however often it is read.
        """
        definitions = self._definitions()
        limits = self._limits_of(next((one for one in definitions.sources if one.name == source), None))
        ids = count()
        try:
            message = wire.open_body(body, batch=wire.is_batch(body), limits=limits)
        except wire.Unreadable as unreadable:
            return unreadable
        reading = wire.read_events(
            message,
            call=None,
            source=source,
            received_at=received_at,
            new_id=lambda: f"{name}-{next(ids)}",
            limits=limits,
        )
        held = definitions.held.get(source)
        if held is not None:
            # Unify holds them against it too; said here, whoever asked is told at once.
            reading.rejected += [one for one in map(held.judge, reading.events) if isinstance(one, RejectedEvent)]
        return reading

    def known(self, key_hash: str) -> Source | Answer:
        """The source of a key; or what is answered to one that cannot send."""
        if not self._informed:
            return UNINFORMED
        found = self._source([key_hash])
        if found is None:
            return INVALID_KEY
        return found if found.enabled else disabled(found)

    def _glimpsed(self, body: bytes) -> list[str]:
        return [self._hash_key(key) for key in wire.glimpsed_keys(body)]

    def _admit(self, found: Source | None) -> Answer | None:
        """What is answered before anything of the body is read; None if it is to be read."""
        if found is None:
            return None
        if not found.enabled:
            return disabled(found)
        if found.requests_per_second is not None:
            bucket = self._rates.get(found.name)
            if bucket is None or bucket.rate != found.requests_per_second:
                bucket = self._rates[found.name] = Bucket(found.requests_per_second, self._runtime.elapsed())
            wait = bucket.take(self._runtime.elapsed())
            if wait > 0:
                return too_often(found, wait)
        return None

    def _limits_of(self, found: Source | None) -> wire.Limits:
        return self._limits if found is None or not found.limits else replace(self._limits, **found.limits)

    def _sort_out(self, request: Request, found: Source, reading: wire.Reading) -> Answer | None:
        """
        Reject what its source does not want, whole, so that it can be sent again.

        Returns:
            What is answered then, if it is not 200.
        """
        if found.origins and request.origin and request.origin not in found.origins:
            reason = (
                f"{request.origin!r} is none of the origins that source {found.name!r} allows "
                f"({', '.join(sorted(found.origins))}); add it to its definition, or leave the list empty"
            )
            reading.reject(lambda _: ("origin_not_allowed", "$", reason))
            return Answer(
                status=HTTPStatus.FORBIDDEN,
                code="origin_not_allowed",
                message=reason,
                source=found.name,
                rejected=reading.rejected,
            )
        if found.drops_bots:
            reading.reject(partial(self._bot, request.agent if request.origin else ""))
        return None

    def _bot(self, agent: str, event: Event) -> tuple[str, str, str] | None:
        agent = wire.agent_of(event) or agent
        if not self._is_bot(agent):
            return None
        shown = agent[:_SHOWN]
        return "bot", "$.context.userAgent", f"{shown!r} is a crawler, and the source has `bots: drop`"

    async def refuse(self, request: Request, unreadable: wire.Unreadable) -> Answer:
        """Answer a request whose body could not even be unpacked: as one that is no JSON."""
        if not self._informed:
            return UNINFORMED
        found = self._source(request.key_hashes)
        if request.key_hashes and found is None:
            return INVALID_KEY
        return self._admit(found) or await self._refuse(request, unreadable, found, self._runtime.now())

    def _source(self, key_hashes: Sequence[str]) -> Source | None:
        sources = self._definitions().source_of_key
        return next((sources[one] for one in key_hashes if one in sources), None)

    async def _refuse(
        self, request: Request, unreadable: wire.Unreadable, found: Source | None, received_at: int
    ) -> Answer:
        """Keep the beginning of an unreadable body, if we know whose it is, and say what is wrong with it."""
        if found is None:
            hashes = self._glimpsed(request.body)
            found = self._source(hashes)
            if hashes and found is None:
                return INVALID_KEY
            if found is not None and not found.enabled:
                return disabled(found)
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
        if not self.share.is_open:
            return UNWRITABLE
        if size > self.intake.room:
            return OVERLOADED
        obstacle = self._obstacle()
        if obstacle is not None:
            return no_room(obstacle)
        began = self._runtime.elapsed()
        with self.intake.passing(size):
            try:
                await self.share.append(events, rejected)
            except Unreachable as error:
                # What of it is in the log is not known. The sender tries again with the same message ids, and
                # the window of message ids catches what comes twice.
                self.vitals.interrupted(str(error))
                return UNWRITABLE
        self.vitals.failure = None
        self.vitals.turns.note(self._runtime.elapsed() - began)
        self.vitals.records["accepted"] += len(events)
        if rejected:
            self.vitals.records["rejected"] += len(rejected)
        return None

    def _new_id(self) -> str:
        return f"obverse-{self._runtime.now():x}-{self._runtime.random.getrandbits(64):016x}"


def _refused_alone(message: wire.Message, reading: wire.Reading) -> Answer | None:
    """What is answered to a call of which Segment says 400, though it can be read; None for all others."""
    for one in reading.rejected if message.single else ():
        if one.code == wire.MISSING_CONSENT:
            return Answer(
                status=HTTPStatus.BAD_REQUEST,
                code=one.code,
                message=one.reason,
                source=one.source,
                rejected=reading.rejected,
            )
    return None
