"""Measure: which traits are defined, and what values they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from obverse.core.definitions import Definitions


class TraitView(msgspec.Struct, frozen=True, kw_only=True):
    """A trait that is defined."""

    name: str
    description: str
    spec: Annotated[dict[str, Any], Meta(description="As the definition says it, without what goes without saying.")]


class TraitsView(msgspec.Struct, frozen=True):
    """Every trait that is defined."""

    traits: list[TraitView]


class Measure:
    """Tells of traits."""

    def __init__(self, definitions: Callable[[], Definitions]) -> None:
        self._definitions = definitions

    async def traits(self) -> TraitsView:
        """Return the traits that are defined."""
        return TraitsView(
            [
                TraitView(name=one.name, description=one.description, spec=dict(one.spec))
                for one in self._definitions().traits
                if not one.hidden
            ]
        )
