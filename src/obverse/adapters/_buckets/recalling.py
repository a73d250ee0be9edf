"""What was routed and decided, read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from obverse.adapters._buckets import items
from obverse.adapters._buckets.items import Item, Turn
from obverse.adapters._decisions import decided
from obverse.core.identity import Decision
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import Unreachable


async def turns_from(log: EventLog, at: int, end: int) -> AsyncIterator[tuple[int, Turn, Sequence[Item]]]:
    """
    Yield the turns from one offset of the stream up to another: the offset, the head and the items of each.

    Raises:
        Unreachable: the log cannot be read, or what it holds is damaged.
    """
    if at >= end:
        return
    reader = await log.open_reader(Stream.ROUTED, {0: at})
    try:
        while at < end:
            for batch in await reader.next():
                if batch.damage and batch.count:
                    raise Unreachable(
                        f"what was routed cannot be read ({batch.damage}); restore it from a backup, or stop the "
                        "engine and fold anew from the store (see docs/grow.md)"
                    )
                for before, turn, rest in items.turns_of(batch.body):
                    if at <= batch.first + before < end:
                        yield batch.first + before, turn, items.items_of(turn, rest)
                at = batch.end
    finally:
        await reader.close()


async def decided_from(log: EventLog, at: int, end: int) -> AsyncIterator[tuple[int, Decision]]:
    """Yield the decisions from one offset up to another, each with its own."""
    async for first, some in decided(log, at, end):
        for offset, decision in enumerate(some, first):
            yield offset, decision
