"""Keep rejected events: from their stream into the table where people find them."""

from __future__ import annotations

from typing import Final

import structlog

from obverse.core import codec
from obverse.core.events import RejectedEvent
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.event_log import Batch, EventLog, Stream
from obverse.ports.profile_store import Checkpoint, ProfileStore, StoreWriter
from obverse.ports.runtime import Runtime

WRITER: Final = "keep_rejected"
_decoder = codec.Decoder(RejectedEvent)
_log = structlog.get_logger(__name__)


class KeepRejected:
    """Writes each rejected event into the store once, with the mark of the stream in the same transaction."""

    def __init__(self, log: EventLog, store: ProfileStore, runtime: Runtime) -> None:
        self._log = log
        self._store = store
        self._runtime = runtime
        self.vitals = Vitals()
        self.mark = 0
        """The offset in the stream of rejected events that comes next."""

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
        self.mark = writer.marks.get(Stream.REJECTED, {}).get(0, 0)
        reader = await self._log.open_reader(Stream.REJECTED, {0: self.mark})
        self.vitals.failure = None
        try:
            while True:
                for batch in await reader.next():
                    began, rejected = self._runtime.elapsed(), _read(batch)
                    await writer.commit(Checkpoint(marks={Stream.REJECTED: {0: batch.end}}, rejected=rejected))
                    self.vitals.turns.note(self._runtime.elapsed() - began)
                    self.vitals.records["kept"] += len(rejected)
                    self.mark = batch.end
        finally:
            await reader.close()


def _read(batch: Batch) -> list[RejectedEvent]:
    try:
        if not batch.damage:
            return _decoder.decode(batch.count, batch.body)
        damage = batch.damage
    except codec.UnreadableRecord as error:
        damage = str(error)
    _log.error("damaged batch of rejected events", first_offset=batch.first, damage=damage)
    return []
