"""The stream of decisions, read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import count

from obverse.core import codec
from obverse.core.identity import Decision
from obverse.ports.event_log import EventLog, Records, Stream
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


def at_once(decision: Decision, again: Sequence[Decision]) -> tuple[Records, Sequence[Decision]]:
    """
    Encode a decision with those that follow from it, and return these.

    No more of them than a log takes together: so whoever reads them after a crash finds all of them, or none.
    """
    while len(records := Records.of([decision, *again])) > 1:
        again = again[: len(again) // 2]
    return records[0], again


async def bring_up(log: EventLog, store: ProfileStore, writer: StoreWriter, mark: int) -> None:
    """Have the store keep what was carried out before decisions were kept there: once, after an update."""
    async for first, decisions in decided(log, await store.decided(), mark):
        await writer.commit(Checkpoint(marks={}, decisions=list(map(KeptDecision, count(first), decisions))))
