"""How a router works, how far it is, and the events that it reads at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import structlog

from obverse.adapters._buckets.items import BUCKETS, Item
from obverse.adapters._buckets.routed_people import RoutedPeople
from obverse.adapters._foreign import Foreign, read_events
from obverse.core import codec
from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import Decision
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Batch, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import Marks

TURN: Final = 4000
"""Events that are routed together, at most."""
GATHER: Final = 0.04
"""Seconds from one turn to the next, at least: events gather meanwhile, and each bucket is told of more at once."""
GATHER_LONGER: Final = 0.12
"""The same while so many come that what each turn costs by itself would tell …"""
MANY: Final = 3000
"""… which is from so many a second on."""
TICK: Final = 0.25
"""Seconds between two ticks while events come …"""
IDLE: Final = 0.03
"""… and after the last of them."""

PATIENCE: Final = 300_000
"""Microseconds that an event may take from its arrival into the log, and still come before what time changes."""

Run = tuple[int, int, list[Event], list[RejectedEvent]]
"""Partition, offset of the first, events, and what is refused."""

_events = codec.Decoder(Event)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """How a router works."""

    buckets: int = BUCKETS
    turn_events: int = TURN
    turn_seconds: float = GATHER
    busy_turn_seconds: float = GATHER_LONGER
    busy_rate: int = MANY
    """Events a second."""
    tick_seconds: float = TICK
    idle_seconds: float = IDLE
    keep_seconds: float = 2.0
    """Longest time between two ticks with which everything is kept, while few events come."""
    busy_seconds: float = 10.0
    """While many do: a profile is written once, however often it has moved."""
    busy_events: int = 30_000
    """Events that wait to be kept and are many."""
    keep_events: int = 100_000
    """Events after which it is time in any case."""
    keep_idle_seconds: float = 0.1
    """When nothing came for so long, it is time at once."""
    profiles_in_memory: int = 1_000_000
    """Beyond, profiles whose latest items are in the store are let go."""
    look_seconds: float = 5.0
    """Longest time between two looks at how far the store is, while there are too many in memory."""
    page_people: int = 200
    """People whose history is read together, or who follow together, when definitions have changed."""


@dataclass(slots=True)
class Place:
    """How far everything is routed."""

    number: int = 0
    """Of the item that comes next."""
    routed: int = 0
    """Offset after the last turn, in the stream of what was routed."""
    events: dict[int, int] = field(default_factory=dict)
    decisions: int = 0
    version: int = 0
    """Of the definitions that buckets were told last."""


class Due(NamedTuple):
    """A tick that is due."""

    some: bool
    """Whether it is due even if no time has passed for what is routed."""
    keep: bool
    """Whether everything is to be kept with it."""


class Pace:
    """When the next tick is due, and when one with which the store is told of everything."""

    def __init__(self, settings: RouterSettings) -> None:
        self._settings = settings
        self._ticked = 0
        """Offset after the last tick …"""
        self._ticked_at = 0.0
        self._kept = 0
        """… and after the last of those with which everything was kept."""
        self._kept_at = 0.0
        self._routed_at = 0.0
        self._events = 0
        """How many were routed since."""

    def routed(self, events: int, now: float) -> None:
        """Note that so many events were routed."""
        self._events += events
        self._routed_at = now

    def ticked(self, routed: int, now: float, *, keep: bool) -> None:
        """Note a tick, behind which the stream of what was routed goes on there."""
        self._ticked, self._ticked_at = routed, now
        if keep:
            self._kept, self._kept_at, self._events = routed, now, 0

    @property
    def kept(self) -> int:
        """Where the stream goes on behind the last tick with which everything was kept."""
        return self._kept

    def due(self, now: float, routed: int, *, timed: bool) -> Due | None:
        """What is due, if anything is; `timed`: whether time alone may move people."""
        some, keep = routed > self._ticked, self._is_to_keep(now, routed, timed=timed)
        idle = now - self._routed_at >= self._settings.idle_seconds
        late = now - self._ticked_at >= self._settings.tick_seconds
        return Due(some or keep, keep) if keep or (some and (idle or late)) or (late and timed) else None

    def _is_to_keep(self, now: float, routed: int, *, timed: bool) -> bool:
        settings = self._settings
        long = settings.busy_seconds if self._events >= settings.busy_events else settings.keep_seconds
        late = now - self._kept_at >= long
        if routed <= self._kept:
            return timed and late
        return late or now - self._routed_at >= settings.keep_idle_seconds or self._events >= settings.keep_events


class Runs:
    """Events as they are read: those that follow each other at once; what cannot be read, or is others', set aside."""

    def __init__(self, parts: EngineParts, progress: Progress) -> None:
        self.foreign = Foreign(parts.store)
        self._runtime = parts.runtime
        self._progress = progress

    def of(self, batches: Sequence[Batch]) -> Iterable[Run]:
        """The runs of some batches."""
        waiting: Run | None = None
        for batch in batches:
            for first, events, rejected in self._readable(batch):
                if waiting is not None and not rejected and events:
                    partition, began, gathered, _ = waiting
                    if (partition, began + len(gathered)) == (batch.partition, first):
                        gathered.extend(events)
                        continue
                if waiting is not None:
                    yield waiting
                waiting = batch.partition, first, list(events), rejected
        if waiting is not None:
            yield waiting

    def _readable(self, batch: Batch) -> Iterable[tuple[int, Sequence[Event], list[RejectedEvent]]]:
        """The events of a batch with the offset of the first, and what is to be kept of it as refused."""
        if not batch.count:
            yield batch.first, [], self.foreign.kept_of(batch, self._runtime.now())
            return
        events, damaged = read_events(batch, self._runtime.now())
        if damaged is None:
            yield batch.first, events, []
        else:
            self._progress.damaged += batch.count
            yield batch.end, [], [damaged]


async def now_of(parts: EngineParts, place: Place, arrivals: Mapping[int, int]) -> int | None:
    """
    What time it is, as far as the log is routed; None if that is not known.

    `arrivals` has by partition the latest arrival of what was routed.
    """
    now = parts.runtime.now() - PATIENCE
    try:
        bounds = await parts.log.bounds(Stream.EVENTS)
    except Unreachable:
        return None  # whoever routes will say so
    lagging = [number for number, (_, end) in bounds.items() if place.events.get(number, 0) < end]
    return min([now, *(arrivals.get(number, 0) for number in lagging)])


class Noting(Protocol):
    """What a router tells whoever computes definitions on their way."""

    def folding(self) -> Definitions:
        """What buckets fold with: what everybody sees, and what is on its way beside it."""
        ...

    def note(self, ids: Iterable[bytes]) -> None:
        """Note that these become one, or are parted, by what is routed next; the first of them stays."""
        ...


class Routing(Protocol):
    """What is asked of a router by those who do something beside its work; they hold the turn when they append."""

    parts: EngineParts
    people: RoutedPeople
    place: Place
    turn: asyncio.Lock

    @property
    def filling(self) -> Noting: ...
    @property
    def buckets(self) -> int: ...
    @property
    def wanted(self) -> int: ...
    async def append(self, work: Sequence[tuple[int, Item]], **head: Any) -> None: ...
    async def write_down(
        self, decision: Decision, again: Sequence[Decision] = ()
    ) -> tuple[int, Sequence[Decision]]: ...
    async def stored(self) -> None: ...
    async def kept(self) -> Marks: ...
    async def now(self) -> int | None: ...
    def items_of(self, offset: int, decision: Decision) -> list[tuple[int, Item]]: ...
    def define(self, definitions: Definitions) -> None: ...
    def defined(self) -> list[tuple[int, Item]]: ...
