"""What is folded next: read, cut into turns, and looked for in the store while the turn before is still told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from obverse.adapters._admitting import admitted
from obverse.adapters._foreign import Foreign, read_events
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.core.changes import Change
from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Batch, Reader
from obverse.ports.profile_store import StoredEvent
from obverse.ports.runtime import Work

GATHER: Final = 0.008
"""Seconds that the fold lets events gather after it has met only a few."""


@dataclass(slots=True)
class Turn:
    """Some events that follow each other in one partition, and what their fold brings about."""

    partition: int
    first: int
    come: list[Event]
    """As the log holds them."""
    kept: Sequence[RejectedEvent] = ()
    """What others wrote into the log, or cannot be read of it, and is to be kept."""

    definitions: Definitions | None = None
    """By which the next three were found; None: not yet."""
    events: list[Event | None] = field(default_factory=list)
    """As their tracking plans admit them; None for those that go no further."""
    rejected: list[RejectedEvent] = field(default_factory=list)
    shown: list[tuple[str, ...]] = field(default_factory=list)
    """Of each event the identifiers that it shows."""
    near: Near | None = None

    touched: dict[bytes, Profile] = field(default_factory=dict)
    stored: list[StoredEvent] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    groups: dict[str, None] = field(default_factory=dict)
    """Those that were told something."""

    @property
    def end(self) -> int:
        """The offset after the last of them."""
        return self.first + len(self.come)

    @property
    def arrived(self) -> int | None:
        """When the first of them arrived, in microseconds since 1970; None if there is none."""
        return self.come[0].received_at if self.come else None

    @property
    def arrives(self) -> int | None:
        """The same of the last one that is folded."""
        return next((event.received_at for event in reversed(self.events) if event is not None), None)

    def make_ready(self, people: People, definitions: Definitions) -> None:
        """Hold the events against tracking plans and find whom they show, unless that was done by these definitions."""
        if self.definitions is definitions:
            return
        self.definitions, self.events, self.rejected = definitions, list(self.come), list(self.kept)
        if definitions.held:
            for place, event in enumerate(self.come):
                one = admitted(event, definitions)
                if isinstance(one, RejectedEvent):
                    self.rejected.append(one)
                    self.events[place] = None
                else:
                    self.events[place] = one
        self.shown = [() if event is None else people.shown(event, definitions) for event in self.events]


@dataclass(frozen=True, slots=True)
class Near:
    """What the store said of identifiers that were in nobody's hands."""

    asked: frozenset[str]
    packed: Sequence[bytes]
    standing: tuple[int, int]
    """`Checkpoints.standing` of when it was asked."""


@dataclass(slots=True, kw_only=True)
class Coming:
    """
    The turns of one run, one after another.

    One at most is made ready ahead. Whom it shows may move between then and its fold, so what the store said of them is
    taken only as long as `Checkpoints.standing` is the same.
    """

    parts: EngineParts
    people: People
    checkpoints: Checkpoints
    progress: Progress
    reader: Reader
    marks: Mapping[int, int]
    """Where it began to read, by partition."""
    turn_events: int
    """Where a turn is cut."""
    few: int
    """After less than so many events others may gather."""
    _foreign: Foreign = field(init=False)
    _cut: Iterator[Turn] = field(default_factory=lambda: iter(()))
    _read: int = field(init=False)
    """How many events were read last."""
    _ahead: Work | None = None
    _turn: Turn | None = None

    def __post_init__(self) -> None:
        """Wait for nobody before the first."""
        self._foreign, self._read = Foreign(self.parts.store), self.few

    async def next(self) -> Turn:
        """
        Return the turn that follows; waits for it.

        Raises:
            Unreachable, LogGap, UnknownMark: see `Reader.next`; or the store does not answer.
        """
        self.look_ahead()
        assert self._ahead is not None  # noqa: S101 - begun by now
        await self._ahead.wait()
        turn, self._ahead, self._turn = self._turn, None, None
        assert turn is not None  # noqa: S101 - that has ended
        return turn

    def look_ahead(self) -> None:
        """Make the turn that follows ready beside what else is done, unless that was begun."""
        if self._ahead is None:
            self._ahead = self.parts.runtime.spawn("unify look ahead", self._make_ready())

    async def close(self) -> None:
        """Make nothing more ready."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await ahead.stop()

    async def _make_ready(self) -> None:
        turn = next(self._cut, None)
        while turn is None:
            if self._read < self.few:
                # Few at a time cost much each; a moment later there are more.
                await self.parts.runtime.sleep(GATHER)
            batches = await self.reader.next()
            await self._foreign.recall(batches, self.marks)
            self._read = sum(one.count for one in batches)
            self._cut = iter(self._turns(batches))
            turn = next(self._cut, None)
        turn.make_ready(self.people, self.parts.definitions())
        owners, standing = self.people.owners, self.checkpoints.standing
        unknown = frozenset([one for shown in turn.shown for one in shown if one not in owners])
        if unknown:
            turn.near = Near(unknown, await self.parts.store.load(unknown, ()), standing)
        self._turn = turn

    def _turns(self, batches: Sequence[Batch]) -> Iterable[Turn]:
        """Cut what was read into turns; batches that follow each other in one partition share one."""
        waiting: Turn | None = None
        for batch in batches:
            events, kept = self._readable(batch)
            if not events:
                if waiting is not None:
                    yield waiting
                waiting = None
                yield Turn(batch.partition, batch.end, [], kept)
                continue
            for at in range(0, len(events), self.turn_events):
                first, some = batch.first + at, events[at : at + self.turn_events]
                if waiting is not None and (waiting.partition, waiting.end) == (batch.partition, first):
                    waiting.come.extend(some)
                else:
                    if waiting is not None:
                        yield waiting
                    waiting = Turn(batch.partition, first, list(some))
                if len(waiting.come) >= self.turn_events:
                    yield waiting
                    waiting = None
        if waiting is not None:
            yield waiting

    def _readable(self, batch: Batch) -> tuple[Sequence[Event], Sequence[RejectedEvent]]:
        """The events of a batch; or what is to be kept of one that cannot be read, or is others'."""
        now = self.parts.runtime.now()
        if not batch.count:
            return [], self._foreign.kept_of(batch, now)
        events, damaged = read_events(batch, now)
        if damaged is None:
            return events, ()
        self.progress.damaged += batch.count
        return [], [damaged]
