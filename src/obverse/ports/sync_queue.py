"""Port: what each connection still has to write into its CRM, and what its records hold as far as we know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from obverse.core.records import FieldState, SyncRecord

State = Literal["ok", "waiting", "unreachable", "refused"]
"""`waiting`: not tried yet; `unreachable`: tried again by itself; `refused`: a person must mend it."""

MOST_ATTEMPTS = 20
"""Attempts that are kept of one task, the latest ones."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that failed."""

    at: int
    """Microseconds since 1970."""
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A profile whose record is to be compared with it, and written if they differ."""

    profile: bytes
    poke: int
    """Grows each time that the profile changes: whoever settles an older one has not settled the task."""
    due_at: int
    tries: int = 0
    """Since the profile changed last, or a person had it tried again."""
    attempts: Sequence[Attempt] = ()
    died_at: int | None = None
    """Of a dead letter: when it was given up."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of a dead letter: what was to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The record says what the profile says."""

    task: Task
    record: SyncRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """There was nothing to write."""

    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """It was not written, and is to be tried again."""

    task: Task
    due_at: int
    attempt: Attempt
    sending: Mapping[str, str] = field(default_factory=dict)
    """What was given to the CRM before that, and is not answered still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """It was refused for what it is, or tried often enough: a dead letter from now on."""

    task: Task
    fields: Mapping[str, str]
    attempt: Attempt
    sending: Mapping[str, str] = field(default_factory=dict)
    """As of `Again`."""


Result = Written | Nothing | Again | Died


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a connection is."""

    state: State = "waiting"
    reason: str | None = None
    remedy: str | None = None
    last_success_at: int | None = None
    mapping: str = ""
    """Names the mapping for which every profile was queued; another one makes them all be compared anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How much there is of a connection."""

    waiting: int = 0
    dead: int = 0
    records: int = 0
    due_since: int | None = None
    """When the first of those that wait was, or is, due, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A field of a known record, as its CRM told it."""

    profile: bytes
    field: str
    state: FieldState
    answers: bool = False
    """Whether it says that what was given to the CRM stands there, as an answer would."""


class SyncWorker(Protocol):
    """The one that writes to a workspace's CRMs, until it is closed or its process ends."""

    @property
    def mark(self) -> int:
        """Offset in the stream of changes that comes next."""
        ...

    async def put(self, touched: Mapping[str, Collection[bytes]], *, mark: int | None, now: int) -> None:
        """
        Queue profiles, by connection, and move the mark with them, or do nothing at all.

        A profile that waits already is due now; a dead letter is tried again.

        Raises:
            Unreachable: nothing is known; open the worker again and ask its mark.
        """
        ...

    async def due(self, connection: str, *, limit: int, now: int) -> Sequence[Task]:
        """Return tasks that are due, the longest due first."""
        ...

    async def next_due(self, connection: str) -> int | None:
        """When the next task is due, in microseconds since 1970; None if nothing waits."""
        ...

    async def clock_set(self, connection: str, by: int, *, now: int) -> None:
        """
        Note that somebody set the clock, which tells `now`, ahead by so many microseconds, or back if it is negative.

        What was not due yet stays as far away as it was; what was due is due.
        """
        ...

    async def begin(self, connection: str, sending: Sequence[tuple[bytes, str, Mapping[str, str]]]) -> None:
        """
        Note what is about to be written: profile, address, fields.

        Durable before this returns, so that what the CRM tells of it is known for an echo, whoever dies.
        """
        ...

    async def settle(self, connection: str, results: Sequence[Result]) -> None:
        """
        Note what became of tasks, all or nothing.

        A task whose profile changed meanwhile stays, due as that change made it. A record whose id another profile's
        had is this profile's from now on. `Again` and `Died` say that nothing was written, but
        perhaps what was in doubt before.
        """
        ...

    async def stand(self, connection: str, standing: Standing) -> None:
        """Note how a connection is."""
        ...

    async def close(self) -> None:
        """Let the next worker in."""
        ...


class SyncQueue(Protocol):
    """
    One workspace's queues, a queue a connection, and its knowledge of their records.

    Promises, proved for every adapter by `obverse.contracts.sync_queue`:

    * what was put is there until it is settled, through any crash, once a profile and connection;
    * one worker at a time;
    * of two states of a field the later one stays, in whatever order they come;
    * one connection never sees another's tasks and records.

    Every method raises `Unreachable` where nothing can be read or written now.
    """

    async def open_worker(self) -> SyncWorker:
        """Become the worker, waiting for the former one to go."""
        ...

    async def records(
        self, connection: str, *, record_ids: Collection[str] = (), profiles: Collection[bytes] = (),
        emails: Collection[str] = (),
    ) -> Sequence[SyncRecord]:  # fmt: skip
        """Return the records that have one of the ids, profiles or addresses, each once."""
        ...

    async def hear(self, connection: str, heard: Sequence[Heard], *, now: int) -> None:
        """Note what the CRM told of known records, where it is newer than what we know, and queue their profiles."""
        ...

    async def mark(self) -> int:
        """Return the offset in the stream of changes that comes next."""
        ...

    async def standings(self) -> Mapping[str, tuple[Standing, Figures]]:
        """Return how each connection is that has ever been used."""
        ...

    async def page_records(
        self, connection: str, *, limit: int, after: bytes | None = None, prefix: str = ""
    ) -> Sequence[SyncRecord]:
        """Return records in order of their profiles' ids, after that one, with addresses that begin so."""
        ...

    async def page_waiting(self, connection: str, *, limit: int, after: bytes | None = None) -> Sequence[Task]:
        """Return tasks that wait, in order of their profiles' ids."""
        ...

    async def page_dead(self, connection: str, *, limit: int, after: bytes | None = None) -> Sequence[Task]:
        """Return dead letters, in order of their profiles' ids."""
        ...

    async def retry(self, connection: str, profiles: Collection[bytes] | None, *, now: int) -> int:
        """Have dead letters tried again, all of them if None is given; return how many."""
        ...

    async def close(self) -> None:
        """Close what this queue opened."""
        ...
