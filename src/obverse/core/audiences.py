"""Audiences: named conditions; people enter and leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from obverse.core.conditions import Condition


@dataclass(frozen=True, slots=True)
class Audience:
    """A named condition; people enter and leave it."""

    name: str
    where: Condition
    description: str = ""


def conditions_of(audiences: Iterable[Audience]) -> Mapping[str, Condition]:
    """Conditions by the names of their audiences."""
    return {one.name: one.where for one in audiences}
