"""Queues of syncs in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from obverse.adapters.postgres import sync_queries as queries
from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.adapters.postgres.worker_session import Statement, WorkerSession
from obverse.core.records import FieldState, SyncRecord, later
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import (
    MOST_ATTEMPTS,
    Again,
    Attempt,
    Died,
    Figures,
    Heard,
    Nothing,
    Result,
    Standing,
    SyncQueue,
    SyncWorker,
    Task,
    Written,
)

_FIRST = UUID(int=0)
"""No profile has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresQueueSettings:
    """The `[sync_queue.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    """Where PostgreSQL is. A pooler in between must keep sessions, for the worker's lock is the session's."""
    workspace: str = "main"


async def open_sync_queue(settings: PostgresQueueSettings, runtime: Runtime) -> SyncQueue:
    """Entry point `obverse.sync_queue:postgres`. Nothing is connected before it is needed."""
    return PostgresSyncQueue(settings, runtime)


class PostgresSyncQueue:
    """See `SyncQueue`."""

    def __init__(self, settings: PostgresQueueSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._link = Link(settings.dsn, "reads and fills queues of syncs")
        self._workers: list[SyncWorker] = []

    async def open_worker(self) -> SyncWorker:
        """See `SyncQueue.open_worker`."""
        workspace = self._settings.workspace
        session = await WorkerSession.open(
            self._settings.dsn, "writes to CRMs", f"sync_queue\0{workspace}", self._runtime
        )
        rows = await session.fetch(queries.MARK, workspace)
        worker = PostgresSyncWorker(session, workspace, rows[0]["next_offset"] if rows else 0)
        self._workers.append(worker)
        return worker

    async def records(
        self,
        connection: str,
        *,
        record_ids: Collection[str] = (),
        profiles: Collection[bytes] = (),
        emails: Collection[str] = (),
    ) -> Sequence[SyncRecord]:
        """See `SyncQueue.records`."""
        ids = [UUID(bytes=one) for one in profiles]
        rows = await self._fetch(queries.RECORDS, connection, list(record_ids), ids, list(emails))
        return [_record(row) for row in rows]

    async def hear(self, connection: str, heard: Sequence[Heard], *, now: int) -> None:
        """See `SyncQueue.hear`."""
        told: dict[bytes, dict[str, FieldState]] = {}
        answered: dict[bytes, dict[str, str]] = {one.profile: {} for one in heard}
        for one in heard:
            told[one.profile] = later(told.get(one.profile, {}), {one.field: one.state})
            if one.answers:
                answered[one.profile][one.field] = one.state.value
        if told:
            profiles = [UUID(bytes=one) for one in told]
            states = [_known(one) for one in told.values()]
            answers = [_json(answered[one]) for one in told]
            await self._fetch(queries.HEAR, connection, profiles, states, from_micros(now), answers)

    async def mark(self) -> int:
        """See `SyncQueue.mark`."""
        rows = await self._link.fetch(queries.MARK, self._settings.workspace)
        return int(rows[0]["next_offset"]) if rows else 0

    async def standings(self) -> Mapping[str, tuple[Standing, Figures]]:
        """See `SyncQueue.standings`."""
        rows = await self._link.fetch(queries.STANDINGS, self._settings.workspace)
        return {row["connection"]: (_standing(row), _figures(row)) for row in rows}

    async def page_records(
        self, connection: str, *, limit: int, after: bytes | None = None, prefix: str = ""
    ) -> Sequence[SyncRecord]:
        """See `SyncQueue.page_records`."""
        rows = await self._fetch(queries.PAGE_RECORDS, connection, _after(after), tidy(prefix), limit)
        return [_record(row) for row in rows]

    async def page_waiting(self, connection: str, *, limit: int, after: bytes | None = None) -> Sequence[Task]:
        """See `SyncQueue.page_waiting`."""
        rows = await self._fetch(queries.PAGE_TASKS, connection, False, _after(after), limit)  # noqa: FBT003 - SQL's
        return [_task(row) for row in rows]

    async def page_dead(self, connection: str, *, limit: int, after: bytes | None = None) -> Sequence[Task]:
        """See `SyncQueue.page_dead`."""
        rows = await self._fetch(queries.PAGE_TASKS, connection, True, _after(after), limit)  # noqa: FBT003 - SQL's
        return [_task(row) for row in rows]

    async def retry(self, connection: str, profiles: Collection[bytes] | None, *, now: int) -> int:
        """See `SyncQueue.retry`."""
        ids = None if profiles is None else [UUID(bytes=one) for one in profiles]
        return len(await self._fetch(queries.RETRY, connection, ids, from_micros(now)))

    async def close(self) -> None:
        """See `SyncQueue.close`."""
        workers, self._workers = self._workers, []
        for worker in workers:
            await worker.close()
        await self._link.close()

    async def _fetch(self, query: str, connection: str, *args: Any) -> list[asyncpg.Record]:
        return await self._link.fetch(query, self._settings.workspace, connection, *args)


class PostgresSyncWorker:
    """See `SyncWorker`."""

    def __init__(self, session: WorkerSession, workspace: str, mark: int) -> None:
        self._session = session
        self._workspace = workspace
        self._mark = mark

    @property
    def mark(self) -> int:
        """See `SyncWorker.mark`."""
        return self._mark

    async def put(self, touched: Mapping[str, Collection[bytes]], *, mark: int | None, now: int) -> None:
        """See `SyncWorker.put`."""
        work: list[Statement] = [
            (queries.PUT, connection, [UUID(bytes=one) for one in dict.fromkeys(profiles)], from_micros(now))
            for connection, profiles in touched.items()
            if profiles
        ]
        if mark is not None:
            work.append((queries.MOVE_MARK, mark))
        await self._write(work)
        self._mark = self._mark if mark is None else mark

    async def due(self, connection: str, *, limit: int, now: int) -> Sequence[Task]:
        """See `SyncWorker.due`."""
        return [_task(row) for row in await self._fetch(queries.DUE, connection, from_micros(now), limit)]

    async def next_due(self, connection: str) -> int | None:
        """See `SyncWorker.next_due`."""
        ((due_at,),) = await self._fetch(queries.NEXT_DUE, connection)
        return None if due_at is None else to_micros(due_at)

    async def clock_set(self, connection: str, by: int, *, now: int) -> None:
        """See `SyncWorker.clock_set`."""
        since = from_micros(min(now, now - by))
        await self._write([(queries.CLOCK_SET, connection, timedelta(microseconds=by), since, 0 if by < 0 else 1)])

    async def begin(self, connection: str, sending: Sequence[tuple[bytes, str, Mapping[str, str]]]) -> None:
        """See `SyncWorker.begin`."""
        await self._write(
            [
                (
                    queries.BEGIN,
                    connection,
                    [UUID(bytes=profile) for profile, _, _ in sending],
                    [email for _, email, _ in sending],
                    [_json(fields) for _, _, fields in sending],
                )
            ]
        )

    async def settle(self, connection: str, results: Sequence[Result]) -> None:
        """See `SyncWorker.settle`."""
        written = [one for one in results if isinstance(one, Written)]
        failed = [one for one in results if isinstance(one, Again | Died)]
        done = [one for one in results if isinstance(one, Written | Nothing)]
        await self._write(
            [
                *_locking(connection, results, [one.record.record_id for one in written]),
                *_writing(connection, [one.record for one in written]),
                *_failing(connection, failed),
                *([(queries.DONE, connection, _ids(done), [one.task.poke for one in done])] if done else []),
            ]
        )

    async def stand(self, connection: str, standing: Standing) -> None:
        """See `SyncWorker.stand`."""
        at = standing.last_success_at
        # A CRM may say anything.
        said = [None if one is None else tidy(one) for one in (standing.reason, standing.remedy)]
        last = None if at is None else from_micros(at)
        await self._write([(queries.STAND, connection, standing.state, *said, last, standing.mapping)])

    async def close(self) -> None:
        """See `SyncWorker.close`."""
        await self._session.close()

    async def _fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._session.fetch(query, self._workspace, *args)

    async def _write(self, work: Sequence[Statement]) -> None:
        await self._session.write([(query, self._workspace, *args) for query, *args in work])


def _locking(connection: str, results: Sequence[Result], record_ids: Sequence[str | None]) -> list[Statement]:
    if not results:
        return []
    ids = _ids(results)
    return [(queries.LOCK_RECORDS, connection, ids, record_ids), (queries.LOCK_TASKS, connection, ids)]


def _writing(connection: str, records: Sequence[SyncRecord]) -> list[Statement]:
    if not records:
        return []
    profiles = [UUID(bytes=one.profile) for one in records]
    record_ids = [one.record_id for one in records]
    told = [
        [one.email for one in records],
        [_known(one.known) for one in records],
        [_earlier(one.earlier) for one in records],
        [from_micros(one.synced_at) for one in records],
    ]
    return [
        (queries.CARRY_OVER, connection, profiles, record_ids),
        (queries.TAKE_OVER, connection, profiles, record_ids),
        (queries.WRITE, connection, profiles, record_ids, *told),
    ]


def _failing(connection: str, failed: Sequence[Again | Died]) -> list[Statement]:
    if not failed:
        return []
    ids = _ids(failed)
    args = [
        ids,
        [one.task.poke for one in failed],
        [from_micros(one.due_at) if isinstance(one, Again) else None for one in failed],
        [from_micros(one.attempt.at) if isinstance(one, Died) else None for one in failed],
        [_json(one.fields if isinstance(one, Died) else {}) for one in failed],
        [_json([one.attempt.at, tidy(one.attempt.error)]) for one in failed],
    ]
    doubts = [_json(one.sending) for one in failed]
    return [(queries.NOT_SENT, connection, ids, doubts), (queries.FAILED, connection, *args, MOST_ATTEMPTS)]


def _ids(results: Sequence[Result]) -> list[UUID]:
    return [UUID(bytes=one.task.profile) for one in results]


def _after(profile: bytes | None) -> UUID:
    return _FIRST if profile is None else UUID(bytes=profile)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _known(known: Mapping[str, FieldState]) -> str:
    return _json({name: [state.value, state.at] for name, state in known.items()})


def _earlier(earlier: Mapping[str, Sequence[FieldState]]) -> str:
    return _json({name: [[one.value, one.at] for one in states] for name, states in earlier.items()})


def _task(row: asyncpg.Record) -> Task:
    return Task(
        profile=row["profile_id"].bytes,
        poke=row["poke"],
        due_at=to_micros(row["due_at"]),
        tries=row["tries"],
        attempts=tuple(Attempt(*one) for one in msgspec.json.decode(row["attempts"])),
        died_at=None if row["died_at"] is None else to_micros(row["died_at"]),
        fields=msgspec.json.decode(row["fields"]),
    )


def _record(row: asyncpg.Record) -> SyncRecord:
    return SyncRecord(
        profile=row["profile_id"].bytes,
        record_id=row["record_id"],
        email=row["email"],
        known={name: FieldState(*state) for name, state in msgspec.json.decode(row["known"]).items()},
        sending=msgspec.json.decode(row["sending"]),
        earlier={
            name: tuple(FieldState(*one) for one in states)
            for name, states in msgspec.json.decode(row["earlier"]).items()
        },
        synced_at=0 if row["synced_at"] is None else to_micros(row["synced_at"]),
    )


def _standing(row: asyncpg.Record) -> Standing:
    if row["state"] is None:
        return Standing()
    at = row["last_success_at"]
    return Standing(
        state=row["state"],
        reason=row["reason"],
        remedy=row["remedy"],
        last_success_at=None if at is None else to_micros(at),
        mapping=row["mapping"],
    )


def _figures(row: asyncpg.Record) -> Figures:
    return Figures(
        waiting=row["waiting"] or 0,
        dead=row["dead"] or 0,
        records=row["records"] or 0,
        due_since=None if row["due_since"] is None else to_micros(row["due_since"]),
    )
