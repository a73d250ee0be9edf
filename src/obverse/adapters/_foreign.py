"""What cannot be read of the log, and what others wrote there: kept once, as rejected, however often it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from obverse.core import codec
from obverse.core.events import FOREIGN, Event, RejectedEvent, foreign_record
from obverse.ports.event_log import Batch, Stream
from obverse.ports.profile_store import ProfileStore, RejectedFilter

_AT_ONCE: Final = 1000
_events = codec.Decoder(Event)
_log = structlog.get_logger(__name__)


class Foreign:
    """What was found of it in one run of the engine."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store
        self._kept: set[str] | None = None
        """The reasons of those that are in the store; None until they are needed."""
        self._on_the_way: set[str] = set()

    def routed(self, rejected: RejectedEvent) -> None:
        """Note that this is on its way to the store."""
        self._on_the_way.add(rejected.reason)

    async def recall(self, batches: Sequence[Batch], marks: Mapping[int, int]) -> None:
        """
        Learn from the store what was kept before, if it can be among these batches.

        That is what stands just at a mark: to pass it does not move the mark, so it is read again.
        """
        if self._kept is None and any(not one.count and one.first == marks[one.partition] for one in batches):
            kept = set(self._on_the_way)
            before: int | None = None
            while found := await self._store.rejected(RejectedFilter(code=FOREIGN), limit=_AT_ONCE, before=before):
                kept.update(one.event.reason for one in found)
                before = found[-1].id
            self._kept = kept

    def kept_of(self, batch: Batch, now: int) -> list[RejectedEvent]:
        """What is to be kept of a batch without records; nothing if it was kept before."""
        rejected = foreign_record(batch.damage, now)
        if self._kept is not None and rejected.reason in self._kept:
            return []
        _log.error("foreign record set aside", partition=batch.partition, offset=batch.first, reason=rejected.reason)
        return [rejected]


def read_events(batch: Batch, now: int) -> tuple[list[Event], RejectedEvent | None]:
    """
    The events of a batch; or what is kept of one that cannot be read.

    That moves the mark, so whoever writes it with the mark writes it once.
    """
    if not batch.damage:
        try:
            return _events.decode(batch.count, batch.body), None
        except codec.UnreadableRecord as error:
            batch = replace(batch, damage=str(error), stored=batch.body)
    rejected = batch.set_aside(Stream.EVENTS, now)
    _log.error("damaged batch set aside", records=batch.count, reason=rejected.reason)
    return [], rejected
