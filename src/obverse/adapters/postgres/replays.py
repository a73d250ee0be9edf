"""The ledger of replays in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import msgspec

from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.adapters.postgres.worker_session import WorkerSession
from obverse.core.replays import Report, Wanted
from obverse.ports.replays import OPEN, NotOpen, Replay, Replays, ReplayStage, ReplaysWorker
from obverse.ports.runtime import Runtime

_COLUMNS: Final = (
    "replay_id, wanted::text as wanted, asked_by, asked_at, state, done, plan::text as plan, confirmed_by, "
    "result::text as result, reason, settled_at"
)
_ASK: Final = """
insert into public.replays (workspace_id, wanted, asked_by, asked_at) values ($1, $2::text::jsonb, $3, $4)
returning replay_id
"""
_FIND: Final = f"select {_COLUMNS} from public.replays where workspace_id = $1 and replay_id = $2"  # noqa: S608 - a part of our own
_PAGE: Final = f"""
select {_COLUMNS} from public.replays where workspace_id = $1 and ($2::bigint is null or replay_id < $2)
order by replay_id desc limit $3
"""  # noqa: S608 - as above
_NEXT: Final = f"""
select {_COLUMNS} from public.replays where workspace_id = $1 and state in ('planning', 'running')
order by replay_id limit 1
"""  # noqa: S608 - as above
_CONFIRM: Final = f"""
update public.replays set state = 'running', done = 0, confirmed_by = $4
where workspace_id = $1 and replay_id = $2 and state = any ($3::text[]) returning {_COLUMNS}
"""  # noqa: S608 - as above
_CANCEL: Final = f"""
update public.replays set state = 'cancelled', settled_at = $4
where workspace_id = $1 and replay_id = $2 and state = any ($3::text[]) returning {_COLUMNS}
"""  # noqa: S608 - as above
_PROGRESS: Final = """
update public.replays set done = $4 where workspace_id = $1 and replay_id = $2 and state = any ($3::text[])
returning replay_id
"""
_PLANNED: Final = """
update public.replays set state = 'planned', plan = $4::text::jsonb
where workspace_id = $1 and replay_id = $2 and state = any ($3::text[]) returning replay_id
"""
_SETTLE: Final = """
update public.replays set state = $4, settled_at = $5, result = $6::text::jsonb, reason = $7
where workspace_id = $1 and replay_id = $2 and state = any ($3::text[]) returning replay_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresReplaysSettings:
    """The `[replays.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    workspace: str = "main"


async def open_replays(settings: PostgresReplaysSettings, runtime: Runtime) -> Replays:
    """Entry point `obverse.replays:postgres`. Nothing is connected before it is needed."""
    return PostgresReplays(settings, runtime)


class PostgresReplays:
    """See `Replays`."""

    def __init__(self, settings: PostgresReplaysSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._workspace = settings.workspace
        self._runtime = runtime
        self._link = Link(settings.dsn, "keeps replays")

    async def open_worker(self) -> ReplaysWorker:
        """See `Replays.open_worker`."""
        name = f"replays {self._workspace}"
        session = await WorkerSession.open(self._settings.dsn, "replays", name, self._runtime)
        return PostgresReplaysWorker(session, self._workspace)

    async def ask(self, wanted: Wanted, *, by: str, at: int) -> int:
        """See `Replays.ask`."""
        ((id_,),) = await self._fetch(_ASK, _text(wanted), tidy(by), from_micros(at))
        return int(id_)

    async def find(self, id_: int) -> Replay | None:
        """See `Replays.find`."""
        rows = await self._fetch(_FIND, id_)
        return _replay(rows[0]) if rows else None

    async def page(self, *, limit: int, before: int | None = None) -> Sequence[Replay]:
        """See `Replays.page`."""
        return [_replay(row) for row in await self._fetch(_PAGE, before, limit)]

    async def confirm(self, id_: int, *, by: str) -> Replay | None:
        """See `Replays.confirm`."""
        return await self._go_on(_CONFIRM, id_, [ReplayStage.PLANNED], tidy(by))

    async def cancel(self, id_: int, *, at: int) -> Replay | None:
        """See `Replays.cancel`."""
        return await self._go_on(_CANCEL, id_, OPEN, from_micros(at))

    async def _go_on(self, query: str, id_: int, states: Collection[ReplayStage], given: Any) -> Replay | None:
        rows = await self._fetch(query, id_, [one.value for one in states], given)
        if rows:
            return _replay(rows[0])
        known = await self.find(id_)
        if known is not None:
            raise NotOpen(f"it is {known.state}")
        return None

    async def close(self) -> None:
        """See `Replays.close`."""
        await self._link.close()

    async def _fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._link.fetch(query, self._workspace, *args)


class PostgresReplaysWorker:
    """See `ReplaysWorker`."""

    def __init__(self, session: WorkerSession, workspace: str) -> None:
        self._session = session
        self._workspace = workspace

    async def next(self) -> Replay | None:
        """See `ReplaysWorker.next`."""
        rows = await self._session.fetch(_NEXT, self._workspace)
        return _replay(rows[0]) if rows else None

    async def progress(self, id_: int, done: int) -> bool:
        """See `ReplaysWorker.progress`."""
        return await self._note(_PROGRESS, id_, done)

    async def planned(self, id_: int, plan: Report) -> bool:
        """See `ReplaysWorker.planned`."""
        return await self._note(_PLANNED, id_, _text(plan))

    async def settle(
        self, id_: int, state: ReplayStage, *, at: int, result: Report | None = None, reason: str | None = None
    ) -> bool:
        """See `ReplaysWorker.settle`."""
        told = None if result is None else _text(result)
        return await self._note(
            _SETTLE, id_, state.value, from_micros(at), told, None if reason is None else tidy(reason)
        )

    async def _note(self, query: str, id_: int, *given: Any) -> bool:
        states = [one.value for one in OPEN]
        return bool(await self._session.fetch(query, self._workspace, id_, states, *given))

    async def close(self) -> None:
        """See `ReplaysWorker.close`."""
        await self._session.close()


def _text(told: Wanted | Report) -> str:
    return msgspec.json.encode(told).decode()


def _replay(row: asyncpg.Record) -> Replay:
    return Replay(
        id=row["replay_id"],
        wanted=msgspec.json.decode(row["wanted"], type=Wanted),
        by=row["asked_by"],
        asked_at=to_micros(row["asked_at"]),
        state=ReplayStage(row["state"]),
        done=row["done"],
        plan=_report(row["plan"]),
        confirmed_by=row["confirmed_by"],
        result=_report(row["result"]),
        reason=row["reason"],
        settled_at=None if row["settled_at"] is None else to_micros(row["settled_at"]),
    )


def _report(text: str | None) -> Report | None:
    return None if text is None else msgspec.json.decode(text, type=Report)
