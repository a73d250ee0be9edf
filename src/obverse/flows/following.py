"""Reading the stream of changes: only what somebody asks for is read, and what is damaged is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from obverse.core import codec
from obverse.core.changes import Change
from obverse.ports.event_log import Batch

_changes = codec.Decoder(Change)
_log = structlog.get_logger(__name__)


def changes_in(batches: Sequence[Batch], words: Collection[str]) -> list[Change]:
    """
    The changes of batches in which one of these words stands, as a kind or a name; of other batches none.

    Nearly all changes are of traits that few look at: a look at the bytes costs a hundredth of reading them.
    """
    sought = [word.encode() for word in words]
    found: list[Change] = []
    for batch in batches:
        if batch.damage:
            _log.error("damaged batch of changes", damage=batch.damage)
        elif any(word in batch.body for word in sought):
            try:
                found += _changes.decode(batch.count, batch.body)
            except codec.UnreadableRecord as error:
                _log.error("damaged batch of changes", damage=str(error))
    return found
