"""Parameters of a kind of trait: what a definition may set, within which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from obverse.core.traits.kind import TraitKind


class BadParameter(ValueError):
    """A parameter that cannot be used; `name` says which one, the message what to write."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a kind is made with, by the keyword of its name."""

    type: type[int | Decimal]
    default: int | Decimal
    least: int | Decimal
    most: int | Decimal

    def read(self, name: str, value: object) -> int | Decimal:
        """
        Return what a definition says, as the kind takes it.

        >>> percent = Parameter(Decimal, default=50, least=0, most=100)
        >>> percent.read("percentile", 99.9), percent.read("percentile", 95)
        (Decimal('99.9'), Decimal('95'))

        Raises:
            BadParameter: it is no number, or out of bounds.
        """
        number = _number(value)
        if number is None or not self.least <= number <= self.most or (self.type is int and number % 1):
            kind = "whole number" if self.type is int else "number"
            raise BadParameter(
                name, f"{value!r} is no {kind} from {self.least} to {self.most}; {self.default} if it is left out"
            )
        return self.type(number)


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def parameters_of(kind: TraitKind) -> Mapping[str, Parameter]:
    """The parameters of a kind, by their names: its class has them as `parameters`, if it has any."""
    found: Mapping[str, Parameter] = getattr(kind, "parameters", {})
    return found


def made_with(kind: TraitKind, given: Mapping[str, object]) -> tuple[TraitKind, Mapping[str, int | Decimal]]:
    """
    Return a kind made with what a definition gives, and what of that is not as it is by default.

    Raises:
        BadParameter: one cannot be used.
    """
    known = parameters_of(kind)
    read = {name: known[name].read(name, value) for name, value in given.items()}
    other = {name: value for name, value in sorted(read.items()) if value != known[name].default}
    make: Any = type(kind)
    return (make(**other) if other else kind), other
