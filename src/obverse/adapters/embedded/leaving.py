"""Profiles that were folded in buckets are folded here from now on: who brings them there again is to begin anew."""

from __future__ import annotations

from obverse.adapters._buckets.items import write_turn
from obverse.adapters._buckets.recalling import last_turn
from obverse.ports.event_log import EventLog, Records, Stream
from obverse.ports.profile_store import Checkpoint, StoreWriter


async def leave_buckets(log: EventLog, writer: StoreWriter) -> None:
    """
    Have the store say that nothing of what was routed until now is to come.

    What was routed and is not in the store is folded here from the events. A turn without items says with which number
    the next one goes on: it stays, for the stream is trimmed up to what the store says, and no further.

    Raises:
        Unreachable, Fenced: the log or the store failed.
    """
    if (await log.bounds(Stream.ROUTED))[0][1] == 0:
        return
    # Who routes has let go of it then, and adds nothing more.
    appender = await log.open_appender(Stream.ROUTED)
    try:
        at, turn = await last_turn(log, (await log.bounds(Stream.ROUTED))[0][1])
        if turn.count:
            at = await appender.append(0, Records(*write_turn(turn.end, turn.buckets, ())))
        await writer.commit(Checkpoint(marks={Stream.ROUTED: {0: at}}))
    finally:
        await appender.close()
