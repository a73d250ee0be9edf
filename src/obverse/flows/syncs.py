"""Syncs: how connections stand, read and mended by people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from obverse.core import times
from obverse.core.definitions import Definitions
from obverse.core.identity import id_text
from obverse.core.outgoing import Connection
from obverse.core.records import SyncRecord
from obverse.flows.cursors import read_cursor, read_id
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import Figures, Standing, State, SyncQueue, Task

ProfileId = Annotated[str, Meta(description="The profile's id.", extra_json_schema={"format": "uuid"})]
Cursor = Annotated[str | None, Meta(description="Give it as `after` for what follows; null at the end.")]
Time = Annotated[str, Meta(description="ISO 8601, UTC.", examples=["2026-01-31T12:00:00Z"])]
How = Annotated[
    State,
    Meta(
        description=(
            "`waiting`: not tried yet; `unreachable`: it does not answer, and is tried again by itself; `refused`: a "
            "person must mend it."
        )
    ),
]

_MEND = "correct what the reason names, on the profile or in the mapping, then have it tried again"


class ConnectionBrief(msgspec.Struct, frozen=True):
    """How a connection is."""

    name: str
    crm: str
    state: How
    waiting: Annotated[int, Meta(description="Profiles that wait to be compared with their records.")]
    dead: Annotated[int, Meta(description="Dead letters.")]


class FieldView(msgspec.Struct, frozen=True, rename={"source": "from"}):
    """A field of the CRM, and what it holds."""

    field: Annotated[str, Meta(description="The CRM's name of it.")]
    source: Annotated[str, Meta(examples=["attribute.first_name"])]
    direction: Annotated[
        Literal["both", "out", "in"], Meta(description="`both` ways, `out` to the CRM alone, `in` from it alone.")
    ]


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection, with its mapping."""

    name: str
    crm: str
    state: How
    reason: Annotated[str | None, Meta(description="What is wrong.")]
    remedy: Annotated[str | None, Meta(description="What to do.")]
    waiting: Annotated[int, Meta(description="Profiles that wait to be compared with their records.")]
    dead: Annotated[int, Meta(description="Dead letters.")]
    records: Annotated[int, Meta(description="Records that we know.")]
    last_success_at: Time | None
    fields: list[FieldView]


class ConnectionsView(msgspec.Struct, frozen=True):
    """Every connection that is defined."""

    connections: list[ConnectionView]


class RecordView(msgspec.Struct, frozen=True):
    """A record in the CRM, as far as we know it."""

    record_id: str
    profile: ProfileId
    email: str
    fields: Annotated[dict[str, str], Meta(description="What its mapped fields hold; an empty text: nothing.")]
    synced_at: Time


class RecordsView(msgspec.Struct, frozen=True):
    """Some records, in order of their profiles' ids."""

    records: list[RecordView]
    next: Cursor


class WaitingView(msgspec.Struct, frozen=True):
    """A profile that waits to be compared with its record."""

    profile: ProfileId
    due_at: Time
    attempts: Annotated[int, Meta(description="Tries that failed since it changed last.")]
    last_error: str | None


class QueueView(msgspec.Struct, frozen=True):
    """Some of what waits, in order of the profiles' ids."""

    waiting: list[WaitingView]
    next: Cursor


class FailedTryView(msgspec.Struct, frozen=True):
    """A try that failed."""

    at: Time
    error: str


class DeadLetterView(msgspec.Struct, frozen=True):
    """What could not be written, with its reason and its latest attempts."""

    id: Annotated[str, Meta(description="Names it when it is to be tried again.")]
    profile: ProfileId
    reason: str
    remedy: str
    attempts: list[FailedTryView]
    fields: Annotated[dict[str, str], Meta(description="What was to be written.")]
    died_at: Time


class DeadLettersView(msgspec.Struct, frozen=True):
    """Some dead letters, in order of their profiles' ids."""

    dead_letters: list[DeadLetterView]
    next: Cursor


class Retried(msgspec.Struct, frozen=True):
    """What came of having dead letters tried again."""

    retried: Annotated[int, Meta(description="How many wait again.")]


class NoSuchConnection(LookupError):
    """A name that no connection has; the message says which there are."""


class Syncs:
    """What people see and do of a workspace's connections."""

    def __init__(
        self, queue: SyncQueue, definitions: Callable[[], Definitions], runtime: Runtime, *, log: EventLog | None = None
    ) -> None:
        self._queue = queue
        self._definitions = definitions
        self._runtime = runtime
        self._log = log

    async def connections(self) -> list[ConnectionView]:
        """
        Return every connection that is defined, in order of name.

        Raises:
            Unreachable, AccessRefused: the queue cannot be read. So do all below.
        """
        known = await self._queue.standings()
        defined = sorted(self._definitions().connections, key=lambda one: one.name)
        return [_view(one, *known.get(one.name, (Standing(), Figures()))) for one in defined]

    async def briefs(self) -> list[ConnectionBrief]:
        """Return the same, short."""
        return [
            ConnectionBrief(one.name, one.crm, one.state, one.waiting, one.dead) for one in await self.connections()
        ]

    async def behind(self) -> int | None:
        """Return how many changes were not looked at yet; None if there is no log to compare with."""
        if self._log is None:
            return None
        mark = await self._queue.mark()
        return max(0, (await self._log.bounds(Stream.CHANGES))[0][1] - mark)

    async def records(self, name: str, *, limit: int, after: str | None, prefix: str) -> RecordsView:
        """
        Return records, those whose address begins so.

        Raises:
            NoSuchConnection, BadCursor: as they say. So do all below.
        """
        self._check(name)
        found = await self._queue.page_records(
            name, limit=limit + 1, after=read_cursor(after), prefix=prefix.strip().lower()
        )
        return RecordsView([_record(one) for one in found[:limit]], _next(found, limit))

    async def waiting(self, name: str, *, limit: int, after: str | None) -> QueueView:
        """Return what waits."""
        self._check(name)
        found = await self._queue.page_waiting(name, limit=limit + 1, after=read_cursor(after))
        return QueueView([_waiting(one) for one in found[:limit]], _next(found, limit))

    async def dead_letters(self, name: str, *, limit: int, after: str | None) -> DeadLettersView:
        """Return dead letters."""
        self._check(name)
        found = await self._queue.page_dead(name, limit=limit + 1, after=read_cursor(after))
        return DeadLettersView([_dead(one) for one in found[:limit]], _next(found, limit))

    async def retry(self, name: str, ids: Sequence[str] | None) -> int:
        """Have these dead letters tried again, or all of them; return how many."""
        self._check(name)
        profiles = None if ids is None else [read_id(one) for one in ids]
        return await self._queue.retry(name, profiles, now=self._runtime.now())

    def _check(self, name: str) -> None:
        known = sorted(one.name for one in self._definitions().connections)
        if name not in known:
            raise NoSuchConnection(f"there is no connection {name!r}; there are {', '.join(known) or 'none'}")


def _view(one: Connection, standing: Standing, figures: Figures) -> ConnectionView:
    at = standing.last_success_at
    return ConnectionView(
        name=one.name,
        crm=one.crm,
        state=standing.state,
        reason=standing.reason,
        remedy=standing.remedy,
        waiting=figures.waiting,
        dead=figures.dead,
        records=figures.records,
        last_success_at=None if at is None else times.to_text(at),
        fields=[FieldView(mapped.field, f"{mapped.subject}.{mapped.name}", mapped.direction) for mapped in one.fields],
    )


def _record(one: SyncRecord) -> RecordView:
    fields = {name: state.value for name, state in sorted(one.known.items())}
    return RecordView(one.record_id or "", id_text(one.profile), one.email, fields, times.to_text(one.synced_at))


def _waiting(one: Task) -> WaitingView:
    error = one.attempts[-1].error if one.attempts else None
    return WaitingView(id_text(one.profile), times.to_text(one.due_at), one.tries, error)


def _dead(one: Task) -> DeadLetterView:
    return DeadLetterView(
        id=id_text(one.profile),
        profile=id_text(one.profile),
        reason=one.attempts[-1].error if one.attempts else "",
        remedy=_MEND,
        attempts=[FailedTryView(times.to_text(attempt.at), attempt.error) for attempt in one.attempts],
        fields=dict(one.fields),
        died_at=times.to_text(one.died_at or 0),
    )


def _next(found: Sequence[Any], limit: int) -> str | None:
    return id_text(found[limit - 1].profile) if len(found) > limit else None
