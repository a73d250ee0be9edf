"""Port: who has which identifier, all as of one moment. A part of `ProfileStore`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from obverse.ports.event_log import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Who is who, all as of one moment."""

    marks: Mapping[Stream, Mapping[int, int]]
    """How far the log was read for it."""
    profiles: Mapping[str, bytes]
    """By identifier, the id of the profile that has it; never one that was merged away."""
    refused: Mapping[str, int]
    """How many pairs tie nothing, by the rule that is against them (`profiles.identity_graph`)."""
    undone: frozenset[tuple[str, str]]
    """Those of them that somebody has taken back, as `edge_key` orders them."""
    accepted: frozenset[tuple[str, str]] = frozenset()
    """Pairs of which somebody has said that they are of one person, as above."""
    set_aside: int
    """How many identifiers are nobody's, since too many share them."""


class IdentifierOwners(Protocol):
    """See `ProfileStore`, whose promises hold here."""

    async def owners(self, writer: str) -> Owners:
        """
        Return who has which identifier, as of the last checkpoint of this writer: all of it at once.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...
