"""Kinds of trait that count, add and compare numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, ClassVar

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp


class Count:
    """How many events came. State: an integer."""

    takes_value: ClassVar[bool] = False
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> int:
        """See `TraitKind.start`."""
        return 0

    def add(self, state: int, value: Any, stamp: Stamp) -> int:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        return state + 1

    def merge(self, one: int, other: int) -> int:
        """See `TraitKind.merge`."""
        return one + other

    def read(self, state: int) -> int:
        """See `TraitKind.read`."""
        return state

    def pack(self, state: int) -> int:
        """See `TraitKind.pack`."""
        return state

    def unpack(self, packed: int) -> int:
        """See `TraitKind.unpack`."""
        return packed


class Sum:
    """The exact sum of numbers; what is no number is passed over. State: a decimal."""

    takes_value: ClassVar[bool] = True
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> Decimal:
        """See `TraitKind.start`."""
        return Decimal(0)

    def add(self, state: Decimal, value: Any, stamp: Stamp) -> Decimal:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        number = json_values.number(value)
        return state if number is None else json_values.add(state, number)

    def merge(self, one: Decimal, other: Decimal) -> Decimal:
        """See `TraitKind.merge`."""
        return json_values.add(one, other)

    def read(self, state: Decimal) -> Decimal:
        """See `TraitKind.read`."""
        return state

    def pack(self, state: Decimal) -> str:
        """See `TraitKind.pack`."""
        return str(state)

    def unpack(self, packed: str) -> Decimal:
        """See `TraitKind.unpack`."""
        return Decimal(packed)


class _Extreme(ABC):
    """The smallest or largest number. State: a decimal, or None before the first."""

    takes_value: ClassVar[bool] = True
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> Decimal | None:
        """See `TraitKind.start`."""
        return None

    def add(self, state: Decimal | None, value: Any, stamp: Stamp) -> Decimal | None:  # noqa: ARG002 - as above
        """See `TraitKind.add`."""
        return self.merge(state, json_values.number(value))

    def merge(self, one: Decimal | None, other: Decimal | None) -> Decimal | None:
        """See `TraitKind.merge`."""
        if one is None or other is None:
            return other if one is None else one
        if one == other:
            # 1.5 and 1.50 are one number: the longer spelling stays, whichever came first.
            return min(one, other, key=lambda number: (number.as_tuple().exponent, str(number)))
        return one if self._better(one, other) else other

    @abstractmethod
    def _better(self, one: Decimal, other: Decimal) -> bool:
        """Min and Max say it."""

    def read(self, state: Decimal | None) -> Decimal | None:
        """See `TraitKind.read`."""
        return state

    def pack(self, state: Decimal | None) -> str | None:
        """See `TraitKind.pack`."""
        return None if state is None else str(state)

    def unpack(self, packed: str | None) -> Decimal | None:
        """See `TraitKind.unpack`."""
        return None if packed is None else Decimal(packed)


class Min(_Extreme):
    """The smallest number."""

    def _better(self, one: Decimal, other: Decimal) -> bool:
        return one < other


class Max(_Extreme):
    """The largest number."""

    def _better(self, one: Decimal, other: Decimal) -> bool:
        return one > other
