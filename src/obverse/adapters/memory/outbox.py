"""An outbox in memory: for tests, for trying things out, and for runs that repeat from a seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from obverse.core.messages import MOST_ATTEMPTS, Attempt, Message, Status
from obverse.ports.outbox import InFlight, NoDoubt, Outbox, OutboxWorker, Remembered, Settled
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOutboxSettings:
    """The `[outbox.memory]` table of the settings file."""

    workspace: str = "main"


async def open_outbox(settings: MemoryOutboxSettings, runtime: Runtime) -> Outbox:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.outbox:memory`. Each call opens an empty outbox of its own."""
    return MemoryOutbox(runtime)


@dataclass(slots=True)
class _Disk:
    """What outlives a crash."""

    mark: int = 0
    messages: dict[bytes, Message] = field(default_factory=dict)
    claimed_by: dict[bytes, object] = field(default_factory=dict)
    remembered: dict[tuple[str, str], Remembered] = field(default_factory=dict)

    def put(self, message: Message) -> None:
        self.messages.setdefault(message.id, message)

    def settle(self, one: Settled) -> None:
        known = self.messages[one.id]
        attempts = known.attempts if one.attempt is None else (*known.attempts, one.attempt)[-MOST_ATTEMPTS:]
        self.claimed_by.pop(one.id, None)
        self.messages[one.id] = replace(
            known,
            status=one.status,
            to=one.to or known.to,
            subject=one.subject or known.subject,
            profile=one.profile or known.profile,
            due_at=known.due_at if one.due_at is None else one.due_at,
            sent_at=one.sent_at or known.sent_at,
            reason=one.reason,
            attempts=attempts,
        )


class MemoryOutbox:
    """See `Outbox`. Durable for as long as somebody holds it."""

    def __init__(self, runtime: Runtime, disk: _Disk | None = None) -> None:
        self._runtime = runtime
        self._disk = disk or _Disk()
        self._turn = asyncio.Lock()
        self._worker: _MemoryOutboxWorker | None = None
        self._in_flight: set[tuple[str, str]] = set()
        self.away = False
        """Whether its worker can reach nothing, as with a server that is down."""

    async def open_worker(self) -> OutboxWorker:
        """See `Outbox.open_worker`."""
        await self._turn.acquire()
        self._worker = _MemoryOutboxWorker(self._disk, self._turn, self._runtime, lambda: self.away)
        return self._worker

    async def accept(self, message: Message | None, answer: Remembered | None) -> Remembered | None:
        """See `Outbox.accept`."""
        place = None if answer is None else (answer.route, answer.key)
        if place is not None:
            if place in self._in_flight:
                raise InFlight(f"a request with the key {place[1]!r} is being worked on")
            self._in_flight.add(place)
        try:
            await self._runtime.sleep(0)  # others have their turn, as with a real one
            if place is not None and place in self._disk.remembered:
                return self._disk.remembered[place]
            if message is not None:
                self._disk.put(message)
            if place is not None and answer is not None:
                self._disk.remembered[place] = answer
            return None
        finally:
            if place is not None:
                self._in_flight.discard(place)

    async def recall(self, route: str, key: str) -> Remembered | None:
        """See `Outbox.recall`."""
        return self._disk.remembered.get((route, key))

    async def find(self, id_: bytes) -> Message | None:
        """See `Outbox.find`."""
        return self._disk.messages.get(id_)

    async def statuses(self, ids: Collection[bytes]) -> Mapping[bytes, Status]:
        """See `Outbox.statuses`."""
        messages = self._disk.messages
        return {one: messages[one].status for one in ids if one in messages}

    async def page(
        self, *, limit: int, before: tuple[int, bytes] | None = None, status: Status | None = None, prefix: str = ""
    ) -> Sequence[Message]:
        """See `Outbox.page`."""
        found = [
            one
            for one in self._disk.messages.values()
            if (before is None or (one.created_at, one.id) < before)
            and status in {None, one.status}
            and (one.to or "").startswith(prefix)
        ]
        return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)[:limit]

    async def counts(self) -> Mapping[str | None, Mapping[Status, int]]:
        """See `Outbox.counts`."""
        counted: dict[str | None, Counter[Status]] = {}
        for one in self._disk.messages.values():
            counted.setdefault(one.campaign, Counter())[one.status] += 1
        return counted

    async def due_since(self) -> int | None:
        """See `Outbox.due_since`."""
        return min((one.due_at for one in self._disk.messages.values() if one.status == "queued"), default=None)

    async def mark(self) -> int:
        """See `Outbox.mark`."""
        return self._disk.mark

    async def resolve(self, id_: bytes, as_: Literal["sent", "resend"], *, now: int) -> Message | None:
        """See `Outbox.resolve`."""
        message = self._disk.messages.get(id_)
        if message is None:
            return None
        if message.status != "unknown":
            raise NoDoubt(f"it is {message.status}")
        attempt = Attempt(now, "resolved", as_)
        if as_ == "sent":
            self._disk.settle(Settled(id=id_, status="sent", sent_at=now, attempt=attempt))
        else:
            self._disk.settle(Settled(id=id_, status="queued", due_at=now, attempt=attempt))
        return self._disk.messages[id_]

    async def close(self) -> None:
        """See `Outbox.close`."""
        if self._worker is not None:
            await self._worker.close()

    def crash(self) -> MemoryOutbox:
        """Return the outbox as the next process finds it after the one that held this was killed."""
        if self._worker is not None:
            self._worker.lost = True
        return MemoryOutbox(self._runtime, self._disk)


class _MemoryOutboxWorker:
    """See `OutboxWorker`."""

    def __init__(self, disk: _Disk, turn: asyncio.Lock, runtime: Runtime, away: Callable[[], bool]) -> None:
        self._disk = disk
        self._away = away
        self._turn: asyncio.Lock | None = turn
        self._runtime = runtime
        self.lost = False
        """Whether its process is thought dead."""

    @property
    def mark(self) -> int:
        """See `OutboxWorker.mark`."""
        return self._disk.mark

    async def put(
        self, messages: Sequence[Message], *, mark: int | None, now: int, woken: Collection[bytes] = ()
    ) -> None:
        """See `OutboxWorker.put`."""
        await self._at_disk()
        for message in messages:
            self._disk.put(message)
        for id_, message in self._disk.messages.items():
            if message.profile in woken and message.status == "waiting":
                self._disk.messages[id_] = replace(message, status="queued", due_at=now)
        if mark is not None:
            self._disk.mark = mark

    async def claim(self, *, limit: int, now: int) -> Sequence[Message]:
        """See `OutboxWorker.claim`."""
        await self._at_disk()
        due = [one for one in self._disk.messages.values() if one.status == "queued" and one.due_at <= now]
        claimed = [replace(one, status="sending") for one in sorted(due, key=lambda one: one.due_at)[:limit]]
        for one in claimed:
            self._disk.messages[one.id] = one
            self._disk.claimed_by[one.id] = self
        await self._runtime.sleep(0)  # whoever is killed here has claimed, and sent nothing
        return claimed

    async def doubts(self, *, limit: int, now: int) -> Sequence[Message]:
        """See `OutboxWorker.doubts`."""
        await self._at_disk()
        nobodys = [
            one
            for one in self._disk.messages.values()
            if one.status == "sending" and one.due_at <= now and self._disk.claimed_by.get(one.id) is not self
        ]
        return nobodys[:limit]

    async def settle(self, settled: Sequence[Settled]) -> None:
        """See `OutboxWorker.settle`."""
        await self._at_disk()
        for one in settled:
            self._disk.settle(one)

    async def clock_set(self, by: int, *, now: int) -> None:
        """See `OutboxWorker.clock_set`."""
        await self._at_disk()
        for id_, one in self._disk.messages.items():
            # What was made since by those who read the new time is as it should be.
            if one.due_at > min(now, now - by) and (by < 0 or one.created_at <= now - by):
                self._disk.messages[id_] = replace(one, due_at=one.due_at + by)

    async def forget(self, before: int) -> None:
        """See `OutboxWorker.forget`."""
        await self._at_disk()
        for place, one in tuple(self._disk.remembered.items()):
            if one.at < before:
                del self._disk.remembered[place]

    async def close(self) -> None:
        """See `OutboxWorker.close`."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    async def _at_disk(self) -> None:
        # Others have their turn before anything is kept, as with a disk.
        await self._runtime.sleep(0)
        if self._away():
            raise Unreachable("it is away")
        if self.lost or self._turn is None:
            raise Unreachable("this worker was closed, or its process killed; open it again")
