"""An archive in memory: for tests and for trying things out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from obverse.core.archives import Archived
from obverse.core.events import Event
from obverse.ports.archive import Archive, Piece, PieceWriter
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryArchiveSettings:
    """The `[archive.memory]` table of the settings file."""

    workspace: str = "main"


async def open_archive(settings: MemoryArchiveSettings, runtime: Runtime) -> Archive:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.archive:memory`. Each call opens an empty one."""
    return MemoryArchive()


class MemoryArchive:
    """See `Archive`."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], tuple[Piece, Sequence[Archived]]] = {}

    async def pieces(self) -> Sequence[Piece]:
        """See `Archive.pieces`."""
        return [piece for _, (piece, _) in sorted(self.kept.items())]

    async def open_writer(self, partition: int) -> PieceWriter:  # noqa: ARG002 - its pieces say so themselves
        """See `Archive.open_writer`."""
        return MemoryPieceWriter(self)

    async def read(self, piece: Piece, *, after: int = 0) -> AsyncIterator[Sequence[Archived]]:
        """See `Archive.read`."""
        try:
            _, rows = self.kept[piece.partition, piece.first]
        except KeyError:
            raise Unreachable(f"the archive has nothing of partition {piece.partition} at {piece.first}") from None
        yield [row for row in rows if row.offset >= after]

    async def leave_out(self, piece: Piece, rules: Callable[[Event], bool], followed: Sequence[str]) -> Piece:
        """See `Archive.leave_out`."""
        left = [row async for rows in self.read(piece) for row in rows if not rules(row.event)]
        now = replace(piece, rows=len(left), followed=tuple(followed))
        self.kept[piece.partition, piece.first] = now, left
        return now

    async def close(self) -> None:
        """See `Archive.close`."""


class MemoryPieceWriter:
    """See `PieceWriter`."""

    def __init__(self, archive: MemoryArchive) -> None:
        self._archive = archive
        self._rows: list[Archived] = []

    async def add(self, rows: Sequence[Archived]) -> None:
        """See `PieceWriter.add`."""
        self._rows += rows

    async def finish(self, piece: Piece) -> Piece:
        """See `PieceWriter.finish`."""
        done = replace(piece, rows=len(self._rows))
        self._archive.kept[piece.partition, piece.first] = done, self._rows
        return done

    async def abandon(self) -> None:
        """See `PieceWriter.abandon`."""
