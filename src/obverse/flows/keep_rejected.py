"""Keep rejected events: from their stream into the table where people find them."""

from __future__ import annotations

from typing import Final

import structlog

from obverse.core import codec
from obverse.core.events import RejectedEvent
from obverse.ports.event_log import Batch, EventLog, LogGap, Stream, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Checkpoint, Fenced, ProfileStore, StoreWriter
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

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        while True:
            try:
                writer = await self._store.open_writer(WRITER)
                try:
                    await self._copy(writer)
                finally:
                    await writer.close()
            except (Unreachable, AccessRefused, Fenced) as error:
                _log.warning("keeping rejected events interrupted", reason=str(error))
            except (LogGap, UnknownMark) as error:
                _log.error("the log is not whole, rejected events are not kept", reason=str(error))
            await self._runtime.sleep(0.5 + self._runtime.random.random())

    async def _copy(self, writer: StoreWriter) -> None:
        reader = await self._log.open_reader(Stream.REJECTED, {0: writer.marks.get(Stream.REJECTED, {}).get(0, 0)})
        try:
            while True:
                for batch in await reader.next():
                    await writer.commit(Checkpoint(marks={Stream.REJECTED: {0: batch.end}}, rejected=_read(batch)))
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
