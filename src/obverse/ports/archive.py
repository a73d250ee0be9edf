"""Port: events kept for long outside the log, in pieces that anybody can read with SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from obverse.core.archives import Archived
from obverse.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of a partition's events, all of one period. It never grows."""

    partition: int
    first: int
    """Offset of the first record that it stands for …"""
    end: int
    """… and the one after the last. Events in between may have been left out by a rule, or have been damaged."""
    period: int
    """When its period began, in microseconds since 1970."""
    latest: int
    """When the last of its events was appended."""
    rows: int = 0
    followed: tuple[str, ...] = ()
    """Texts of the rules by which events were left out."""


class PieceWriter(Protocol):
    """Writes one piece; until it is finished, nobody sees it."""

    async def add(self, rows: Sequence[Archived]) -> None:
        """Append rows, in the order of their offsets."""
        ...

    async def finish(self, piece: Piece) -> Piece:
        """Make it durable and seen by all, and return it with the number of its rows."""
        ...

    async def abandon(self) -> None:
        """Forget it, unless it is finished."""
        ...


class Archive(Protocol):
    """
    One workspace's archived events.

    Promises, proved for every adapter by `obverse.contracts.archive`:

    * a piece that was finished is there after any crash, and nothing is seen of one that was not;
    * events come back as they were, in order;
    * a piece is replaced whole, or not at all.

    Every method raises `Unreachable` where nothing can be read or written now.
    """

    async def pieces(self) -> Sequence[Piece]:
        """Return what there is, in order of partition and offset."""
        ...

    async def open_writer(self, partition: int) -> PieceWriter:
        """Begin a piece of a partition."""
        ...

    def read(self, piece: Piece, *, after: int = 0) -> AsyncIterator[Sequence[Archived]]:
        """
        Read the rows of a piece from an offset on, some thousand at a time.

        Raises:
            Unreachable: it cannot be read; the message says which and why.
        """
        ...

    async def leave_out(self, piece: Piece, rules: Callable[[Event], bool], followed: Sequence[str]) -> Piece:
        """Replace a piece by one without the events for which `rules` is true, and note what it follows now."""
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...
