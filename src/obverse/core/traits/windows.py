"""Windows: kinds of trait over the events of the last while, or of the calendar's period, which time alone moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from obverse.core import spans
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.calendars import Calendar
from obverse.core.traits.kind import Takes, TraitKind, is_approximate

LEAST: Final = spans.HOUR
"""Microseconds of the shortest window that slides …"""
MOST: Final = 400 * spans.DAY
"""… and of the longest."""
_STEPS: Final = ((7 * spans.DAY, spans.MINUTE), (92 * spans.DAY, spans.HOUR), (MOST, spans.DAY))
"""Up to which window which step: an event leaves at the end of one, so at most one step late."""

_BLOCK: Final = 6
"""Two to the power of this: steps that are kept as one, too, where there are many …"""
_MANY: Final = 128
"""… which are more than this. Else what leaves would be work for all that stays, each time."""

_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder()


class Subtracts(Protocol):
    """What a kind of trait has beside, if what has left a window can be taken away from the rest."""

    def without(self, whole: Any, part: Any, rest: Iterable[Any]) -> Any:
        """
        Return the state of the whole without one of its parts; None if it is to be made of the rest instead.

        `rest` are the other parts. It must be the state that these would make.
        """
        ...


class Windowed(ABC):
    """
    How one kind of trait is computed over a window; has no state of its own.

    As a `TraitKind`, but for time: adding is told what time it is, which never goes back for one profile, and a state
    is as of the last `advance`. `now` and every instant is in microseconds since 1970. States are changed in place.
    """

    def __init__(self, kind: TraitKind) -> None:
        """`kind` computes what is in the window."""
        self.kind = kind

    @property
    def takes(self) -> Takes:
        """See `TraitKind.takes`."""
        return self.kind.takes

    @abstractmethod
    def start(self) -> Any:
        """The state before any event."""

    @abstractmethod
    def add(self, state: Any, value: Any, stamp: Stamp, now: int) -> Any:
        """The state after one more event; one that has left the window already is passed over."""

    @abstractmethod
    def advance(self, state: Any, now: int) -> None:
        """Have what has left the window by now leave the state."""

    @abstractmethod
    def due(self, state: Any) -> int | None:
        """The next instant at which something leaves, if nothing is added; None if the window is empty."""

    @abstractmethod
    def merge(self, one: Any, other: Any) -> Any:
        """The state of two profiles that became one, as of the later of both; to be advanced to that."""

    @abstractmethod
    def whole(self, state: Any) -> Any:
        """What is in the window, as a state of `kind`."""

    def read(self, state: Any) -> Any:
        """See `TraitKind.read`."""
        return self.kind.read(self.whole(state))

    def approximate(self, state: Any) -> bool:
        """See `Approximates.approximate`."""
        return is_approximate(self.kind, self.whole(state))

    @abstractmethod
    def pack(self, state: Any) -> Any:
        """See `TraitKind.pack`."""

    @abstractmethod
    def unpack(self, packed: Any) -> Any:
        """See `TraitKind.unpack`."""


@dataclass(slots=True)
class Steps:
    """What is in a window, by the steps in which it happened."""

    parts: dict[int, Any] = field(default_factory=dict)
    """By number of the step, the earliest first."""
    whole: Any = field(default=None, compare=False)
    """All of them as one; None if that is to be made anew."""
    blocks: dict[int, Any] = field(default_factory=dict, compare=False)
    """Of many, some that follow each other as one, by number of the block; those that have not moved since."""


class Sliding(Windowed):
    """
    Over the events of the last while.

    Time goes in steps: an event counts until the window's length after the end of its step has passed. So it never
    leaves early, and at most one step late.
    """

    def __init__(self, kind: TraitKind, span: int) -> None:
        """`span`: microseconds, from `LEAST` to `MOST`."""
        super().__init__(kind)
        self._span = span
        self._step = next(step for most, step in _STEPS if span <= most)
        self._without = getattr(kind, "without", None)

    def start(self) -> Steps:
        """See `Windowed.start`."""
        return Steps()

    def _leaves(self, number: int) -> int:
        return (number + 1) * self._step + self._span

    def add(self, state: Steps, value: Any, stamp: Stamp, now: int) -> Steps:
        """See `Windowed.add`."""
        number = stamp.time // self._step
        if self._leaves(number) <= now:
            return state
        kind, parts = self.kind, state.parts
        part = parts.get(number)
        if part is None:
            late = bool(parts) and number < next(reversed(parts))
            parts[number] = kind.add(kind.start(), value, stamp)
            if late:
                state.parts = dict(sorted(parts.items()))
        else:
            parts[number] = kind.add(part, value, stamp)
        state.blocks.pop(number >> _BLOCK, None)
        if state.whole is not None:
            state.whole = kind.add(state.whole, value, stamp)
        return state

    def advance(self, state: Steps, now: int) -> None:
        """See `Windowed.advance`."""
        parts = state.parts
        while parts and self._leaves(number := next(iter(parts))) <= now:
            part = parts.pop(number)
            state.blocks.pop(number >> _BLOCK, None)
            if state.whole is not None and self._without is not None:
                state.whole = self._without(state.whole, part, parts.values())
            else:
                state.whole = None

    def due(self, state: Steps) -> int | None:
        """See `Windowed.due`."""
        return self._leaves(next(iter(state.parts))) if state.parts else None

    def merge(self, one: Steps, other: Steps) -> Steps:
        """See `Windowed.merge`."""
        merge, parts = self.kind.merge, one.parts
        for number, part in other.parts.items():
            parts[number] = merge(parts[number], part) if number in parts else part
        return Steps(dict(sorted(parts.items())))

    def whole(self, state: Steps) -> Any:
        """See `Windowed.whole`."""
        if state.whole is None:
            parts = state.parts
            some = parts.values() if len(parts) <= _MANY else self._blocks(parts, state.blocks)
            state.whole = self._merged(some)
        return state.whole

    def _merged(self, some: Iterable[Any]) -> Any:
        whole = self.kind.start()
        for one in some:
            whole = self.kind.merge(whole, self._copy(one))
        return whole

    def _blocks(self, parts: dict[int, Any], blocks: dict[int, Any]) -> Iterator[Any]:
        """The parts, some that follow each other as one."""
        earliest, latest = next(iter(parts)), next(reversed(parts))
        for block in range(earliest >> _BLOCK, (latest >> _BLOCK) + 1):
            if block not in blocks:
                first = block << _BLOCK
                numbers = range(first, first + (1 << _BLOCK))
                blocks[block] = self._merged(parts[number] for number in numbers if number in parts)
            yield blocks[block]

    def _copy(self, part: Any) -> Any:
        """A state that may be changed without the one given."""
        if not self.kind.in_place:
            return part
        return self.kind.unpack(_unpacker.decode(_packer.encode(self.kind.pack(part))))

    def pack(self, state: Steps) -> Any:
        """See `TraitKind.pack`. Steps are counted from the first, so that their numbers are short."""
        first, pack = next(iter(state.parts), 0), self.kind.pack
        return first, {number - first: pack(part) for number, part in state.parts.items()}

    def unpack(self, packed: Any) -> Steps:
        """See `TraitKind.unpack`."""
        first, parts = packed
        unpack = self.kind.unpack
        return Steps({first + number: unpack(part) for number, part in parts.items()})


@dataclass(slots=True)
class Period:
    """What has happened in one period of the calendar."""

    whole: Any
    end: int | None = None
    """When the period ends; None if nothing has happened in it."""


class Periodic(Windowed):
    """Over the events of the calendar's current period."""

    def __init__(self, kind: TraitKind, calendar: Calendar) -> None:
        super().__init__(kind)
        self._calendar = calendar

    def start(self) -> Period:
        """See `Windowed.start`."""
        return Period(self.kind.start())

    def add(self, state: Period, value: Any, stamp: Stamp, now: int) -> Period:
        """See `Windowed.add`."""
        began, end = self._calendar.period(now)
        if stamp.time >= began:
            if state.end != end:
                state.whole, state.end = self.kind.start(), end
            state.whole = self.kind.add(state.whole, value, stamp)
        return state

    def advance(self, state: Period, now: int) -> None:
        """See `Windowed.advance`."""
        if state.end is not None and state.end <= now:
            state.whole, state.end = self.kind.start(), None

    def due(self, state: Period) -> int | None:
        """See `Windowed.due`."""
        return state.end

    def merge(self, one: Period, other: Period) -> Period:
        """See `Windowed.merge`."""
        if one.end == other.end:
            return Period(self.kind.merge(one.whole, other.whole), one.end)
        return one if other.end is None or (one.end is not None and one.end > other.end) else other

    def whole(self, state: Period) -> Any:
        """See `Windowed.whole`."""
        return state.whole

    def pack(self, state: Period) -> Any:
        """See `TraitKind.pack`."""
        return None if state.end is None else (state.end, self.kind.pack(state.whole))

    def unpack(self, packed: Any) -> Period:
        """See `TraitKind.unpack`."""
        return self.start() if packed is None else Period(self.kind.unpack(packed[1]), packed[0])
