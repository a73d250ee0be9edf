"""Archive: events of periods that are over, written where anybody can read them with SQL, and left out by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from obverse.core import codec
from obverse.core.archives import Archived, Rule, due, period_of
from obverse.core.events import Event
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.archive import Archive, Piece, PieceWriter
from obverse.ports.event_log import Batch, EventLog, Stream
from obverse.ports.runtime import Runtime

LOOK: Final = 60.0
"""Seconds between two looks."""
MOST_ROWS: Final = 1_000_000
"""Events of one piece."""
GRACE: Final = 60_000_000
"""Microseconds after the end of a period: who appends may be held up between the clock and the commit."""

_events = codec.Decoder(Event)
_log = structlog.get_logger(__name__)


class ArchiveEvents:
    """
    Copies each period's events into the archive once it is over, and lets rules take out what has become too old.

    How far it is, the archive itself says: killed at any moment, it begins the piece anew that was not finished.
    """

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        runtime: Runtime,
        *,
        hours: int,
        rules: Sequence[Rule] = (),
        most_rows: int = MOST_ROWS,
    ) -> None:
        """A period has so many hours, counted from 1970; `rules` say what is left out, and when."""
        self._log = log
        self._archive = archive
        self._runtime = runtime
        self._hours = hours
        self._rules = rules
        self._most_rows = most_rows
        self.ends: dict[int, int] = {}
        """Up to where each partition is archived, once that is known."""
        self.vitals = Vitals()

    async def run(self) -> None:
        """Go on until cancelled."""
        await keep_on(self._run, self.vitals, self._runtime, doing="archiving events", pause=lambda: LOOK)

    async def _run(self) -> None:
        while True:
            began = self._runtime.elapsed()
            await self.turn()
            self.vitals.turns.note(self._runtime.elapsed() - began)
            self.vitals.failure = None
            await self._runtime.sleep(LOOK)

    async def turn(self) -> None:
        """
        Archive what is over, and follow the rules.

        Raises:
            Unreachable, AccessRefused: the log cannot be read, or the archive not be written.
            LogGap: events are missing from the log.
        """
        pieces = await self._archive.pieces()
        ends = {piece.partition: piece.end for piece in pieces}
        for partition, (first, end) in (await self._log.bounds(Stream.EVENTS)).items():
            mark = ends.get(partition, 0)
            if mark < first:
                if mark:
                    _log.warning("events left the log before they were archived", partition=partition, since=mark)
                mark = first
            self.ends[partition] = max(mark, self.ends.get(partition, 0))
            await self._bring(partition, mark, end)
        await self._follow(pieces)

    async def _bring(self, partition: int, mark: int, end: int) -> None:
        """Archive a partition from a mark on, up to what is not over yet."""
        over = period_of(self._runtime.now() - GRACE, self._hours)
        reader = await self._log.open_reader(Stream.EVENTS, {partition: mark})
        writing = _Writing(self._archive, partition, mark)
        try:
            while mark < end:
                for batch in await reader.next():
                    period = period_of(batch.appended_at, self._hours)
                    if period >= over:
                        end = mark
                        break
                    if writing.is_other(period) or writing.rows >= self._most_rows:
                        self._note(await writing.finish())
                        writing = _Writing(self._archive, partition, mark)
                    await writing.add(period, batch, _rows(batch, mark))
                    mark = batch.end
                await self._runtime.sleep(0)
            self._note(await writing.finish())
        finally:
            await writing.abandon()
            await reader.close()

    def _note(self, piece: Piece | None) -> None:
        if piece is not None:
            self.ends[piece.partition] = piece.end
            self.vitals.records["archived"] += piece.rows

    async def _follow(self, pieces: Sequence[Piece]) -> None:
        """Leave out of these pieces what has become too old."""
        now = self._runtime.now()
        for piece in pieces:
            wanted = due(self._rules, piece.latest, now, piece.followed)
            if wanted:
                texts = [*piece.followed, *(rule.text for rule in wanted)]
                left = await self._archive.leave_out(piece, lambda event: _matches(wanted, event), texts)  # noqa: B023 - it is called at once
                self.vitals.records["left out"] += piece.rows - left.rows
                await self._runtime.sleep(0)

    def archived(self) -> Mapping[int, int]:
        """Up to where each partition is archived, as far as is known."""
        return self.ends


class _Writing:
    """One piece while it is written; it is opened with its first batch."""

    def __init__(self, archive: Archive, partition: int, first: int) -> None:
        self._archive = archive
        self._piece = Piece(partition=partition, first=first, end=first, period=0, latest=0)
        self._writer: PieceWriter | None = None
        self.rows = 0

    def is_other(self, period: int) -> bool:
        """Whether it holds something, of another period."""
        return self._writer is not None and self._piece.period != period

    async def add(self, period: int, batch: Batch, rows: Sequence[Archived]) -> None:
        if self._writer is None:
            self._writer = await self._archive.open_writer(self._piece.partition)
        self._piece = replace(self._piece, end=batch.end, period=period, latest=batch.appended_at)
        self.rows += len(rows)
        await self._writer.add(rows)

    async def finish(self) -> Piece | None:
        """The piece; None if nothing was added."""
        if self._writer is None:
            return None
        piece = await self._writer.finish(self._piece)
        self._writer = None
        return piece

    async def abandon(self) -> None:
        if self._writer is not None:
            await self._writer.abandon()


def _rows(batch: Batch, mark: int) -> list[Archived]:
    """What is in a batch from a mark on; nothing if it cannot be read."""
    try:
        events = [] if batch.damage else _events.decode(batch.count, batch.body)
    except codec.UnreadableRecord as error:
        _log.error("damaged batch left out of the archive", first_offset=batch.first, damage=str(error))
        return []
    if batch.damage:
        _log.error("damaged batch left out of the archive", first_offset=batch.first, damage=batch.damage)
    placed = [Archived(batch.first + at, batch.appended_at, event) for at, event in enumerate(events)]
    return [one for one in placed if one.offset >= mark]


def _matches(rules: Sequence[Rule], event: Event) -> bool:
    return any(rule.matches(event) for rule in rules)
