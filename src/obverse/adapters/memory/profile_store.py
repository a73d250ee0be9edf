"""A profile store in memory: for tests, for trying things out, and for runs that repeat from a seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from msgspec import structs

from obverse.adapters.memory.backfills import MemoryBackfills
from obverse.adapters.memory.people_of_spans import MemoryPeopleOfSpans
from obverse.adapters.memory.profile_tables import Tables, members_of, packed, pairs_of
from obverse.adapters.memory.replay_turns import MemoryReplayTurn
from obverse.adapters.memory.selections import MemorySelections
from obverse.adapters.memory.trait_values import MemoryTraitValues
from obverse.core import wire
from obverse.core.events import Event, RejectedEvent
from obverse.core.history import PastEvent, related
from obverse.core.identity import SetAside, id_named
from obverse.core.identity.evidence import ACCEPTED, UNDONE
from obverse.ports.groups import GroupRow
from obverse.ports.identifier_owners import Owners
from obverse.ports.identity_requests import IdentityRequest
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_history import KeptDecision, Remains
from obverse.ports.profile_store import (
    Checkpoint,
    Fenced,
    KeptRejected,
    Marks,
    Member,
    Overview,
    PackedEvents,
    ProfileRow,
    ProfileStore,
    RejectedCount,
    RejectedFilter,
    ReplayState,
    StoredEvent,
    StoreWriter,
)
from obverse.ports.replay_turns import ReplayTurn
from obverse.ports.runtime import Runtime

_SLICE = 500
"""Events and profiles of a commit after which others get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStoreSettings:
    """The `[profile_store.memory]` table of the settings file."""

    workspace: str = "main"


async def open_profile_store(settings: MemoryStoreSettings, runtime: Runtime) -> ProfileStore:
    """Entry point `obverse.profile_store:memory`. Each call opens an empty store of its own."""
    return MemoryProfileStore(settings, runtime)


@dataclass(slots=True)
class _Disk:
    """What outlives a crash."""

    workspaces: dict[str, Tables] = field(default_factory=dict)


class MemoryProfileStore(MemorySelections, MemoryTraitValues, MemoryBackfills, MemoryPeopleOfSpans):
    """See `ProfileStore`. Durable for as long as somebody holds it."""

    def __init__(self, settings: MemoryStoreSettings, runtime: Runtime, disk: _Disk | None = None) -> None:
        self._settings = settings
        self._runtime = runtime
        self._disk = disk or _Disk()
        self._tables = self._disk.workspaces.setdefault(settings.workspace, Tables())
        self._turns: dict[str, asyncio.Lock] = {}
        self._writers: list[_MemoryWriter | MemoryReplayTurn] = []

    async def open_writer(self, name: str) -> StoreWriter:
        """See `ProfileStore.open_writer`."""
        turn = self._turns.setdefault(name, asyncio.Lock())
        await turn.acquire()
        writer = _MemoryWriter(self._tables, name, turn, self._runtime)
        self._writers.append(writer)
        return writer

    async def open_replay_turn(self) -> ReplayTurn:
        """See `ReplayTurns.open_replay_turn`."""
        lock = self._turns.setdefault("\0replay", asyncio.Lock())
        await lock.acquire()
        turn = MemoryReplayTurn(lock)
        self._writers.append(turn)
        return turn

    async def load(self, identifiers: Collection[str], ids: Collection[bytes] = ()) -> Sequence[bytes]:
        """See `ProfileStore.load`."""
        tables = self._tables
        named = [tables.owners[identifier] for identifier in identifiers if identifier in tables.owners]
        found = dict.fromkeys(tables.keeper(profile) for profile in (*named, *ids))
        return [packed(tables.rows[profile]) for profile in found if profile in tables.rows]

    async def load_named(self, names: Collection[str]) -> Mapping[str, bytes]:
        """See `NamedProfiles.load_named`."""
        tables = self._tables
        owners = {name: tables.owners.get(name) or id_named(name) for name in names}
        found = {name: tables.keeper(owner) for name, owner in owners.items() if owner is not None}
        return {name: packed(tables.rows[one]) for name, one in found.items() if one in tables.rows}

    async def set_aside(self) -> Sequence[SetAside]:
        """See `ProfileStore.set_aside`."""
        return [one for _, one in sorted(self._tables.set_aside.items())]

    async def people(self, *, limit: int, after: bytes | None = None) -> Sequence[bytes]:
        """See `ProfileStore.people`."""
        return sorted(one for one in self._tables.rows if after is None or one > after)[:limit]

    async def due(
        self, before: int, *, limit: int, after: tuple[int, bytes] | None = None
    ) -> Sequence[tuple[int, bytes]]:
        """See `DueProfiles.due`."""
        rows = self._tables.rows.values()
        found = sorted((row.due_at, row.id) for row in rows if row.due_at is not None and row.due_at <= before)
        return [one for one in found if after is None or one > after][:limit]

    async def search(
        self, prefixes: Collection[str], *, limit: int, after: str | None = None
    ) -> Sequence[tuple[str, bytes]]:
        """See `ProfileStore.search`."""
        tables = self._tables
        found = sorted(
            one for one in tables.owners if one.startswith(tuple(prefixes)) and (after is None or one > after)
        )
        return [(one, packed(tables.rows[tables.keeper(tables.owners[one])])) for one in found[:limit]]

    async def members(self, audience: str, *, limit: int, after: bytes | None = None) -> Sequence[Member]:
        """See `ProfileStore.members`."""
        rows, members = self._tables.rows, self._tables.members
        found = sorted(one for one, among in members.items() if audience in among and (after is None or one > after))
        return [Member(one, *members[one][audience], packed(rows[one])) for one in found[:limit]]

    async def events_of(self, profile: bytes, *, limit: int, before: int | None = None) -> Sequence[tuple[int, Event]]:
        """See `ProfileStore.events_of`."""
        tables = self._tables
        keeper = tables.keeper(profile)
        parts = [keeper, *(lost for lost, into in tables.merged_into.items() if into == keeper)]
        found = [
            (one.id, one.event)
            for part in parts
            for one in tables.events.get(part, ())
            if before is None or one.id < before
        ]
        return sorted(found, key=lambda pair: -pair[0])[:limit]

    async def decided(self) -> int:
        """See `ProfileHistory.decided`."""
        return max((one.offset + 1 for one in self._tables.decisions), default=0)

    async def decisions_of(self, profile: bytes) -> Sequence[KeptDecision]:
        """See `ProfileHistory.decisions_of`."""
        decisions = self._tables.decisions
        ids = related(profile, (one.decision for one in decisions))
        found = [one for one in decisions if not ids.isdisjoint({one.decision.profile, *one.decision.beside})]
        return sorted(found, key=lambda one: one.offset)

    async def past_events(
        self, profiles: Collection[bytes], *, until: int, limit: int, after: int = 0
    ) -> Sequence[PastEvent]:
        """See `ProfileHistory.past_events`."""
        found = [one for one in self._events_in(profiles) if one.id > after and one.event.received_at <= until]
        return found[:limit]

    async def remains(self, profiles: Collection[bytes]) -> Remains:
        """See `ProfileHistory.remains`."""
        rows, events = self._tables.rows, self._events_in(profiles)
        people = [packed(rows[one]) for one in profiles if one in rows]
        return Remains(people, len(events), events[0].event.received_at if events else None)

    def _events_in(self, profiles: Collection[bytes]) -> list[PastEvent]:
        kept = self._tables.events
        return sorted((event for one in set(profiles) for event in kept.get(one, ())), key=lambda one: one.id)

    async def rejected(
        self, wanted: RejectedFilter | None = None, *, limit: int, before: int | None = None
    ) -> Sequence[KeptRejected]:
        """See `ProfileStore.rejected`."""
        found = self._wanted(wanted or RejectedFilter())
        return [one for one in found[::-1] if before is None or one.id < before][:limit]

    async def rejected_counts(self) -> Sequence[RejectedCount]:
        """See `ProfileStore.rejected_counts`."""
        kinds = Counter((one.event.source, one.event.code, one.state) for one in self._tables.rejected)
        return [RejectedCount(*kind, number) for kind, number in sorted(kinds.items())]

    async def ask_replay(self, wanted: RejectedFilter, *, correction: bytes | None = None) -> Sequence[int]:
        """See `ProfileStore.ask_replay`."""
        found = [one for one in self._wanted(wanted) if one.state is ReplayState.OPEN]
        for one in found:
            self._replace(structs.replace(one, state=ReplayState.WAITING, correction=correction))
        return [one.id for one in found]

    async def waiting_replays(self, *, limit: int) -> Sequence[KeptRejected]:
        """See `ProfileStore.waiting_replays`."""
        return self._wanted(RejectedFilter(state=ReplayState.WAITING))[:limit]

    async def settle_replay(self, one: int, *, at: int, again: RejectedEvent | None = None) -> None:
        """See `ProfileStore.settle_replay`."""
        for kept in self._wanted(RejectedFilter(ids=[one], state=ReplayState.WAITING)):
            if again is None:
                self._replace(structs.replace(kept, state=ReplayState.REPLAYED, settled_at=at))
            else:
                event = structs.replace(kept.event, code=again.code, reason=again.reason, field=again.field)
                self._replace(structs.replace(kept, event=event, state=ReplayState.OPEN, settled_at=at))

    def _wanted(self, wanted: RejectedFilter) -> list[KeptRejected]:
        return [
            one
            for one in self._tables.rejected
            if wanted.source in {None, one.event.source}
            and wanted.code in {None, one.event.code}
            and wanted.state in {None, one.state}
            and (wanted.ids is None or one.id in wanted.ids)
            and _says(one.event, wanted)
        ]

    def _replace(self, one: KeptRejected) -> None:
        self._tables.rejected[one.id - 1] = one

    async def load_groups(self, ids: Collection[str]) -> Sequence[bytes]:
        """See `Groups.load_groups`."""
        kept = self._tables.groups
        return [kept[one].packed for one in dict.fromkeys(ids) if one in kept]

    async def groups(self, prefix: str, *, limit: int, after: str | None = None) -> Sequence[bytes]:
        """See `Groups.groups`."""
        kept = self._tables.groups
        found = sorted(one for one in kept if one.startswith(prefix) and (after is None or one > after))
        return [kept[one].packed for one in found[:limit]]

    async def group_members(self, group: str, *, limit: int, after: bytes | None = None) -> Sequence[bytes]:
        """See `Groups.group_members`."""
        rows = self._tables.rows
        found = [one for one in members_of(rows, group) if after is None or one > after]
        return [packed(rows[one]) for one in found[:limit]]

    async def group_size(self, group: str) -> int:
        """See `Groups.group_size`."""
        return len(members_of(self._tables.rows, group))

    async def owners(self, writer: str) -> Owners:
        """See `ProfileStore.owners`."""
        tables = self._tables
        refused = {pair for row in tables.rows.values() for pair in pairs_of(row, "refused")}
        edges = {pair for row in tables.rows.values() for pair in pairs_of(row, "edges")}
        return Owners(
            marks=dict(tables.marks.get(writer, {})),
            profiles={one: tables.keeper(profile) for one, profile in tables.owners.items()},
            refused=Counter(rule for rule, *_ in refused),
            undone=frozenset((one, other) for rule, one, other in refused if rule == UNDONE),
            accepted=frozenset((one, other) for rule, one, other in edges if rule == ACCEPTED),
            set_aside=len(tables.set_aside),
        )

    async def ask_event(self, event: Event) -> bool:
        """See `WaitingEvents.ask_event`."""
        return self._tables.asked.setdefault(event.message_id, event) is event

    async def ask_events(self, events: Sequence[Event]) -> None:
        """See `WaitingEvents.ask_events`."""
        for one in events:
            self._tables.asked.setdefault(one.message_id, one)

    async def forget_events(self, source: str, *, before: int) -> None:
        """See `WaitingEvents.forget_events`."""
        tables = self._tables
        for one, at in list(tables.appended.items()):
            if at < before and tables.asked[one].source == source:
                del tables.asked[one], tables.appended[one]

    async def ask_identity(self, request: IdentityRequest) -> bool:
        """See `IdentityRequests.ask_identity`."""
        requests = self._tables.requests
        return requests.setdefault(request.id, request) is request

    async def waiting_identity(self, *, limit: int) -> Sequence[IdentityRequest]:
        """See `IdentityRequests.waiting_identity`."""
        return [one for one in self._tables.requests.values() if one.outcome is None][:limit]

    async def identity_request(self, one: str) -> IdentityRequest | None:
        """See `IdentityRequests.identity_request`."""
        return self._tables.requests.get(one)

    async def waiting_events(self, *, limit: int) -> Sequence[Event]:
        """See `WaitingEvents.waiting_events`."""
        tables = self._tables
        return [event for one, event in tables.asked.items() if one not in tables.appended][:limit]

    async def settle_event(self, message_id: str, *, at: int) -> None:
        """See `WaitingEvents.settle_event`."""
        if message_id in self._tables.asked:
            self._tables.appended.setdefault(message_id, at)

    async def overview(self) -> Overview:
        """See `ProfileStore.overview`."""
        tables = self._tables
        return Overview(
            profiles=len(tables.rows),
            merges=len(tables.merged_into),
            events=sum(map(len, tables.events.values())),
            rejected=len(tables.rejected),
            audiences=Counter(name for among in tables.members.values() for name in among),
            marks=dict(tables.marks),
        )

    async def close(self) -> None:
        """See `ProfileStore.close`."""
        writers, self._writers = self._writers, []
        for writer in writers:
            await writer.close()

    def crash(self) -> MemoryProfileStore:
        """Return the store as the next process finds it after the one that held this was killed."""
        for writer in self._writers:
            writer.lost = True
        return MemoryProfileStore(self._settings, self._runtime, self._disk)

    def beside(self, workspace: str) -> MemoryProfileStore:
        """Return another workspace that is kept in the same place."""
        return MemoryProfileStore(MemoryStoreSettings(workspace=workspace), self._runtime, self._disk)

    def row(self, profile: bytes) -> tuple[ProfileRow | None, bytes | None]:
        """Return what is kept of a profile, the audiences it is in among it, and what it was merged into."""
        kept = self._tables.rows.get(profile)
        if kept is not None:
            kept = msgspec.structs.replace(kept, audiences=self._tables.members.get(profile, {}))
        return kept, self._tables.merged_into.get(profile)

    def group_row(self, group: str) -> GroupRow | None:
        """Return what is kept of a group."""
        return self._tables.groups.get(group)


def _says(rejected: RejectedEvent, wanted: RejectedFilter) -> bool:
    """Whether it is of this event and user, as far as it can be read."""
    if wanted.event is None and wanted.user is None:
        return True
    said = wire.legible(rejected)
    return wanted.event in {None, said.event_type} and wanted.user in {None, said.user_id, said.anonymous_id}


class _MemoryWriter:
    """See `StoreWriter`."""

    def __init__(self, tables: Tables, name: str, turn: asyncio.Lock, runtime: Runtime) -> None:
        self._tables = tables
        self._name = name
        self._turn: asyncio.Lock | None = turn
        self._runtime = runtime
        self.lost = False
        """Whether its process is thought dead."""

    @property
    def marks(self) -> Marks:
        """See `StoreWriter.marks`."""
        return self._tables.marks.get(self._name, {})

    def pack(self, events: Sequence[StoredEvent]) -> PackedEvents:
        """See `StoreWriter.pack`."""
        return tuple(events)

    async def commit(self, checkpoint: Checkpoint, give_way: Callable[[], Awaitable[None]] | None = None) -> None:
        """See `StoreWriter.commit`."""
        give_way = give_way or partial(self._runtime.sleep, 0)
        # Others have their turn before anything is kept, as with a disk.
        for _ in range(1 + (checkpoint.count + len(checkpoint.profiles)) // _SLICE):
            await give_way()
        if self.lost:
            raise Fenced(f"the process of this writer {self._name} was killed, and another may have taken over")
        if self._turn is None:
            raise Unreachable(f"this writer {self._name} is closed; open it again")
        self._tables.write(self._name, checkpoint)

    async def close(self) -> None:
        """See `StoreWriter.close`."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()
