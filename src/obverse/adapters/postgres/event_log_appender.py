"""The appender of the log in PostgreSQL: group commit through a session that holds the locks."""

from __future__ import annotations

from obverse.adapters._group_commit import MAX_RECORDS, GroupAppender, Grouping, Opening
from obverse.adapters.postgres.connection import FAILURES, trouble
from obverse.adapters.postgres.event_log_session import AppendSession, Target, begin_session
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

__all__ = ["MAX_RECORDS", "Grouping", "open_appender"]


async def open_appender(target: Target, grouping: Grouping, runtime: Runtime) -> GroupAppender:
    """
    Become the appender of the target, waiting for the former one to go.

    Raises:
        Unreachable, AccessRefused: as the server says.
    """
    doing = f"append to {target.stream}"

    async def begin(limit: float) -> AppendSession:
        return await begin_session(target, runtime, limit=limit)

    def told(error: Exception) -> Unreachable | AccessRefused:
        return trouble(error, doing)

    try:
        session = await begin_session(target, runtime)
    except FAILURES as error:
        raise trouble(error, f"open the appender of {target.stream}") from error
    return GroupAppender(session, Opening(target.stream, target.partitions, begin, told), grouping, runtime)
