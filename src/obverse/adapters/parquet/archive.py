"""The archive as a folder of Parquet files: a piece is a file, whose name and metadata say all that is known of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from obverse.adapters._archived_rows import SCHEMA, from_batch, to_table
from obverse.core import codec
from obverse.core.archives import Archived
from obverse.core.events import Event
from obverse.ports.archive import Archive, Piece, PieceWriter
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

_NOTE: Final = b"obverse"
"""The key of the metadata that says what a piece is."""
_UNFINISHED: Final = ".unfinished"
_ABANDONED: Final = 3600.0
"""Seconds after which nobody writes to an unfinished file any more."""
_GROUP: Final = 20_000
"""Rows of a group, which readers can pass over whole."""
_ROWS: Final = 2000
"""Rows that are read at once."""
_Failures: Final = (OSError, pa.ArrowException, msgspec.MsgspecError, codec.UnreadableRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetArchiveSettings:
    """The `[archive.parquet]` table of the settings file."""

    folder: Path
    """Where the files are. Any program may read there; this one alone writes."""
    workspace: str = "main"


async def open_archive(settings: ParquetArchiveSettings, runtime: Runtime) -> Archive:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.archive:parquet`."""
    return ParquetArchive(settings)


class ParquetArchive:
    """See `Archive`."""

    def __init__(self, settings: ParquetArchiveSettings) -> None:
        self._folder = settings.folder / settings.workspace / "events"
        self._known: dict[Path, tuple[int, Piece]] = {}
        """Pieces by file, with the time at which the file was changed."""

    async def pieces(self) -> Sequence[Piece]:
        """See `Archive.pieces`."""
        found = await _work(self._find, f"look into {self._folder}")
        return sorted(found, key=lambda piece: (piece.partition, piece.first))

    async def open_writer(self, partition: int) -> PieceWriter:
        """See `Archive.open_writer`."""
        return ParquetPieceWriter(self._folder, partition)

    async def read(self, piece: Piece, *, after: int = 0) -> AsyncIterator[Sequence[Archived]]:
        """See `Archive.read`."""
        path = self._folder / name_of(piece)
        batches = await _work(lambda: _batches(path, after), f"read {path}")
        while (rows := await _work(lambda: _next(batches), f"read {path}")) is not None:
            yield [row for row in rows if row.offset >= after]

    async def leave_out(self, piece: Piece, rules: Callable[[Event], bool], followed: Sequence[str]) -> Piece:
        """See `Archive.leave_out`."""
        writer = ParquetPieceWriter(self._folder, piece.partition)
        try:
            async for rows in self.read(piece):
                await writer.add([row for row in rows if not rules(row.event)])
            return await writer.finish(replace(piece, followed=tuple(followed)))
        finally:
            await writer.abandon()

    async def close(self) -> None:
        """See `Archive.close`."""

    def _find(self) -> list[Piece]:
        known, self._known = self._known, {}
        for path in self._folder.glob("*/*.parquet"):
            changed = path.stat().st_mtime_ns
            held = known.get(path)
            piece = held[1] if held is not None and held[0] == changed else _piece(path)
            self._known[path] = changed, piece
        return [piece for _, piece in self._known.values()]


class ParquetPieceWriter:
    """See `PieceWriter`."""

    def __init__(self, folder: Path, partition: int) -> None:
        self._folder = folder
        self._partition = partition
        self._path = folder / f"{os.getpid()}-{id(self):x}{_UNFINISHED}"
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[Archived] = []
        self._count = 0

    async def add(self, rows: Sequence[Archived]) -> None:
        """See `PieceWriter.add`."""
        self._rows += rows
        if len(self._rows) >= _GROUP:
            await self._flush()

    async def finish(self, piece: Piece) -> Piece:
        """See `PieceWriter.finish`."""
        done = replace(piece, rows=self._count + len(self._rows))
        await self._flush()
        await _work(lambda: self._finish(done), f"write {self._path}")
        return done

    async def abandon(self) -> None:
        """See `PieceWriter.abandon`."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            await _work(lambda: self._abandon(writer), f"remove {self._path}")

    async def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._count += len(rows)
        await _work(lambda: self._write(rows), f"write {self._path}")

    def _write(self, rows: Sequence[Archived]) -> None:
        writer = self._opened()
        if rows:
            writer.write_table(to_table(self._partition, rows))

    def _opened(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            _sweep(self._folder)
            self._writer = pq.ParquetWriter(self._path, SCHEMA, compression="zstd")
        return self._writer

    def _finish(self, piece: Piece) -> None:
        writer, self._writer = self._opened(), None
        writer.add_key_value_metadata({_NOTE: msgspec.json.encode(piece)})
        writer.close()
        path = self._folder / name_of(piece)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("rb") as written:
            os.fsync(written.fileno())
        self._path.replace(path)
        _sync(path.parent)
        _sync(self._folder)

    def _abandon(self, writer: pq.ParquetWriter) -> None:
        writer.close()
        self._path.unlink(missing_ok=True)


def name_of(piece: Piece) -> str:
    """Where the file of a piece is, beneath the folder of events."""
    period = datetime.fromtimestamp(piece.period / 1_000_000, UTC)
    return f"{period:%Y-%m-%dT%H}/{piece.partition}-{piece.first:020}-{piece.end:020}.parquet"


def _sweep(folder: Path) -> None:
    """Remove what somebody who was killed has left."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        if time.time() - path.stat().st_mtime > _ABANDONED:
            path.unlink(missing_ok=True)


def _piece(path: Path) -> Piece:
    note = (pq.read_metadata(path).metadata or {}).get(_NOTE)
    if note is None:
        raise OSError(f"{path} was not written by obverse: move it out of the archive's folder")
    return msgspec.json.decode(note, type=Piece)


def _batches(path: Path, after: int) -> Any:
    file = pq.ParquetFile(path)
    place = SCHEMA.get_field_index("offset")
    groups = [
        number
        for number in range(file.num_row_groups)
        if (told := file.metadata.row_group(number).column(place).statistics) is None or told.max >= after
    ]
    return file.iter_batches(batch_size=_ROWS, row_groups=groups)


def _next(batches: Any) -> list[Archived] | None:
    batch = next(batches, None)
    return None if batch is None else from_batch(batch)


def _sync(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


async def _work(work: Callable[[], Any], doing: str) -> Any:
    """Do it in a thread; what fails there is told in the port's words."""
    try:
        return await asyncio.to_thread(work)
    except _Failures as error:
        raise Unreachable(f"cannot {doing}: {error}") from error
