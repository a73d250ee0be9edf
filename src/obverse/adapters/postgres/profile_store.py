"""Profiles in PostgreSQL: the two tables that plain SQL reads, and what an engine needs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from obverse.adapters.postgres import group_queries
from obverse.adapters.postgres import history_queries as history
from obverse.adapters.postgres import profile_queries as queries
from obverse.adapters.postgres.backfills import PostgresBackfills
from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.connection import connect, trouble
from obverse.adapters.postgres.event_log_rows import from_micros
from obverse.adapters.postgres.history_rows import pack_waiting, unpack_decision, unpack_request, unpack_waiting
from obverse.adapters.postgres.people_of_spans import PostgresPeopleOfSpans
from obverse.adapters.postgres.profile_rows import LONGEST_TYPE, to_micros, unpack_event, unpack_rejected
from obverse.adapters.postgres.profile_writer import CONNECT_LIMIT, LOST, Name, become_writer
from obverse.adapters.postgres.reading import READ_LIMIT
from obverse.adapters.postgres.replay_turns import PostgresReplayTurn
from obverse.adapters.postgres.selections import PostgresSelections
from obverse.adapters.postgres.trait_values import PostgresTraitValues
from obverse.core import profiles, times
from obverse.core.events import Event, RejectedEvent
from obverse.core.history import PastEvent
from obverse.core.identity import SetAside, id_named
from obverse.ports.event_log import Stream
from obverse.ports.identifier_owners import Owners
from obverse.ports.identity_requests import IdentityRequest
from obverse.ports.profile_history import KeptDecision, Remains
from obverse.ports.profile_store import (
    KeptRejected,
    Marks,
    Member,
    Overview,
    ProfileStore,
    RejectedCount,
    RejectedFilter,
    ReplayState,
    StoreWriter,
)
from obverse.ports.replay_turns import ReplayTurn
from obverse.ports.runtime import Runtime

_PAGE = 20_000
"""Identifiers that are fetched at once, of all."""

_LAST_ID = 2**63 - 1
_HIGHEST = chr(0x10FFFF)
_FIRST_SURROGATE, _AFTER_SURROGATES = 0xD800, 0xE000


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresStoreSettings:
    """The `[profile_store.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    """Where PostgreSQL is. A pooler in between must keep sessions, for the writer's lock is the session's."""

    workspace: str = "main"
    pool_size: int = 4
    """Connections for reading, at most; each writer has one of its own."""

    def __post_init__(self) -> None:
        if not self.workspace or len(self.workspace.encode()) > 200:  # noqa: PLR2004 - said in the message
            raise ValueError(f"profile_store.workspace is {self.workspace!r}: give it 1 to 200 bytes")
        if not 1 <= self.pool_size <= 1000:  # noqa: PLR2004 - said in the message
            raise ValueError(f"profile_store.pool_size is {self.pool_size}: choose 1 to 1000")


async def open_profile_store(settings: PostgresStoreSettings, runtime: Runtime) -> ProfileStore:
    """
    Entry point `obverse.profile_store:postgres`.

    Nothing is connected before it is needed, so that a process can start before its server. The schema
    must be there (`schema.migrate`).
    """

    async def connect_reader(*_: Any, **__: Any) -> asyncpg.Connection:
        """Open a connection for the pool, whose own wishes we do not need."""
        # A plan that is made anew fits the tables as they are now, and looks only at the partitions that can matter.
        setup = "set plan_cache_mode = force_custom_plan"
        return await connect(settings.dsn, "reads profiles", setup=setup, limit=CONNECT_LIMIT)

    # Nobody changes a reader's settings, so that nothing needs to be undone when it is given back.
    readers = asyncpg.create_pool(min_size=0, max_size=settings.pool_size, connect=connect_reader, reset=_leave_it)
    await readers
    return PostgresProfileStore(settings, readers, runtime)


async def _leave_it(_: Any) -> None:
    """Spare a round trip."""


class PostgresProfileStore(PostgresSelections, PostgresTraitValues, PostgresBackfills, PostgresPeopleOfSpans):
    """See `ProfileStore`."""

    def __init__(self, settings: PostgresStoreSettings, readers: asyncpg.Pool, runtime: Runtime) -> None:
        super().__init__(settings.workspace, readers)
        self._settings = settings
        self._runtime = runtime
        self._writers: list[StoreWriter | ReplayTurn] = []

    async def open_writer(self, name: str) -> StoreWriter:
        """See `ProfileStore.open_writer`."""
        try:
            writer = await become_writer(self._settings.dsn, Name(self._settings.workspace, name), self._runtime)
        except LOST as error:
            raise trouble(error, f"open the writer {name}") from error
        self._writers.append(writer)
        return writer

    async def open_replay_turn(self) -> ReplayTurn:
        """See `ReplayTurns.open_replay_turn`."""
        settings = self._settings
        turn = await PostgresReplayTurn.open(settings.dsn, settings.workspace, self._runtime)
        self._writers.append(turn)
        return turn

    async def load(self, identifiers: Collection[str], ids: Collection[bytes] = ()) -> Sequence[bytes]:
        """See `ProfileStore.load`."""
        if not identifiers and not ids:
            return []
        rows = await self._read(queries.LOAD, [tidy(one) for one in identifiers], [UUID(bytes=one) for one in ids])
        return [_packed(row) for row in rows]

    async def load_named(self, names: Collection[str]) -> Mapping[str, bytes]:
        """See `NamedProfiles.load_named`."""
        if not names:
            return {}
        sent = {tidy(name): name for name in names}
        ids = {name: UUID(bytes=one) for name in sent if (one := id_named(name)) is not None}
        rows = await self._read(queries.LOAD_NAMED, list(sent), list(ids), list(ids.values()))
        return {sent[row["name"]]: _packed(row) for row in rows}

    async def set_aside(self) -> Sequence[SetAside]:
        """See `ProfileStore.set_aside`."""
        rows = await self._read(queries.ALL_SET_ASIDE)
        return [SetAside(row["identifier"], row["profiles"], row["event"], to_micros(row["at"])) for row in rows]

    async def people(self, *, limit: int, after: bytes | None = None) -> Sequence[bytes]:
        """See `ProfileStore.people`."""
        rows = await self._read(queries.PEOPLE, UUID(bytes=after or bytes(16)), limit)
        return [row["id"].bytes for row in rows]

    async def due(
        self, before: int, *, limit: int, after: tuple[int, bytes] | None = None
    ) -> Sequence[tuple[int, bytes]]:
        """See `DueProfiles.due`."""
        at, one = after or (times.EARLIEST, bytes(16))
        moments = [from_micros(times.clamp(instant)) for instant in (before, at)]
        rows = await self._read(queries.DUE, *moments, UUID(bytes=one), limit)
        return [(row["at"], row["id"].bytes) for row in rows]

    async def search(
        self, prefixes: Collection[str], *, limit: int, after: str | None = None
    ) -> Sequence[tuple[str, bytes]]:
        """See `ProfileStore.search`."""
        lows = [tidy(one) for one in prefixes]
        rows = await self._read(queries.SEARCH, lows, [_beyond(one) for one in lows], tidy(after or ""), limit)
        return [(row["identifier"], _packed(row)) for row in rows]

    async def members(self, audience: str, *, limit: int, after: bytes | None = None) -> Sequence[Member]:
        """See `ProfileStore.members`."""
        rows = await self._read(queries.MEMBERS, tidy(audience), UUID(bytes=after or bytes(16)), limit)
        return [Member(row["profile_id"].bytes, row["number"], row["since"], _packed(row)) for row in rows]

    async def events_of(self, profile: bytes, *, limit: int, before: int | None = None) -> Sequence[tuple[int, Event]]:
        """See `ProfileStore.events_of`."""
        last = _LAST_ID if before is None else before
        rows = await self._read(queries.EVENTS_OF, UUID(bytes=profile), limit, last)
        return [(row["event_id"], unpack_event(row)) for row in rows]

    async def decided(self) -> int:
        """See `ProfileHistory.decided`."""
        ((offset,),) = await self._read(history.DECIDED)
        return int(offset)

    async def decisions_of(self, profile: bytes) -> Sequence[KeptDecision]:
        """See `ProfileHistory.decisions_of`."""
        return [unpack_decision(row) for row in await self._read(history.DECISIONS_OF, UUID(bytes=profile))]

    async def past_events(
        self, profiles: Collection[bytes], *, until: int, limit: int, after: int = 0
    ) -> Sequence[PastEvent]:
        """See `ProfileHistory.past_events`."""
        ids = [UUID(bytes=one) for one in profiles]
        rows = await self._read(history.PAST_EVENTS, ids, from_micros(times.clamp(until)), after, limit)
        return [
            PastEvent(
                row["event_id"], row["profile_id"].bytes, row["log_partition"], row["log_offset"], unpack_event(row)
            )
            for row in rows
        ]

    async def remains(self, profiles: Collection[bytes]) -> Remains:
        """See `ProfileHistory.remains`."""
        rows = await self._read(history.REMAINS, [UUID(bytes=one) for one in profiles])
        since = rows[0]["since"]
        people = [_packed(row) for row in rows if row["state"] is not None]
        return Remains(people, rows[0]["events"], None if since is None else to_micros(since))

    async def rejected(
        self, wanted: RejectedFilter | None = None, *, limit: int, before: int | None = None
    ) -> Sequence[KeptRejected]:
        """See `ProfileStore.rejected`."""
        last = _LAST_ID if before is None else before
        return [unpack_rejected(row) for row in await self._read(queries.REJECTED, *_chosen(wanted), last, limit)]

    async def rejected_counts(self) -> Sequence[RejectedCount]:
        """See `ProfileStore.rejected_counts`."""
        rows = await self._read(queries.REJECTED_COUNTS)
        return [RejectedCount(row["source"], row["code"], ReplayState(row["state"]), row["count"]) for row in rows]

    async def ask_replay(self, wanted: RejectedFilter, *, correction: bytes | None = None) -> Sequence[int]:
        """See `ProfileStore.ask_replay`."""
        return [row["rejected_id"] for row in await self._read(queries.ASK_REPLAY, *_chosen(wanted), correction)]

    async def waiting_replays(self, *, limit: int) -> Sequence[KeptRejected]:
        """See `ProfileStore.waiting_replays`."""
        return [unpack_rejected(row) for row in await self._read(queries.WAITING_REPLAYS, limit)]

    async def settle_replay(self, one: int, *, at: int, again: RejectedEvent | None = None) -> None:
        """See `ProfileStore.settle_replay`."""
        told = (None, None, None) if again is None else (tidy(again.code), tidy(again.reason), again.field)
        await self._read(queries.SETTLE_REPLAY, one, from_micros(at), *told)

    async def ask_identity(self, request: IdentityRequest) -> bool:
        """See `IdentityRequests.ask_identity`."""
        told = [tidy(one) for one in (request.id, request.kind, request.one, request.other, request.by, request.why)]
        return bool(await self._read(history.ASK_IDENTITY, *told, from_micros(request.asked_at)))

    async def waiting_identity(self, *, limit: int) -> Sequence[IdentityRequest]:
        """See `IdentityRequests.waiting_identity`."""
        return [unpack_request(row) for row in await self._read(history.WAITING_IDENTITY, limit)]

    async def identity_request(self, one: str) -> IdentityRequest | None:
        """See `IdentityRequests.identity_request`."""
        rows = await self._read(history.IDENTITY_REQUEST, tidy(one))
        return unpack_request(rows[0]) if rows else None

    async def load_groups(self, ids: Collection[str]) -> Sequence[bytes]:
        """See `Groups.load_groups`."""
        rows = await self._read(group_queries.LOAD, [tidy(one) for one in ids]) if ids else []
        return [row["packed"] for row in rows]

    async def groups(self, prefix: str, *, limit: int, after: str | None = None) -> Sequence[bytes]:
        """See `Groups.groups`."""
        low = tidy(prefix)
        rows = await self._read(group_queries.PAGE, low, _beyond(low), tidy(after or ""), limit)
        return [row["packed"] for row in rows]

    async def group_members(self, group: str, *, limit: int, after: bytes | None = None) -> Sequence[bytes]:
        """See `Groups.group_members`."""
        rows = await self._read(group_queries.MEMBERS, tidy(group), UUID(bytes=after or bytes(16)), limit)
        return [_packed(row) for row in rows]

    async def group_size(self, group: str) -> int:
        """See `Groups.group_size`."""
        ((members,),) = await self._read(group_queries.SIZE, tidy(group))
        return int(members)

    async def owners(self, writer: str) -> Owners:
        """See `ProfileStore.owners`."""
        workspace, owned = self._settings.workspace, dict[str, bytes]()
        try:
            async with (
                self._readers.acquire() as reader,
                reader.transaction(isolation="repeatable_read", readonly=True),
            ):
                marks = await reader.fetch(queries.MARKS_OF, workspace, tidy(writer), timeout=READ_LIMIT)
                refused = await reader.fetch(queries.REFUSED, workspace)
                accepted = await reader.fetch(queries.ACCEPTED, workspace)
                set_aside = await reader.fetch(queries.ALL_SET_ASIDE, workspace, timeout=READ_LIMIT)
                cursor = await reader.cursor(queries.OWNERS, workspace)
                ids: dict[bytes, bytes] = {}  # one object for each profile, however many identifiers it has
                while page := await cursor.fetch(_PAGE, timeout=READ_LIMIT):
                    for identifier, profile in page:
                        owned[identifier] = ids.setdefault(profile.bytes, profile.bytes)
        except LOST as error:
            raise trouble(error, "read who has which identifier") from error
        return Owners(
            marks=_marks(marks),
            profiles=owned,
            refused={row["rule"]: row["count"] for row in refused},
            undone=frozenset((one, other) for row in refused for one, other in row["undone"] or ()),
            accepted=frozenset((row["one"], row["other"]) for row in accepted),
            set_aside=len(set_aside),
        )

    async def ask_event(self, event: Event) -> bool:
        """See `WaitingEvents.ask_event`."""
        named = (tidy(event.message_id), tidy(event.source), tidy(event.type))
        return bool(await self._read(history.ASK_EVENT, *named, pack_waiting(event)))

    async def ask_events(self, events: Sequence[Event]) -> None:
        """See `WaitingEvents.ask_events`."""
        named = [(tidy(one.message_id), tidy(one.source), tidy(one.type), pack_waiting(one)) for one in events]
        if named:
            await self._read(history.ASK_EVENTS, *map(list, zip(*named, strict=True)))

    async def forget_events(self, source: str, *, before: int) -> None:
        """See `WaitingEvents.forget_events`."""
        await self._read(history.FORGET_EVENTS, tidy(source), from_micros(before))

    async def waiting_events(self, *, limit: int) -> Sequence[Event]:
        """See `WaitingEvents.waiting_events`."""
        return [unpack_waiting(row["packed"]) for row in await self._read(history.WAITING_EVENTS, limit)]

    async def settle_event(self, message_id: str, *, at: int) -> None:
        """See `WaitingEvents.settle_event`."""
        await self._read(history.SETTLE_EVENT, tidy(message_id), from_micros(at))

    async def overview(self) -> Overview:
        """See `ProfileStore.overview`."""
        ((profiles, merges, events, rejected, audiences, places),) = await self._read(queries.OVERVIEW)
        marks: dict[str, dict[Stream, dict[int, int]]] = {}
        for writer, stream, partition, offset in places or ():
            marks.setdefault(writer, {}).setdefault(Stream(stream), {})[partition] = offset
        return Overview(
            profiles=profiles,
            merges=merges,
            events=events,
            rejected=rejected,
            audiences=dict(audiences or ()),
            marks=marks,
        )

    async def close(self) -> None:
        """See `ProfileStore.close`. What is under way is cut off after a second."""
        writers, self._writers = self._writers, []
        for writer in writers:
            await writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._readers.close()
        except LOST:
            self._readers.terminate()


def _packed(row: asyncpg.Record) -> bytes:
    return profiles.whole(row["known"] or b"", row["state"])


def _marks(rows: Sequence[asyncpg.Record]) -> Marks:
    marks: dict[Stream, dict[int, int]] = {}
    for stream, partition, offset in rows:
        marks.setdefault(Stream(stream), {})[partition] = offset
    return marks


def _chosen(wanted: RejectedFilter | None) -> tuple[Any, ...]:
    if wanted is None:
        return None, None, None, None, None, None
    ids = None if wanted.ids is None else [one for one in wanted.ids if 0 < one < _LAST_ID]
    event = None if wanted.event is None else wanted.event[:LONGEST_TYPE]
    source, code, event, user = (
        None if one is None else tidy(one) for one in (wanted.source, wanted.code, event, wanted.user)
    )
    return source, code, wanted.state, ids, event, user


def _beyond(prefix: str) -> str | None:
    """The first text, in the order of code points, after all that begin with a prefix; None if there is none."""
    kept = prefix.rstrip(_HIGHEST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_AFTER_SURROGATES if following == _FIRST_SURROGATE else following)
