"""The one writer of a name: checkpoints into PostgreSQL, each in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any
from uuid import UUID

import asyncpg

from obverse.adapters.postgres import group_queries
from obverse.adapters.postgres import history_queries as history
from obverse.adapters.postgres import profile_queries as queries
from obverse.adapters.postgres import profile_slices as cut
from obverse.adapters.postgres.binary_rows import HEADER, TRAILER, tidy
from obverse.adapters.postgres.connection import FAILURES, connect, hang_up, trouble
from obverse.adapters.postgres.event_log_rows import from_micros
from obverse.adapters.postgres.group_rows import columns_of
from obverse.adapters.postgres.history_rows import DECISION_COLUMNS, pack_decisions
from obverse.adapters.postgres.profile_rows import (
    CLAIM_COLUMNS,
    EVENT_COLUMNS,
    LEGIBLE_COLUMNS,
    MEMBER_COLUMNS,
    PROFILE_COLUMNS,
    REJECTED_COLUMNS,
    EventRows,
    PackedRows,
    pack_claims,
    pack_members,
    pack_profiles,
    pack_rejected,
    unpack_events,
)
from obverse.core.identity import SetAside
from obverse.ports.event_log import Stream
from obverse.ports.groups import GroupRow
from obverse.ports.profile_store import Checkpoint, Fenced, Marks, PackedEvents, ProfileRow, StoredEvent
from obverse.ports.runtime import Runtime

CONNECT_LIMIT = 1.0
"""Seconds after which a server that does not answer is said to be unreachable."""

COMMIT_LIMIT = 120.0
"""Seconds after which a commit without an answer is given up: nothing is known of it then."""

LOST = (*FAILURES, asyncpg.InternalClientError)
"""All that a call can raise, also when the server says farewell in the midst of something else."""

_LOCK_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Name:
    """Whose writer, and which."""

    workspace: str
    writer: str

    def lock_key(self) -> int:
        """The advisory lock that the one writer holds: 64 bits, signed, as PostgreSQL wants it."""
        name = f"profile_store\0{self.workspace}\0{self.writer}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


async def become_writer(dsn: str, name: Name, runtime: Runtime) -> PostgresWriter:
    """
    Open a writer, waiting for the former one of this name to go.

    Raises:
        one of connection.FAILURES: the server does not answer.
    """
    connection = await connect(dsn, f"writes profiles for {name.writer}", limit=CONNECT_LIMIT)
    try:
        await connection.execute(queries.SETTLE)
        # Asked again and again, because a statement that waits would hold a snapshot all the while.
        while not await connection.fetchval(queries.LOCK, name.lock_key()):
            await runtime.sleep(_LOCK_PAUSE)
        epoch = await connection.fetchval(queries.TAKE_OVER, name.workspace, name.writer)
        marks: dict[Stream, dict[int, int]] = {}
        for stream, partition, offset in await connection.fetch(queries.MARKS, name.workspace, name.writer):
            marks.setdefault(Stream(stream), {})[partition] = offset
    except BaseException:
        connection.terminate()
        raise
    return PostgresWriter(connection, name, epoch, marks, runtime)


GiveWay = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Figures:
    """What a checkpoint adds to the figures of the workspace."""

    profiles: int = 0
    merges: int = 0
    events: int = 0
    rejected: int = 0


class PostgresWriter:
    """
    See `StoreWriter`.

    The lock belongs to the server's session: when the connection dies it is free only after the server has finished
    or undone what was under way, so the marks that the next writer reads are final.
    """

    def __init__(self, connection: asyncpg.Connection, name: Name, epoch: int, marks: Marks, runtime: Runtime) -> None:
        self._connection = connection
        self._name = name
        self._epoch = epoch
        self._marks = marks
        self._runtime = runtime
        self._event_rows = EventRows(name.workspace)
        self._turn = asyncio.Lock()
        self._limit: asyncio.Timeout | None = None
        self._give_way: GiveWay = partial(runtime.sleep, 0)
        connection.add_termination_listener(self._give_up)

    @property
    def marks(self) -> Marks:
        """See `StoreWriter.marks`."""
        return self._marks

    def pack(self, events: Sequence[StoredEvent]) -> PackedEvents:
        """See `StoreWriter.pack`."""
        return PackedRows(self._event_rows.pack(events), len(events))

    async def commit(self, checkpoint: Checkpoint, give_way: GiveWay | None = None) -> None:
        """See `StoreWriter.commit`. A writer that has failed writes no more."""
        give_way = give_way or partial(self._runtime.sleep, 0)
        work = await cut.arrange(checkpoint, give_way)
        async with self._turn:
            self._give_way = give_way
            try:
                await self._write_in_time(checkpoint, work)
            except LOST as error:
                self._connection.terminate()
                raise trouble(
                    error, f"write a checkpoint of {self._name.writer}, which must be opened again"
                ) from error
            except BaseException:
                self._connection.terminate()
                raise
            self._marks = {
                stream: {**self._marks.get(stream, {}), **checkpoint.marks.get(stream, {})}
                for stream in {**self._marks, **checkpoint.marks}
            }

    async def close(self) -> None:
        """See `StoreWriter.close`."""
        await hang_up(self._connection)

    async def _write_in_time(self, checkpoint: Checkpoint, work: cut.Work) -> None:
        try:
            async with asyncio.timeout(COMMIT_LIMIT) as self._limit:
                await self._write_somehow(checkpoint, work)
        except TimeoutError as error:
            if self._connection.is_closed():
                raise asyncpg.ConnectionDoesNotExistError("the connection was lost") from error
            raise
        finally:
            self._limit = None

    def _give_up(self, _: Any) -> None:
        """Wait no longer: a COPY that waits for room to write would not hear that the connection was lost."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def _write_somehow(self, checkpoint: Checkpoint, work: cut.Work) -> None:
        if checkpoint.events:
            # In a transaction of its own, for it locks what other writers need.
            await self._connection.fetchval(queries.PREPARE, checkpoint.count)
        try:
            await self._write(checkpoint, work, careful=False)
        except asyncpg.DataError:
            # Some text is not what it should be. No event may hold up those that follow it: look at each.
            await self._connection.execute("rollback")
            await self._write(checkpoint, work, careful=True)

    async def _write(self, checkpoint: Checkpoint, work: cut.Work, *, careful: bool) -> None:
        workspace = self._name.workspace
        figures = _Figures(events=checkpoint.count, rejected=len(checkpoint.rejected))
        await self._connection.execute("begin")
        epoch = await self._connection.fetchval(queries.FENCE, workspace, self._name.writer)
        if epoch != self._epoch:
            raise Fenced(f"another writer has taken over {self._name.writer}; open the writer again")
        await self._write_profiles(work.profiles, figures, careful=careful)
        await self._claim(checkpoint, work)
        await self._set_aside(checkpoint.set_aside)
        await self._absorb(work.keepers, figures)
        await self._part(checkpoint)
        await self._write_groups(checkpoint.groups, careful=careful)
        # Some hundreds at a time, so that the server is not woken for a few rows.
        packed = cut.bundles(checkpoint.events, cut.EVENTS)
        pack_events = partial(_rows_of, EventRows(workspace, careful=True) if careful else None)
        await self._copy("event_stream", EVENT_COLUMNS, packed, 1, pack_events)
        pack, columns = partial(pack_rejected, workspace, careful=careful), (*REJECTED_COLUMNS, *LEGIBLE_COLUMNS)
        await self._copy("rejected_events", columns, checkpoint.rejected, cut.REJECTED, pack)
        pack_them = partial(pack_decisions, workspace)
        await self._copy("identity_decisions", DECISION_COLUMNS, checkpoint.decisions, cut.DECISIONS, pack_them)
        await self._mark(checkpoint.marks, figures)
        await self._connection.execute("commit")

    async def _write_profiles(self, profiles: Sequence[ProfileRow], figures: _Figures, *, careful: bool) -> None:
        workspace = self._name.workspace
        pack = partial(pack_profiles, careful=careful)
        for some in cut.slices(profiles, cut.WRITTEN):
            await self._stage("profiles", PROFILE_COLUMNS, some, cut.PROFILES, pack)
            moved = [row for row in some if row.audiences is not None]
            await self._stage("members", MEMBER_COLUMNS, moved, cut.PROFILES, pack_members)
            written, people, returned = await self._connection.fetchrow(queries.WRITE_PROFILES, workspace)
            if written != len(some):
                raise ValueError(f"{len(some) - written} of {len(some)} profiles belong to another workspace")
            figures.profiles += people
            figures.merges -= returned
            if moved:
                await self._connection.execute(queries.REMOVE_MEMBERS, workspace)
                await self._connection.execute(queries.ADD_MEMBERS, workspace)
            await self._connection.execute(queries.EMPTY)
            await self._give_way()

    async def _claim(self, checkpoint: Checkpoint, work: cut.Work) -> None:
        owners: dict[str, bytes] = {}
        for rows in cut.slices(checkpoint.profiles, cut.PROFILES):
            cut.claim(rows, work.keepers, owners)
            await self._give_way()
        for some in cut.slices(list(owners.items()), cut.WRITTEN):
            await self._stage("identifiers", CLAIM_COLUMNS, some, cut.CLAIMS, pack_claims)
            await self._connection.execute(queries.CLAIM, self._name.workspace)
            await self._connection.execute(queries.EMPTY)
            await self._give_way()

    async def _set_aside(self, some: Sequence[SetAside]) -> None:
        if some:
            last = {tidy(one.identifier): one for one in some}
            rows = [(name, one.profiles, tidy(one.event), from_micros(one.at)) for name, one in last.items()]
            columns = [list(column) for column in zip(*rows, strict=True)]
            await self._connection.execute(queries.SET_ASIDE, self._name.workspace, *columns)

    async def _part(self, checkpoint: Checkpoint) -> None:
        """Write what unmerges have done beside the profiles, and what became of requests."""
        for some in cut.slices(sorted(checkpoint.moved.items()), cut.WRITTEN):
            events, profiles = [event for event, _ in some], [UUID(bytes=profile) for _, profile in some]
            await self._connection.execute(history.MOVE_EVENTS, self._name.workspace, events, profiles)
            await self._give_way()
        if checkpoint.nobodys:
            names = [tidy(one) for one in checkpoint.nobodys]
            await self._connection.execute(history.RELEASE, self._name.workspace, names)
        if checkpoint.settled:
            told = [(tidy(one), outcome.done, tidy(outcome.detail)) for one, outcome in checkpoint.settled.items()]
            columns = [list(column) for column in zip(*told, strict=True)]
            await self._connection.execute(history.SETTLE_IDENTITY, self._name.workspace, *columns)

    async def _write_groups(self, groups: Sequence[GroupRow], *, careful: bool) -> None:
        # In order, so that two writers never wait for each other.
        last = sorted({row.id: row for row in groups}.items())
        for some in cut.slices([row for _, row in last], cut.GROUPS):
            columns = columns_of(some, careful=careful)
            await self._connection.execute(group_queries.WRITE, self._name.workspace, *columns)
            await self._give_way()

    async def _absorb(self, keepers: Mapping[bytes, bytes], figures: _Figures) -> None:
        for part in cut.slices(sorted(keepers), cut.CLAIMS):
            lost = [UUID(bytes=one) for one in part]
            into = [UUID(bytes=keepers[one]) for one in part]
            merges, people = await self._connection.fetchrow(queries.ABSORB, self._name.workspace, lost, into)
            figures.merges += merges
            figures.profiles -= people
            await self._connection.execute(queries.SHORTEN, self._name.workspace, lost)
            await self._connection.execute(queries.LEAVE, self._name.workspace, lost)

    async def _stage(
        self, what: str, columns: Sequence[str], items: Sequence[Any], size: int, pack: Callable[[Any], bytes]
    ) -> None:
        await self._copy(f"staged_{what}", columns, items, size, pack, schema="pg_temp")

    async def _copy(
        self,
        table: str,
        columns: Sequence[str],
        items: Sequence[Any],
        size: int,
        pack: Callable[[Any], bytes],
        *,
        schema: str = "public",
    ) -> None:
        if items:
            source = self._packed(items, size, pack)
            await self._connection.copy_to_table(
                table, schema_name=schema, columns=columns, source=source, format="binary"
            )

    async def _packed(self, items: Sequence[Any], size: int, pack: Callable[[Any], bytes]) -> AsyncIterator[bytes]:
        yield HEADER
        for part in cut.slices(items, size):
            if self._connection.is_closed():
                raise asyncpg.ConnectionDoesNotExistError("the connection was lost")
            yield pack(part)
            await self._give_way()
        yield TRAILER

    async def _mark(self, marks: Marks, figures: _Figures) -> None:
        places = [(stream, part, offset) for stream, offsets in marks.items() for part, offset in offsets.items()]
        await self._connection.execute(
            queries.MARK,
            self._name.workspace,
            self._name.writer,
            figures.profiles,
            figures.merges,
            figures.events,
            figures.rejected,
            [stream for stream, _, _ in places],
            [part for _, part, _ in places],
            [offset for _, _, offset in places],
        )


def _rows_of(careful: EventRows | None, bundle: Sequence[Sequence[PackedEvents]]) -> bytes:
    """Rows as they are packed; or packed anew, each text looked at by itself."""
    rows = []
    for packed in bundle[0]:
        if not isinstance(packed, PackedRows):
            raise TypeError(f"another adapter has packed {type(packed).__name__}")
        rows.append(packed.rows if careful is None else careful.pack(unpack_events(packed.rows)))
    return b"".join(rows)
