"""The log with its archive before it: events that left the log are read from where they were archived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from obverse.core import codec
from obverse.core.archives import Archived
from obverse.ports.archive import Archive, Piece
from obverse.ports.event_log import Appender, Batch, EventLog, Reader, Stream

_MOST: Final = 1000
"""Records of a batch that is made of archived events."""
LEFT_OUT: Final = "left out of the archive, by a rule or since it was damaged"


class ArchivedLog:
    """
    See `EventLog`: events that the log holds no more come from the archive, if it has all of them up to there.

    What a rule has left out is a batch without records that says so; offsets stay as they were.
    """

    def __init__(self, log: EventLog, archive: Archive) -> None:
        self._log = log
        self._archive = archive

    @property
    def partitions(self) -> int:
        """See `EventLog.partitions`."""
        return self._log.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """See `EventLog.open_appender`."""
        return await self._log.open_appender(stream, partitions, most=most)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """See `EventLog.open_reader`."""
        if stream is Stream.EVENTS:
            kept = await self._log.bounds(stream)
            early = {one: mark for one, mark in marks.items() if mark < kept[one][0]}
            if early:
                pieces = _before(await self._archive.pieces(), kept)
                reach = {one: [p for p in pieces.get(one, ()) if p.end > mark] for one, mark in early.items()}
                if all(found and found[0].first <= early[one] for one, found in reach.items()):
                    return _ArchivedReader(self._log, self._archive, marks, reach, kept)
        return await self._log.open_reader(stream, marks)

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        kept = await self._log.bounds(stream)
        if stream is not Stream.EVENTS:
            return kept
        pieces = _before(await self._archive.pieces(), kept)
        return {one: (pieces[one][0].first if pieces.get(one) else first, end) for one, (first, end) in kept.items()}

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """See `EventLog.begin`."""
        await self._log.begin(stream, offsets)

    async def trim(self, stream: Stream, before: int) -> None:
        """See `EventLog.trim`."""
        await self._log.trim(stream, before)

    async def close(self) -> None:
        """See `EventLog.close`."""
        await self._log.close()
        await self._archive.close()


class _ArchivedReader:
    """See `Reader`: one partition's archive after another, then the log."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        marks: Mapping[int, int],
        pieces: Mapping[int, Sequence[Piece]],
        kept: Mapping[int, tuple[int, int]],
    ) -> None:
        self._log = log
        self._archive = archive
        self._marks = dict(marks)
        self._pieces = {one: list(found) for one, found in pieces.items()}
        self._kept = kept
        self._reading: AsyncIterator[Sequence[Archived]] | None = None
        self._reader: Reader | None = None

    async def next(self) -> Sequence[Batch]:
        """See `Reader.next`."""
        while self._pieces:
            partition = next(iter(self._pieces))
            pieces = self._pieces[partition]
            limit = self._kept[partition][0]
            if not pieces or self._marks[partition] >= limit:
                del self._pieces[partition]
                continue
            piece, mark = pieces[0], self._marks[partition]
            if self._reading is None:
                self._reading = self._archive.read(piece, after=mark)
            rows = await anext(self._reading, None)
            if rows is None:
                self._reading = None
                pieces.pop(0)
                rows, end = [], min(piece.end, limit)
            else:
                rows = [row for row in rows if mark <= row.offset < limit]
                end = rows[-1].offset + 1 if rows else mark
            batches = list(_batches(partition, rows, mark, end, piece.latest))
            self._marks[partition] = end
            if batches:
                return batches
        if self._reader is None:
            self._reader = await self._log.open_reader(Stream.EVENTS, self._marks)
        return await self._reader.next()

    async def close(self) -> None:
        """See `Reader.close`."""
        self._pieces = {}
        if self._reader is not None:
            await self._reader.close()


def _before(pieces: Sequence[Piece], kept: Mapping[int, tuple[int, int]]) -> dict[int, list[Piece]]:
    """By partition, the pieces that reach without a gap up to what the log keeps."""
    found: dict[int, list[Piece]] = {}
    for piece in reversed(pieces):
        later = found.setdefault(piece.partition, [])
        first = kept.get(piece.partition, (0, 0))[0]
        if piece.first >= first:
            continue
        if (later and piece.end == later[-1].first) or (not later and piece.end >= first):
            later.append(piece)
    return {one: later[::-1] for one, later in found.items()}


def _batches(partition: int, rows: Sequence[Archived], mark: int, end: int, latest: int) -> Iterator[Batch]:
    """Rows as batches, and what is missing between `mark` and `end`."""
    for at, group in groupby(enumerate(rows), key=lambda placed: (placed[1].offset - placed[0], placed[1].appended_at)):
        run = [row for _, row in group]
        if mark < run[0].offset:
            yield _missing(partition, mark, run[0].offset, at[1])
        for start in range(0, len(run), _MOST):
            some = run[start : start + _MOST]
            body = codec.encode([row.event for row in some])
            yield Batch(partition=partition, first=some[0].offset, count=len(some), body=body, appended_at=at[1])
        mark = run[-1].offset + 1
    if mark < end:
        yield _missing(partition, mark, end, latest)


def _missing(partition: int, first: int, end: int, at: int) -> Batch:
    damage = f"events partition {partition}, offsets {first} to {end - 1}: {LEFT_OUT}"
    return Batch(partition=partition, first=first, count=end - first, body=b"", appended_at=at, damage=damage)
