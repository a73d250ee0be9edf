"""Sync queues in memory: for tests, for trying things out, and for runs that repeat from a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from obverse.core.records import SyncRecord, later
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import (
    MOST_ATTEMPTS,
    Again,
    Died,
    Figures,
    Heard,
    Result,
    Standing,
    SyncQueue,
    SyncWorker,
    Task,
    Written,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryQueueSettings:
    """The `[sync_queue.memory]` table of the settings file."""

    workspace: str = "main"


async def open_sync_queue(settings: MemoryQueueSettings, runtime: Runtime) -> SyncQueue:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.sync_queue:memory`. Each call opens empty queues of their own."""
    return MemorySyncQueue(runtime)


@dataclass(slots=True)
class _Connection:
    tasks: dict[bytes, Task] = field(default_factory=dict)
    records: dict[bytes, SyncRecord] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)

    def poke(self, profile: bytes, now: int) -> None:
        task = self.tasks.get(profile)
        if task is None:
            self.tasks[profile] = Task(profile=profile, poke=1, due_at=now)
        else:
            self.tasks[profile] = replace(task, poke=task.poke + 1, due_at=now, tries=0, died_at=None, fields={})

    def note(self, profile: bytes, email: str, fields: Mapping[str, str]) -> None:
        record = self.records.get(profile) or SyncRecord(profile=profile, email=email)
        self.records[profile] = replace(record, email=email, sending={**record.sending, **fields})

    def settle(self, result: Result) -> None:
        task = result.task
        if isinstance(result, Written):
            self._write(result.record)
        elif isinstance(result, Again | Died) and task.profile in self.records:
            self.records[task.profile] = replace(self.records[task.profile], sending=dict(result.sending))
        known = self.tasks.get(task.profile)
        if known is None:
            return
        attempts = known.attempts
        if isinstance(result, Again | Died):
            attempts = (*attempts, result.attempt)[-MOST_ATTEMPTS:]
        if known.poke != task.poke:
            self.tasks[task.profile] = replace(known, attempts=attempts)
        elif isinstance(result, Again):
            self.tasks[task.profile] = replace(known, due_at=result.due_at, tries=known.tries + 1, attempts=attempts)
        elif isinstance(result, Died):
            self.tasks[task.profile] = replace(
                known, died_at=result.attempt.at, fields=dict(result.fields), attempts=attempts
            )
        else:
            del self.tasks[task.profile]

    def _write(self, record: SyncRecord) -> None:
        before = self.records.get(record.profile)
        for profile, other in tuple(self.records.items()):
            if profile != record.profile and other.record_id == record.record_id:
                del self.records[profile]
                if before is None or before.record_id != record.record_id:
                    before = other
        # What was told of one that was being made is known by its address.
        same = before is not None and before.record_id in {None, record.record_id}
        known = later(record.known, before.known) if before is not None and same else record.known
        self.records[record.profile] = replace(record, known=known, sending={})

    def hear(self, one: Heard, now: int) -> None:
        record = self.records.get(one.profile)
        if record is not None:
            answered = {one.field: one.state.value}.items() if one.answers else set()
            sending = dict(record.sending.items() - answered)
            known = later(record.known, {one.field: one.state})
            self.records[one.profile] = replace(record, known=known, sending=sending)
        self.poke(one.profile, now)

    def waiting(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.died_at is None]

    def dead(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.died_at is not None]


@dataclass(slots=True)
class _Disk:
    """What outlives a crash."""

    mark: int = 0
    connections: dict[str, _Connection] = field(default_factory=dict)

    def of(self, connection: str) -> _Connection:
        return self.connections.setdefault(connection, _Connection())


class MemorySyncQueue:
    """See `SyncQueue`. Durable for as long as somebody holds it."""

    def __init__(self, runtime: Runtime, disk: _Disk | None = None) -> None:
        self._runtime = runtime
        self._disk = disk or _Disk()
        self._turn = asyncio.Lock()
        self._worker: _MemoryWorker | None = None

    async def open_worker(self) -> SyncWorker:
        """See `SyncQueue.open_worker`."""
        await self._turn.acquire()
        self._worker = _MemoryWorker(self._disk, self._turn, self._runtime)
        return self._worker

    async def records(
        self,
        connection: str,
        *,
        record_ids: Collection[str] = (),
        profiles: Collection[bytes] = (),
        emails: Collection[str] = (),
    ) -> Sequence[SyncRecord]:
        """See `SyncQueue.records`."""
        await self._runtime.sleep(0)
        return [
            one
            for one in self._disk.of(connection).records.values()
            if one.record_id in record_ids or one.profile in profiles or one.email in emails
        ]

    async def hear(self, connection: str, heard: Sequence[Heard], *, now: int) -> None:
        """See `SyncQueue.hear`."""
        await self._runtime.sleep(0)
        for one in heard:
            self._disk.of(connection).hear(one, now)

    async def mark(self) -> int:
        """See `SyncQueue.mark`."""
        return self._disk.mark

    async def standings(self) -> Mapping[str, tuple[Standing, Figures]]:
        """See `SyncQueue.standings`."""
        return {
            name: (
                one.standing,
                Figures(
                    waiting=len(one.waiting()),
                    dead=len(one.dead()),
                    records=len(_synced(one)),
                    due_since=min((task.due_at for task in one.waiting()), default=None),
                ),
            )
            for name, one in self._disk.connections.items()
        }

    async def page_records(
        self, connection: str, *, limit: int, after: bytes | None = None, prefix: str = ""
    ) -> Sequence[SyncRecord]:
        """See `SyncQueue.page_records`."""
        found = [one for one in _synced(self._disk.of(connection)) if one.email.startswith(prefix)]
        return sorted((one for one in found if after is None or one.profile > after), key=lambda one: one.profile)[
            :limit
        ]

    async def page_waiting(self, connection: str, *, limit: int, after: bytes | None = None) -> Sequence[Task]:
        """See `SyncQueue.page_waiting`."""
        return _page(self._disk.of(connection).waiting(), limit, after)

    async def page_dead(self, connection: str, *, limit: int, after: bytes | None = None) -> Sequence[Task]:
        """See `SyncQueue.page_dead`."""
        return _page(self._disk.of(connection).dead(), limit, after)

    async def retry(self, connection: str, profiles: Collection[bytes] | None, *, now: int) -> int:
        """See `SyncQueue.retry`."""
        one = self._disk.of(connection)
        again = [task for task in one.dead() if profiles is None or task.profile in profiles]
        for task in again:
            one.poke(task.profile, now)
        return len(again)

    async def close(self) -> None:
        """See `SyncQueue.close`."""
        if self._worker is not None:
            await self._worker.close()

    def cut_off(self) -> None:
        """Have the worker lose its queues, as when a server restarts: it has to be opened again."""
        if self._worker is not None:
            self._worker.lost = True

    def crash(self) -> MemorySyncQueue:
        """Return the queues as the next process finds them after the one that held this was killed."""
        self.cut_off()
        return MemorySyncQueue(self._runtime, self._disk)


def _synced(one: _Connection) -> list[SyncRecord]:
    return [record for record in one.records.values() if record.record_id is not None]


def _page(tasks: Sequence[Task], limit: int, after: bytes | None) -> list[Task]:
    found = (task for task in tasks if after is None or task.profile > after)
    return sorted(found, key=lambda task: task.profile)[:limit]


class _MemoryWorker:
    """See `SyncWorker`."""

    def __init__(self, disk: _Disk, turn: asyncio.Lock, runtime: Runtime) -> None:
        self._disk = disk
        self._turn: asyncio.Lock | None = turn
        self._runtime = runtime
        self.lost = False
        """Whether its process is thought dead."""

    @property
    def mark(self) -> int:
        """See `SyncWorker.mark`."""
        return self._disk.mark

    async def put(self, touched: Mapping[str, Collection[bytes]], *, mark: int | None, now: int) -> None:
        """See `SyncWorker.put`."""
        await self._at_disk()
        for connection, profiles in touched.items():
            for profile in profiles:
                self._disk.of(connection).poke(profile, now)
        if mark is not None:
            self._disk.mark = mark

    async def due(self, connection: str, *, limit: int, now: int) -> Sequence[Task]:
        """See `SyncWorker.due`."""
        await self._at_disk()
        due = [task for task in self._disk.of(connection).waiting() if task.due_at <= now]
        return sorted(due, key=lambda task: task.due_at)[:limit]

    async def next_due(self, connection: str) -> int | None:
        """See `SyncWorker.next_due`."""
        await self._at_disk()
        return min((task.due_at for task in self._disk.of(connection).waiting()), default=None)

    async def clock_set(self, connection: str, by: int, *, now: int) -> None:
        """See `SyncWorker.clock_set`."""
        await self._at_disk()
        tasks = self._disk.of(connection).tasks
        for profile, one in tasks.items():
            # What was queued since by those who read the new time is as it should be.
            if one.due_at > min(now, now - by) and (by < 0 or one.tries):
                tasks[profile] = replace(one, due_at=one.due_at + by)

    async def begin(self, connection: str, sending: Sequence[tuple[bytes, str, Mapping[str, str]]]) -> None:
        """See `SyncWorker.begin`."""
        await self._at_disk()
        for profile, email, fields in sending:
            self._disk.of(connection).note(profile, email, fields)

    async def settle(self, connection: str, results: Sequence[Result]) -> None:
        """See `SyncWorker.settle`."""
        await self._at_disk()
        for result in results:
            self._disk.of(connection).settle(result)

    async def stand(self, connection: str, standing: Standing) -> None:
        """See `SyncWorker.stand`."""
        await self._at_disk()
        self._disk.of(connection).standing = standing

    async def close(self) -> None:
        """See `SyncWorker.close`."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    async def _at_disk(self) -> None:
        # Others have their turn before anything is kept, as with a disk.
        await self._runtime.sleep(0)
        if self.lost or self._turn is None:
            raise Unreachable("this worker was closed, or its process killed; open it again")
