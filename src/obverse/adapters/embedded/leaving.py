"""Profiles that were folded in buckets are folded here from now on: who brings them there again is to begin anew."""

from __future__ import annotations

from obverse.ports.event_log import EventLog, Stream
from obverse.ports.profile_store import Checkpoint, StoreWriter


async def leave_buckets(log: EventLog, writer: StoreWriter) -> None:
    """
    Have the store say that nothing of what was routed until now is to come.

    What was routed and is not in the store is folded here from the events.

    Raises:
        Unreachable, Fenced: the log or the store failed.
    """
    if (await log.bounds(Stream.ROUTED))[0][1] == 0:
        return
    # Who routes has let go of it then, and adds nothing more.
    await (await log.open_appender(Stream.ROUTED)).close()
    end = (await log.bounds(Stream.ROUTED))[0][1]
    if writer.marks.get(Stream.ROUTED, {}).get(0) != end:
        await writer.commit(Checkpoint(marks={Stream.ROUTED: {0: end}}))
