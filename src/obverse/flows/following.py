"""Reading the stream of changes: only what somebody asks for is read, and what is damaged is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

import structlog

from obverse.core import codec
from obverse.core.changes import Change
from obverse.core.replays import Span
from obverse.flows.ranges import batches_in
from obverse.ports.event_log import Batch, EventLog, Stream

_changes = codec.Decoder(Change)
_log = structlog.get_logger(__name__)


def changes_in(batches: Sequence[Batch], words: Collection[str]) -> list[Change]:
    """
    The changes of batches in which one of these words stands, as a kind or a name; of other batches none.

    Nearly all changes are of traits that few look at: a look at the bytes costs a hundredth of reading them.
    """
    sought = [word.encode() for word in words]
    return [change for batch in batches for change in _read(batch, sought)]


async def changes_between(
    log: EventLog, span: Span, words: Collection[str]
) -> AsyncIterator[tuple[int, Sequence[Change]]]:  # fmt: skip
    """
    The changes of a span, as `changes_in` reads them, a batch at a time; each with the offset that comes next.

    Raises:
        Unreachable, UnknownMark, LogGap: as `batches_in`.
    """
    sought = [word.encode() for word in words]
    async for batch in batches_in(log, Stream.CHANGES, 0, span):
        found = _read(batch, sought)
        if found:
            found = found[max(0, span.first - batch.first) : span.before - batch.first]
        yield min(batch.end, span.before), found


def _read(batch: Batch, sought: Collection[bytes]) -> Sequence[Change]:
    """All changes of a batch in which one of these stands; else none."""
    if batch.damage:
        _log.error("damaged batch of changes", damage=batch.damage)
    elif any(word in batch.body for word in sought):
        try:
            return _changes.decode(batch.count, batch.body)
        except codec.UnreadableRecord as error:
            _log.error("damaged batch of changes", damage=str(error))
    return ()
