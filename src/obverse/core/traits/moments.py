"""Kinds of trait that keep one event's value: the first's, the last's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes

State = tuple[Stamp, bytes] | None
"""The stamp of the event that won, and its value as JSON text; None before the first event."""


class _Moment(ABC):
    """One event's value, chosen by stamp."""

    takes: ClassVar[Takes] = Takes.TEXT
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = False

    def start(self) -> State:
        """See `TraitKind.start`."""
        return None

    def add(self, state: State, value: bytes, stamp: Stamp) -> State:
        """See `TraitKind.add`."""
        if state is None:
            return stamp, value
        return self._pick(state, (stamp, value)) if self._wins(stamp, state[0]) else state

    @abstractmethod
    def _wins(self, stamp: Stamp, holder: Stamp) -> bool:
        """First and Last say it."""

    def merge(self, one: State, other: State) -> State:
        """See `TraitKind.merge`."""
        if one is None or other is None:
            return other if one is None else one
        return self._pick(one, other)

    @abstractmethod
    def _pick(self, one: tuple[Stamp, bytes], other: tuple[Stamp, bytes]) -> tuple[Stamp, bytes]:
        """First and Last say it."""

    def read(self, state: State) -> Any:
        """See `TraitKind.read`."""
        return None if state is None else json_values.decode(state[1])

    def pack(self, state: State) -> Any:
        """See `TraitKind.pack`."""
        return state

    def unpack(self, packed: Any) -> State:
        """See `TraitKind.unpack`."""
        return None if packed is None else (Stamp(*packed[0]), packed[1])


class First(_Moment):
    """The value of the event with the earliest stamp."""

    def _wins(self, stamp: Stamp, holder: Stamp) -> bool:
        return stamp <= holder

    def _pick(self, one: tuple[Stamp, bytes], other: tuple[Stamp, bytes]) -> tuple[Stamp, bytes]:
        return min(one, other)


class Last(_Moment):
    """The value of the event with the latest stamp."""

    def _wins(self, stamp: Stamp, holder: Stamp) -> bool:
        return stamp >= holder

    def _pick(self, one: tuple[Stamp, bytes], other: tuple[Stamp, bytes]) -> tuple[Stamp, bytes]:
        return max(one, other)


class Given(Last):
    """The one value in the latest event's list; none if that is empty, where null would say nothing."""

    def read(self, state: State) -> Any:
        """See `TraitKind.read`."""
        values = super().read(state)
        return values[0] if isinstance(values, list) and values else None
