"""The stream of decisions, read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import count

from obverse.core import codec
from obverse.core.identity import Decision
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileStore, StoreWriter

_decisions = codec.Decoder(Decision)


async def decided(log: EventLog, at: int, end: int) -> AsyncIterator[tuple[int, Sequence[Decision]]]:
    """Yield what was decided from one offset up to another, some at a time, with the offset of the first."""
    if at >= end:
        return
    reader = await log.open_reader(Stream.DECISIONS, {0: at})
    try:
        while at < end:
            for batch in await reader.next():
                found = _decisions.decode(batch.count, batch.body)
                yield at, found[at - batch.first :][: end - at]
                at = batch.end
    finally:
        await reader.close()


async def bring_up(log: EventLog, store: ProfileStore, writer: StoreWriter, mark: int) -> None:
    """Have the store keep what was carried out before decisions were kept there: once, after an update."""
    async for first, decisions in decided(log, await store.decided(), mark):
        await writer.commit(Checkpoint(marks={}, decisions=list(map(KeptDecision, count(first), decisions))))
