"""Port: where profiles, their events and what was refused are kept for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec

from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import SetAside
from obverse.ports.backfills import Backfills
from obverse.ports.due_profiles import DueProfiles
from obverse.ports.event_log import Stream
from obverse.ports.groups import GroupRow, Groups
from obverse.ports.identifier_owners import IdentifierOwners
from obverse.ports.identity_requests import IdentityRequests, Outcome
from obverse.ports.named_profiles import NamedProfiles
from obverse.ports.people_of_spans import PeopleOfSpans
from obverse.ports.profile_history import KeptDecision, ProfileHistory
from obverse.ports.profile_rows import Known, ProfileRow
from obverse.ports.replay_turns import ReplayTurns
from obverse.ports.selections import Selections
from obverse.ports.trait_values import TraitValues
from obverse.ports.waiting_events import WaitingEvents

__all__ = (
    "Checkpoint",
    "Fenced",
    "KeptRejected",
    "Known",
    "Marks",
    "Member",
    "Overview",
    "PackedEvents",
    "ProfileRow",
    "ProfileStore",
    "RejectedCount",
    "RejectedFilter",
    "ReplayState",
    "StoreWriter",
    "StoredEvent",
)

Marks = Mapping[Stream, Mapping[int, int]]
"""How far each partition of each stream was read: the offset that comes next."""


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the log and its profile."""

    profile: bytes
    partition: int
    offset: int
    event: Event


class PackedEvents(Protocol):
    """Events as a writer has packed them; they are of no use to another one's adapter."""

    def __len__(self) -> int:
        """How many they are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is written together, or not at all."""

    marks: Marks
    profiles: Sequence[ProfileRow] = ()
    """A profile that is given is a person from now on, unless `absorbed` names it."""
    absorbed: Mapping[bytes, bytes] = field(default_factory=dict)
    """Profiles that were merged away -> the profile that holds them now. They keep a row, with nothing packed."""
    events: Sequence[PackedEvents] = ()
    """Of `StoreWriter.pack`."""
    groups: Sequence[GroupRow] = ()
    """Of two rows of one group the last one counts."""
    rejected: Sequence[RejectedEvent] = ()
    decisions: Sequence[KeptDecision] = ()
    """Each is given once. What they set aside is nobody's from now on, whatever the profiles say."""

    settled: Mapping[str, Outcome] = field(default_factory=dict)
    """Requests of identity, by their ids, that are done with; what is none is passed over."""
    moved: Mapping[int, bytes] = field(default_factory=dict)
    """Whose events are from now on, by their event ids: of those that an unmerge gave to another profile."""
    nobodys: Sequence[str] = ()
    """Identifiers that an unmerge left to nobody."""

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The identifiers that are nobody's from now on."""
        return [one for kept in self.decisions for one in kept.decision.set_aside]

    @property
    def count(self) -> int:
        """How many events it holds."""
        return sum(map(len, self.events))

    def keepers(self) -> dict[bytes, bytes]:
        """
        Each absorbed profile with the one that holds it in the end, if its keeper was absorbed too.

        Raises:
            ValueError: profiles absorb each other in a circle.
        """
        return {lost: self._last_keeper(lost) for lost in self.absorbed}

    def _last_keeper(self, lost: bytes) -> bytes:
        keeper = self.absorbed[lost]
        passed = {lost}
        while keeper not in passed:
            if keeper not in self.absorbed:
                return keeper
            passed.add(keeper)
            keeper = self.absorbed[keeper]
        raise ValueError(f"profile {keeper.hex()} is absorbed by itself: name the profile that holds it now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Figures of the workspace, as of the last checkpoint."""

    profiles: int
    """People: profiles that were not merged away."""
    merges: int
    """Profiles that were merged away."""
    events: int
    """Written, whether or not they are still kept."""
    rejected: int
    """Written, as above."""
    audiences: Mapping[str, int]
    """Members by audience; an audience without members may be missing."""
    marks: Mapping[str, Marks]
    """By writer."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """A profile in an audience."""

    profile: bytes
    number: int
    """Of this entry, from 1."""
    since: int
    """Microseconds since 1970."""
    packed: bytes
    """`core.profiles.pack`."""


class ReplayState(StrEnum):
    """Where a rejected event stands."""

    OPEN = "open"
    """Nobody has asked for it to be sent again; or it was, and was rejected again."""
    WAITING = "waiting"
    """It is to be sent again."""
    REPLAYED = "replayed"
    """It was sent again, and accepted."""


class KeptRejected(msgspec.Struct, frozen=True, gc=False):
    """A rejected event as it is kept."""

    id: int
    """Grows in the order in which they were written."""
    event: RejectedEvent
    state: ReplayState = ReplayState.OPEN
    settled_at: int | None = None
    """When it was sent again last, in microseconds since 1970."""
    correction: bytes | None = None
    """What is sent instead of its body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter:
    """Which rejected events; what is None is left open."""

    source: str | None = None
    code: str | None = None
    state: ReplayState | None = None
    ids: Collection[int] | None = None
    event: str | None = None
    """A track's event name, else the type of the call, as far as it can be read (`wire.legible`)."""
    user: str | None = None
    """Its userId or its anonymousId, as far as they can be read."""


class RejectedCount(msgspec.Struct, frozen=True, gc=False):
    """How many rejected events of one source have one code and one state."""

    source: str
    code: str
    state: ReplayState
    count: int


class Fenced(Exception):
    """Another writer of the same name has taken over; nothing of this checkpoint was written."""


class StoreWriter(Protocol):
    """The one writer of a name, until it is closed or its process ends."""

    @property
    def marks(self) -> Marks:
        """What the last checkpoint of this name said, empty before the first."""
        ...

    def pack(self, events: Sequence[StoredEvent]) -> PackedEvents:
        """Make events ready for a checkpoint of this writer: cheapest when they have just been read."""
        ...

    async def commit(self, checkpoint: Checkpoint, give_way: Callable[[], Awaitable[None]] | None = None) -> None:
        """
        Write all of it in one transaction, in slices of a few milliseconds.

        Between two slices other work goes on; for as long as `give_way` takes, if it is given.

        Marks that the checkpoint does not name stay as they were. Of two rows of one profile the last one counts.
        A writer that failed, or whose commit was cancelled, may write no more: open it again.

        Raises:
            Unreachable: nothing is known; open the writer again and ask its marks.
            Fenced: another writer has taken over.
            ValueError: profiles absorb each other in a circle; nothing was written.
        """
        ...

    async def close(self) -> None:
        """Let the next writer in."""
        ...


class ProfileStore(
    ProfileHistory,
    WaitingEvents,
    IdentityRequests,
    IdentifierOwners,
    NamedProfiles,
    Groups,
    Selections,
    TraitValues,
    Backfills,
    DueProfiles,
    PeopleOfSpans,
    ReplayTurns,
    Protocol,
):
    """
    One workspace's profiles, events and rejected events.

    Promises, proved for every adapter by `obverse.contracts.profile_store`:

    * what a commit wrote, every later read sees, all or none of it;
    * one writer of a name at a time; two writers of different names do not disturb each other;
    * an identifier has one profile: the one that claimed it last;
    * what was merged away is found under its keeper;
    * identifiers and values of any Unicode but NUL come back as they went in.
    """

    async def open_writer(self, name: str) -> StoreWriter:
        """
        Become the writer of this name, waiting for the former one to go.

        Raises:
            Unreachable: the store cannot be written now.
        """
        ...

    async def set_aside(self) -> Sequence[SetAside]:
        """
        Return the identifiers that were set aside, in their order.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def people(self, *, limit: int, after: bytes | None = None) -> Sequence[bytes]:
        """
        Return ids of people in their order, those after `after`: to visit everybody.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def search(
        self, prefixes: Collection[str], *, limit: int, after: str | None = None
    ) -> Sequence[tuple[str, bytes]]:
        """
        Return identifiers that begin with one of the prefixes, each with the packed profile whose it is.

        They come in the order of their code points, those after `after`. None of the prefixes is empty.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def members(self, audience: str, *, limit: int, after: bytes | None = None) -> Sequence[Member]:
        """
        Return who is in an audience, in the order of their ids, those after `after`.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def events_of(self, profile: bytes, *, limit: int, before: int | None = None) -> Sequence[tuple[int, Event]]:
        """
        Return a profile's events with their event ids, the latest first, those of profiles merged into it included.

        An id that was merged away gives the events of its keeper. Objects say what they said when they were written,
        but their text may be written otherwise.

        `before` is an event id: only earlier ones are returned.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def rejected(
        self, wanted: RejectedFilter | None = None, *, limit: int, before: int | None = None
    ) -> Sequence[KeptRejected]:
        """
        Return rejected events, the latest first; of those with smaller ids than `before`, if it is given.

        Raises:
            Unreachable: the store cannot be read now. So do the four below.
        """
        ...

    async def rejected_counts(self) -> Sequence[RejectedCount]:
        """Return how many rejected events there are, by source, code and state."""
        ...

    async def ask_replay(self, wanted: RejectedFilter, *, correction: bytes | None = None) -> Sequence[int]:
        """Have those that are open wait to be sent again, with this instead of their body; return their ids."""
        ...

    async def waiting_replays(self, *, limit: int) -> Sequence[KeptRejected]:
        """Return those that wait to be sent again, the earliest first."""
        ...

    async def settle_replay(self, one: int, *, at: int, again: RejectedEvent | None = None) -> None:
        """Note that one that waits was accepted at this time; or was rejected again, with this code and reason."""
        ...

    async def overview(self) -> Overview:
        """
        Return the workspace's figures.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def close(self) -> None:
        """Close what this store opened."""
        ...
