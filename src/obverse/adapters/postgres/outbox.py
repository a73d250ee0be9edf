"""The outbox in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from obverse.adapters.postgres import outbox_queries as queries
from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.connection import FAILURES, Link, borrowed, connect, trouble
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.adapters.postgres.worker_session import Statement, WorkerSession, lock_key
from obverse.core.messages import MOST_ATTEMPTS, Attempt, Message, Status
from obverse.ports.outbox import InFlight, NoDoubt, Outbox, OutboxWorker, Remembered, Settled
from obverse.ports.runtime import Runtime

_LIMIT: Final = 30.0
"""Seconds after which an answer is not waited for any longer."""
_LAST: Final = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOutboxSettings:
    """The `[outbox.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    """Where PostgreSQL is. A pooler in between must keep sessions, for the worker's lock is the session's."""
    workspace: str = "main"
    pool_size: int = 4
    """Connections for accepting, at most: calls of different keys must not wait for each other."""


async def open_outbox(settings: PostgresOutboxSettings, runtime: Runtime) -> Outbox:
    """Entry point `obverse.outbox:postgres`. Nothing is connected before it is needed."""

    async def connect_one(*_: Any, **__: Any) -> asyncpg.Connection:
        """Open a connection for the pool, whose own wishes we do not need."""
        return await connect(settings.dsn, "accepts messages")

    pool = asyncpg.create_pool(min_size=0, max_size=settings.pool_size, connect=connect_one)
    await pool
    return PostgresOutbox(settings, pool, runtime)


class PostgresOutbox:
    """See `Outbox`."""

    def __init__(self, settings: PostgresOutboxSettings, pool: asyncpg.Pool, runtime: Runtime) -> None:
        self._settings = settings
        self._workspace = settings.workspace
        self._pool = pool
        self._runtime = runtime
        self._link = Link(settings.dsn, "reads messages")
        self._workers: list[OutboxWorker] = []

    async def open_worker(self) -> OutboxWorker:
        """See `Outbox.open_worker`."""
        session = await WorkerSession.open(
            self._settings.dsn, "sends messages", f"outbox\0{self._workspace}", self._runtime
        )
        epoch, mark = await session.fetch(queries.EPOCH), await session.fetch(queries.MARK, self._workspace)
        worker = PostgresOutboxWorker(
            session, self._workspace, epoch[0]["epoch"], mark[0]["next_offset"] if mark else 0
        )
        self._workers.append(worker)
        return worker

    async def accept(self, message: Message | None, answer: Remembered | None) -> Remembered | None:
        """See `Outbox.accept`."""
        try:
            async with (
                asyncio.timeout(_LIMIT),
                borrowed(self._pool, limit=_LIMIT) as connection,
                connection.transaction(),
            ):
                if answer is not None:
                    lock = lock_key(f"idempotency\0{self._workspace}\0{answer.route}\0{answer.key}")
                    if not await connection.fetchval(queries.TRY_LOCK, lock):
                        raise InFlight(f"a request with the key {answer.key!r} is being worked on")
                    row = await connection.fetchrow(queries.RECALL, self._workspace, answer.route, answer.key)
                    if row is not None:
                        return _remembered(row)
                if message is not None:
                    await connection.execute(queries.PUT, self._workspace, *_rows([message]))
                if answer is not None:
                    told = (answer.request_hash, answer.status, answer.body, from_micros(answer.at))
                    await connection.execute(queries.REMEMBER, self._workspace, answer.route, answer.key, *told)
        except FAILURES as error:
            raise trouble(error, "accept a message") from error
        return None

    async def recall(self, route: str, key: str) -> Remembered | None:
        """See `Outbox.recall`."""
        rows = await self._link.fetch(queries.RECALL, self._workspace, route, key)
        return _remembered(rows[0]) if rows else None

    async def find(self, id_: bytes) -> Message | None:
        """See `Outbox.find`."""
        rows = await self._link.fetch(queries.FIND, self._workspace, UUID(bytes=id_))
        return _message(rows[0]) if rows else None

    async def statuses(self, ids: Collection[bytes]) -> Mapping[bytes, Status]:
        """See `Outbox.statuses`."""
        rows = await self._link.fetch(queries.STATUSES, self._workspace, [UUID(bytes=one) for one in ids])
        return {row["id"].bytes: row["status"] for row in rows}

    async def page(
        self, *, limit: int, before: tuple[int, bytes] | None = None, status: Status | None = None, prefix: str = ""
    ) -> Sequence[Message]:
        """See `Outbox.page`."""
        at, id_ = _LAST if before is None else (from_micros(before[0]), UUID(bytes=before[1]))
        rows = await self._link.fetch(queries.PAGE, self._workspace, at, id_, status, tidy(prefix), limit)
        return [_message(row) for row in rows]

    async def counts(self) -> Mapping[str | None, Mapping[Status, int]]:
        """See `Outbox.counts`."""
        counted: dict[str | None, dict[Status, int]] = {}
        for row in await self._link.fetch(queries.COUNTS, self._workspace):
            counted.setdefault(row["campaign"], {})[row["status"]] = row["messages"]
        return counted

    async def due_since(self) -> int | None:
        """See `Outbox.due_since`."""
        ((due_at,),) = await self._link.fetch(queries.DUE_SINCE, self._workspace)
        return None if due_at is None else to_micros(due_at)

    async def mark(self) -> int:
        """See `Outbox.mark`."""
        rows = await self._link.fetch(queries.MARK, self._workspace)
        return int(rows[0]["next_offset"]) if rows else 0

    async def resolve(self, id_: bytes, as_: Literal["sent", "resend"], *, now: int) -> Message | None:
        """See `Outbox.resolve`."""
        status = "sent" if as_ == "sent" else "queued"
        attempt = _json(_told(Attempt(now, "resolved", as_)))
        resolved = await self._link.fetch(
            queries.RESOLVE, self._workspace, UUID(bytes=id_), status, from_micros(now), attempt
        )
        message = await self.find(id_)
        if message is not None and not resolved:
            raise NoDoubt(f"it is {message.status}")
        return message

    async def close(self) -> None:
        """See `Outbox.close`."""
        workers, self._workers = self._workers, []
        for worker in workers:
            await worker.close()
        await self._link.close()
        try:
            async with asyncio.timeout(1.0):
                await self._pool.close()
        except FAILURES:
            self._pool.terminate()


class PostgresOutboxWorker:
    """See `OutboxWorker`."""

    def __init__(self, session: WorkerSession, workspace: str, epoch: int, mark: int) -> None:
        self._session = session
        self._workspace = workspace
        self._epoch = epoch
        self._mark = mark

    @property
    def mark(self) -> int:
        """See `OutboxWorker.mark`."""
        return self._mark

    async def put(
        self, messages: Sequence[Message], *, mark: int | None, now: int, woken: Collection[bytes] = ()
    ) -> None:
        """See `OutboxWorker.put`."""
        work: list[Statement] = []
        if messages:
            work.append((queries.PUT, *_rows(messages)))
        if woken:
            work.append((queries.WAKE, [UUID(bytes=one) for one in woken], from_micros(now)))
        if mark is not None:
            work.append((queries.MOVE_MARK, mark))
        await self._write(work)
        self._mark = self._mark if mark is None else mark

    async def claim(self, *, limit: int, now: int) -> Sequence[Message]:
        """See `OutboxWorker.claim`."""
        rows = await self._fetch(queries.CLAIM, from_micros(now), limit, self._epoch)
        return sorted((_message(row) for row in rows), key=lambda one: one.due_at)

    async def doubts(self, *, limit: int, now: int) -> Sequence[Message]:
        """See `OutboxWorker.doubts`."""
        return [_message(row) for row in await self._fetch(queries.DOUBTS, from_micros(now), limit, self._epoch)]

    async def settle(self, settled: Sequence[Settled]) -> None:
        """See `OutboxWorker.settle`."""
        if not settled:
            return
        columns = (
            [UUID(bytes=one.id) for one in settled],
            [one.status for one in settled],
            [one.to for one in settled],
            [one.subject for one in settled],
            [_moment(one.due_at) for one in settled],
            [_moment(one.sent_at) for one in settled],
            [None if one.reason is None else tidy(one.reason) for one in settled],
            [None if one.attempt is None else _json(_told(one.attempt)) for one in settled],
            [None if one.profile is None else UUID(bytes=one.profile) for one in settled],
        )
        await self._write([(queries.SETTLE, *columns, MOST_ATTEMPTS)])

    async def clock_set(self, by: int, *, now: int) -> None:
        """See `OutboxWorker.clock_set`."""
        since = from_micros(now - by)
        made_before = None if by < 0 else since
        await self._write([(queries.CLOCK_SET, timedelta(microseconds=by), min(from_micros(now), since), made_before)])

    async def forget(self, before: int) -> None:
        """See `OutboxWorker.forget`."""
        await self._write([(queries.FORGET, from_micros(before))])

    async def close(self) -> None:
        """See `OutboxWorker.close`."""
        await self._session.close()

    async def _fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._session.fetch(query, self._workspace, *args)

    async def _write(self, work: Sequence[Statement]) -> None:
        await self._session.write([(query, self._workspace, *args) for query, *args in work])


def _rows(messages: Sequence[Message]) -> tuple[list[Any], ...]:
    return (
        [UUID(bytes=one.id) for one in messages],
        [one.message_id for one in messages],
        [one.template for one in messages],
        [one.to for one in messages],
        [None if one.profile is None else UUID(bytes=one.profile) for one in messages],
        [one.campaign for one in messages],
        [one.number for one in messages],
        [one.data for one in messages],
        [from_micros(one.created_at) for one in messages],
        [from_micros(one.due_at) for one in messages],
    )


def _moment(at: int | None) -> datetime | None:
    return None if at is None else from_micros(at)


def _told(attempt: Attempt) -> list[Any]:
    # A mail service may say anything.
    return [attempt.at, attempt.outcome, tidy(attempt.detail)]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=row["id"].bytes,
        message_id=row["message_id"],
        template=row["template"],
        to=row["recipient"],
        profile=None if row["profile_id"] is None else row["profile_id"].bytes,
        campaign=row["campaign"],
        number=row["number"],
        data=row["data"],
        status=row["status"],
        subject=row["subject"],
        reason=row["reason"],
        created_at=to_micros(row["created_at"]),
        due_at=to_micros(row["due_at"]),
        sent_at=None if row["sent_at"] is None else to_micros(row["sent_at"]),
        attempts=tuple(Attempt(*one) for one in msgspec.json.decode(row["attempts"])),
    )


def _remembered(row: asyncpg.Record) -> Remembered:
    return Remembered(
        route=row["route"],
        key=row["key"],
        request_hash=row["request_hash"],
        status=row["status"],
        body=row["body"],
        at=to_micros(row["created_at"]),
    )
