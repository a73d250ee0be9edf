"""Keep rejected events: from their stream into the table where people find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from obverse.core import codec
from obverse.core.events import RejectedEvent, foreign_record
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.event_log import Batch, EventLog, Stream
from obverse.ports.profile_store import Checkpoint, ProfileStore, RejectedFilter, StoreWriter
from obverse.ports.runtime import Runtime

WRITER: Final = "keep_rejected"
_FOREIGN: Final = 1000
"""So many of what others wrote are remembered."""
_decoder = codec.Decoder(RejectedEvent)
_log = structlog.get_logger(__name__)


class KeepRejected:
    """Writes each rejected event into the store once, with the mark of the stream in the same transaction."""

    def __init__(self, log: EventLog, store: ProfileStore, runtime: Runtime) -> None:
        self._log = log
        self._store = store
        self._runtime = runtime
        self.vitals = Vitals()
        self.marks: dict[int, int] = {}
        """By partition, the offset in the stream of rejected events that comes next."""

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        await keep_on(self._run, self.vitals, self._runtime, doing="keeping rejected events", pause=lambda: 1.0)

    async def _run(self) -> None:
        writer = await self._store.open_writer(WRITER)
        try:
            await self._copy(writer)
        finally:
            await writer.close()

    async def _copy(self, writer: StoreWriter) -> None:
        kept = writer.marks.get(Stream.REJECTED, {})
        self.marks = {one: kept.get(one, 0) for one in await self._log.bounds(Stream.REJECTED)}
        reader = await self._log.open_reader(Stream.REJECTED, self.marks)
        self.vitals.failure = None
        try:
            while True:
                for batch in await reader.next():
                    began, rejected = self._runtime.elapsed(), await self._read(batch)
                    marks = {Stream.REJECTED: {batch.partition: batch.end}}
                    await writer.commit(Checkpoint(marks=marks, rejected=rejected))
                    self.vitals.turns.note(self._runtime.elapsed() - began)
                    self.vitals.records["kept"] += len(rejected)
                    self.marks[batch.partition] = batch.end
        finally:
            await reader.close()

    async def _read(self, batch: Batch) -> list[RejectedEvent]:
        if batch.count:
            return self._records(batch)
        # What others wrote does not move the mark, so it may have been read and kept before.
        foreign = foreign_record(batch.damage, self._runtime.now())
        kept = await self._store.rejected(RejectedFilter(code=foreign.code), limit=_FOREIGN)
        return [] if foreign.reason in {one.event.reason for one in kept} else [foreign]

    def _records(self, batch: Batch) -> list[RejectedEvent]:
        if not batch.damage:
            try:
                return _decoder.decode(batch.count, batch.body)
            except codec.UnreadableRecord as error:
                batch = replace(batch, damage=str(error), stored=batch.body)
        # It moves the mark, which is written with it: so it is kept once.
        damaged = batch.set_aside(Stream.REJECTED, self._runtime.now())
        self.vitals.records["damaged"] += batch.count
        _log.error("damaged batch of rejected events", records=batch.count, reason=damaged.reason)
        return [damaged]
