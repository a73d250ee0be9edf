"""Kinds of trait that count, add and compare numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, ClassVar, Final

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes


class Count:
    """How many events came. State: an integer."""

    takes: ClassVar[Takes] = Takes.NOTHING
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

    def without(self, whole: int, part: int, rest: Iterable[int]) -> int:  # noqa: ARG002 - see `Subtracts.without`
        """See `Subtracts.without`."""
        return whole - part

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
    """The exact sum of numbers. State: a decimal."""

    takes: ClassVar[Takes] = Takes.NUMBER
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> Decimal:
        """See `TraitKind.start`."""
        return Decimal(0)

    def add(self, state: Decimal, value: Decimal, stamp: Stamp) -> Decimal:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        return json_values.add(state, value)

    def merge(self, one: Decimal, other: Decimal) -> Decimal:
        """See `TraitKind.merge`."""
        return json_values.add(one, other)

    def without(self, whole: Decimal, part: Decimal, rest: Iterable[Decimal]) -> Decimal | None:
        """See `Subtracts.without`."""
        digits = _places(whole)
        # A sum has the decimal places of the number that has most, so one of these must be there still.
        if _places(part) == digits and all(_places(one) != digits for one in rest):
            return None
        return json_values.add(whole, part.copy_negate())

    def read(self, state: Decimal) -> Decimal:
        """See `TraitKind.read`."""
        return state

    def pack(self, state: Decimal) -> str:
        """See `TraitKind.pack`."""
        return str(state)

    def unpack(self, packed: str) -> Decimal:
        """See `TraitKind.unpack`."""
        return Decimal(packed)


_PLACES: Final = Decimal("0.000001")
"""What an average is rounded to: six decimal places, half to even."""
_DIVIDING: Final = Context(prec=2 * (json_values.DIGITS + json_values.REACH), rounding=ROUND_HALF_EVEN)


class Average:
    """The average of numbers, with six decimal places. State: their exact sum, and how many they are."""

    takes: ClassVar[Takes] = Takes.NUMBER
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = False

    def start(self) -> tuple[Decimal, int]:
        """See `TraitKind.start`."""
        return Decimal(0), 0

    def add(self, state: tuple[Decimal, int], value: Decimal, stamp: Stamp) -> tuple[Decimal, int]:  # noqa: ARG002 - as above
        """See `TraitKind.add`."""
        return json_values.add(state[0], value), state[1] + 1

    def merge(self, one: tuple[Decimal, int], other: tuple[Decimal, int]) -> tuple[Decimal, int]:
        """See `TraitKind.merge`."""
        return json_values.add(one[0], other[0]), one[1] + other[1]

    def without(
        self,
        whole: tuple[Decimal, int],
        part: tuple[Decimal, int],
        rest: Iterable[tuple[Decimal, int]],  # noqa: ARG002 - see `Subtracts.without`
    ) -> tuple[Decimal, int]:
        """See `Subtracts.without`."""
        return json_values.add(whole[0], part[0].copy_negate()), whole[1] - part[1]

    def read(self, state: tuple[Decimal, int]) -> Decimal | None:
        """See `TraitKind.read`."""
        total, count = state
        return _DIVIDING.divide(total, Decimal(count)).quantize(_PLACES, context=_DIVIDING) if count else None

    def pack(self, state: tuple[Decimal, int]) -> Any:
        """See `TraitKind.pack`."""
        return str(state[0]), state[1]

    def unpack(self, packed: Any) -> tuple[Decimal, int]:
        """See `TraitKind.unpack`."""
        return Decimal(packed[0]), packed[1]


def _places(number: Decimal) -> int | str:
    """Decimal places, as a number that is the smaller the more they are."""
    return number.as_tuple().exponent


class _Extreme(ABC):
    """The smallest or largest number. State: a decimal, or None before the first."""

    takes: ClassVar[Takes] = Takes.NUMBER
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> Decimal | None:
        """See `TraitKind.start`."""
        return None

    def add(self, state: Decimal | None, value: Decimal, stamp: Stamp) -> Decimal:  # noqa: ARG002 - as above
        """See `TraitKind.add`."""
        return value if state is None else self._pick(state, value)

    def merge(self, one: Decimal | None, other: Decimal | None) -> Decimal | None:
        """See `TraitKind.merge`."""
        if one is None or other is None:
            return other if one is None else one
        return self._pick(one, other)

    @abstractmethod
    def _pick(self, one: Decimal, other: Decimal) -> Decimal:
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

    def _pick(self, one: Decimal, other: Decimal) -> Decimal:
        if one < other:
            return one
        return other if other < one else _longer(one, other)


class Max(_Extreme):
    """The largest number."""

    def _pick(self, one: Decimal, other: Decimal) -> Decimal:
        if one > other:
            return one
        return other if other > one else _longer(one, other)


def _longer(one: Decimal, other: Decimal) -> Decimal:
    """Of 1.5 and 1.50, which are one number, the longer spelling, whichever came first."""
    spelt, otherwise = str(one), str(other)
    if spelt == otherwise:
        return one
    return min(one, other, key=lambda number: (number.as_tuple().exponent, str(number)))
