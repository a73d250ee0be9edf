"""Checkpoints: what was folded goes to the store with the mark it was folded up to, all in one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Final, Protocol

from obverse.adapters._changes_out import ChangesOut
from obverse.core.events import RejectedEvent
from obverse.core.groups import Group
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.event_log import Stream
from obverse.ports.groups import GroupRow
from obverse.ports.identity_requests import Outcome
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, PackedEvents, ProfileRow, StoredEvent, StoreWriter
from obverse.ports.runtime import Runtime

_SLICE: Final = 50
"""Profiles packed before others get their turn: one or two milliseconds."""
_SETTLED: Final = 500
"""Profiles of which the cache is told at once that they are in the store, or that rest at once."""
_SHARE: Final = 0.2
"""Of the time that a checkpoint takes for itself while events are folded; those who look at a profile wait for them."""
_LONGEST: Final = 0.02
"""Seconds of work that are made up for by waiting."""
_LOOK: Final = 0.05
"""Seconds between two looks at whether a checkpoint is due, while one is owed."""


class CheckpointSettings(Protocol):
    """What the engine's settings say of checkpoints."""

    @property
    def checkpoint_seconds(self) -> float: ...  # noqa: D102 - see `EmbeddedSettings`
    @property
    def busy_events(self) -> int: ...  # noqa: D102 - as above
    @property
    def busy_seconds(self) -> float: ...  # noqa: D102 - as above
    @property
    def checkpoint_events(self) -> int: ...  # noqa: D102 - as above
    @property
    def idle_seconds(self) -> float: ...  # noqa: D102 - as above
    @property
    def profiles_awake(self) -> int: ...  # noqa: D102 - as above
    @property
    def rest_after(self) -> int: ...  # noqa: D102 - as above
    @property
    def profiles_in_memory(self) -> int: ...  # noqa: D102 - as above
    @property
    def groups_in_memory(self) -> int: ...  # noqa: D102 - as above


class Checkpoints:
    """
    What one run of the engine owes to the store.

    A checkpoint is the state at one instant, yet folding goes on while it is written: a profile of the
    checkpoint that an event is about to change is packed before (`before`).
    """

    def __init__(
        self,
        *,
        settings: CheckpointSettings,
        runtime: Runtime,
        people: People,
        writer: StoreWriter,
        cache: CacheWriter[Profile],
        changes: ChangesOut,
        obstacle: Callable[[], str | None],
    ) -> None:
        self.turn = asyncio.Lock()
        """Held while events are folded and their decisions appended, and while a checkpoint is begun."""
        self.events = 0
        """How many wait for the next checkpoint."""
        self.rejected: list[RejectedEvent] = []
        self.marks = dict(writer.marks.get(Stream.EVENTS, {}))
        self.kept = dict(self.marks)
        self.decisions = 0
        """How far the stream of decisions is carried out."""
        self._decided: list[KeptDecision] = []
        self.moved: dict[int, bytes] = {}
        """Whose events are from the next checkpoint on, by event id, that were another's."""
        self.nobodys: list[str] = []
        """Identifiers that an unmerge has left to nobody."""
        self._settled: dict[str, Outcome] = {}
        self._hurry = 0
        self._quiet = asyncio.Event()
        """Set while nothing is owed to the store, nor on its way."""
        self._quiet.set()
        self.took: float | None = None
        """Seconds that the last one took."""
        self._settings = settings
        self._runtime = runtime
        self._people = people
        self._writer = writer
        self._cache = cache
        self._changes = changes
        self._obstacle = obstacle
        self._dirty: dict[bytes, Profile] = {}
        self._groups: dict[str, None] = {}
        """Those that are not as the store knows them."""
        self._to_pack: dict[bytes, Profile] = {}
        self._packed: list[ProfileRow] = []
        self._packed_events: list[PackedEvents] = []
        self.absorbing: Mapping[bytes, bytes] = {}
        """Who was merged away, and is a person to the store until the checkpoint on its way is there."""
        self.begun = 0
        """The number of the checkpoint that was begun last."""
        self.done = 0
        """The number of the one that was written last."""
        self._let_go_of = 0
        """How many profiles were let go of."""
        self._latest: deque[tuple[int, Sequence[Profile]]] = deque()
        """Whom the last few checkpoints were of."""
        self._owed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._owed_since = 0.0
        self._last_fold = 0.0
        self._resumed = 0.0

    def touch(self, profile: bytes) -> None:
        """Note that a profile is not as the store knows it."""
        if profile in self._people.profiles:
            self._dirty[profile] = self._people.profiles[profile]
            self._owe()

    @property
    def standing(self) -> tuple[int, int]:
        """While it is the same, whoever is not in memory is in the store as they were."""
        return self.done, self._let_go_of

    def store(self, events: Sequence[StoredEvent]) -> None:
        """
        Note what is to be stored of a turn. Called with the turn held, before `fold_reached`.

        Packed now, while they are at hand: ten seconds later each would have to be fetched from memory again.
        """
        self._packed_events.append(self._writer.pack(events))
        self.events += len(events)

    def fold_reached(self, partition: int, offset: int, touched: Mapping[bytes, Profile]) -> None:
        """Note how far folding came, and whom it touched. Called with the turn held."""
        self.marks[partition] = offset
        self._dirty.update(touched)
        self._owe()

    def told(self, groups: Iterable[str]) -> None:
        """Note that these groups are not as the store knows them. Called with the turn held."""
        known = self._people.groups
        for one in groups:
            known[one] = known.pop(one)  # to the end: whoever is let go comes first
            self._groups[one] = None

    def decided(self, first: int, decisions: Sequence[Decision]) -> None:
        """Note what was decided, beginning at this offset of the stream. Called with the turn held."""
        self._decided += map(KeptDecision, count(first), decisions)
        self.decisions = first + len(decisions)
        self._owe()

    def settle(self, request: str, outcome: Outcome) -> None:
        """Note what became of a request of identity."""
        self._settled[request] = outcome
        self._owe()

    @property
    def is_quiet(self) -> bool:
        """Whether everything is in the store."""
        return self._quiet.is_set()

    async def quiet(self) -> None:
        """Wait until everything is in the store; nobody may fold meanwhile."""
        self._hurry += 1
        try:
            await self._quiet.wait()
        finally:
            self._hurry -= 1

    def _owe(self) -> None:
        self._quiet.clear()
        self._last_fold = self._runtime.elapsed()
        if not self._owed.is_set():
            self._owed_since = self._last_fold
            self._owed.set()

    @property
    def profiles_owed(self) -> int:
        """How many profiles are not as the store knows them."""
        return len(self._dirty) + len(self._to_pack)

    @property
    def holding(self) -> int:
        """The number of the checkpoint that has brought all there is now to the store once it is `done`."""
        return self.begun + bool(self._dirty)

    def owes(self, profile: bytes) -> bool:
        """Whether a profile may not be as the store knows it."""
        return profile in self._dirty or self.done < self.begun

    def stores(self, profile: Profile) -> bool:
        """Whether a profile is as the store knows it."""
        return profile.id not in self._dirty and profile.id not in self._to_pack and profile.kept_in <= self.done

    async def written(self) -> None:
        """Wait until all that is owed now is in the store."""
        holding = self.holding
        while self.done < holding:
            await self._runtime.sleep(_LOOK)

    def owed_ids(self) -> list[bytes]:
        """Whose profiles these are."""
        return list({**self._dirty, **self._to_pack})

    def before_profiles(self, some: Iterable[Profile]) -> None:
        """Pack what belongs to a checkpoint on its way before time changes it."""
        for one in some:
            if self._to_pack.pop(one.id, None) is not None:
                self._pack_one(one)

    def before(self, identifiers: Iterable[str]) -> None:
        """Pack what belongs to a checkpoint on its way before an event that shows these changes it."""
        if not self._to_pack:
            return
        for identifier in identifiers:
            profile = self._to_pack.pop(self._people.owners.get(identifier, b""), None)
            if profile is not None:
                self._pack_one(profile)

    async def make_room(self) -> None:
        """Let others go on; wait if far more is owed to the store than one checkpoint should hold."""
        if self.events > 2 * self._settings.checkpoint_events:
            self._room.clear()
            await self._room.wait()
        await self._runtime.sleep(0)

    async def run(self, hurried: Callable[[], bool], kept: Callable[[Checkpoints], Awaitable[None]]) -> None:
        """
        Write checkpoints when they are due, for ever; tell `kept` of each.

        Raises:
            Unreachable, Fenced: the store cannot be written, or not by us.
        """
        while True:
            await self._owed.wait()
            while not (self._hurry or hurried() or self._due()) or self._obstacle() is not None:
                await self._runtime.sleep(_LOOK)
            began = self._runtime.elapsed()
            await self._write()
            self.took = self._runtime.elapsed() - began
            await kept(self)
            if not self._owed.is_set():
                self._quiet.set()

    def _due(self) -> bool:
        now = self._runtime.elapsed()
        settings = self._settings
        busy = self.events >= settings.busy_events
        return (
            now - self._owed_since >= (settings.busy_seconds if busy else settings.checkpoint_seconds)
            or now - self._last_fold >= self._settings.idle_seconds
            or self.events >= self._settings.checkpoint_events
        )

    async def _write(self) -> None:
        people = self._people
        async with self.turn:
            self._owed.clear()
            events, self._packed_events, self.events = self._packed_events, [], 0
            rejected, self.rejected = self.rejected, []
            decided, self._decided = self._decided, []
            moved, self.moved = self.moved, {}
            settled, self._settled = self._settled, {}
            # Unless somebody has shown them again.
            nobodys, self.nobodys = [one for one in self.nobodys if one not in people.owners], []
            marks = {
                Stream.EVENTS: dict(self.marks),
                Stream.DECISIONS: {0: self.decisions},
                Stream.CHANGES: {0: self._changes.ended},
            }
            self.absorbing, people.absorbed = people.absorbed, {}
            self._to_pack, self._dirty = self._dirty, {}
            members = list(self._to_pack.values())
            told, self._groups = [people.groups[one] for one in self._groups], {}
            self._packed = []
            self.begun += 1
        self._resumed = self._runtime.elapsed()
        await self._pack()
        groups = await self._pack_groups(told)
        # Before the mark says that these events were folded: a change that was not written by then never would be.
        await self._changes.flush()
        await self._writer.commit(
            Checkpoint(
                marks=marks,
                profiles=self._packed,
                absorbed=self.absorbing,
                groups=groups,
                events=events,
                rejected=rejected,
                decisions=decided,
                moved=moved,
                settled=settled,
                nobodys=nobodys,
            ),
            self._give_way,
        )
        self.kept, self.done, self.absorbing = marks[Stream.EVENTS], self.begun, {}
        self._room.set()
        if self._changes.ended > marks[Stream.CHANGES][0] and not self._owed.is_set():
            self._owe()  # what was told since this one was begun is in the store, and the store is to say so
        for some in _slices(members):
            async with self.turn:
                await self._cache.settle([profile for profile in some if profile.id not in self._dirty])
            await self._give_way()
        await self._have_rest(members)
        async with self.turn:
            self._let_go()

    async def _have_rest(self, members: Sequence[Profile]) -> None:
        """Have those rest that were in a checkpoint some time ago and in none since, if we have many."""
        self._latest.append((self.begun, members))
        if len(self._latest) <= self._settings.rest_after:
            return
        number, before = self._latest.popleft()
        if len(self._people.profiles) <= self._settings.profiles_awake:
            return
        for some in _slices([profile for profile in before if profile.kept_in == number]):
            async with self.turn:
                for profile in some:
                    if profile.id not in self._dirty:
                        profile.rest(self._people.definitions)
            await self._give_way()

    def _pack_one(self, profile: Profile) -> None:
        profile.kept_in = self.begun
        self._packed.append(ProfileRow.of(profile, self._people.definitions))

    async def _pack(self) -> None:
        while self._to_pack:
            for _ in range(min(_SLICE, len(self._to_pack))):
                _, profile = self._to_pack.popitem()
                if profile.id in self._people.profiles:  # else it was merged away before the checkpoint
                    self._pack_one(profile)
            await self._give_way()

    async def _pack_groups(self, told: Sequence[Group]) -> list[GroupRow]:
        """Pack groups as they are by now: one that has moved since is told again, and may be."""
        rows: list[GroupRow] = []
        for at in range(0, len(told), _SLICE):
            rows += map(GroupRow.of, told[at : at + _SLICE])
            await self._give_way()
        return rows

    async def _give_way(self) -> None:
        """Let others go on: while events are folded, for longer than we worked; unless the next checkpoint is due."""
        now = self._runtime.elapsed()
        folding = self._last_fold >= self._resumed and self.events < self._settings.checkpoint_events
        worked = min(now - self._resumed, _LONGEST)
        await self._runtime.sleep(worked * (1 / _SHARE - 1) if folding else 0)
        self._resumed = self._runtime.elapsed()

    def _let_go(self) -> None:
        """Keep no more profiles and groups in memory than we may; those that are not in the store as they are stay."""
        people = self._people
        many = len(people.groups) - self._settings.groups_in_memory
        if many > 0:
            for group in [one for one in people.groups if one not in self._groups][:many]:
                del people.groups[group]
        surplus = len(people.profiles) - self._settings.profiles_in_memory
        if surplus <= 0:
            return
        for profile in [one for one in people.profiles.values() if one.id not in self._dirty][:surplus]:
            people.release(profile)
            self._let_go_of += 1


def _slices(members: Sequence[Profile]) -> Iterator[Sequence[Profile]]:
    return (members[at : at + _SETTLED] for at in range(0, len(members), _SETTLED))
