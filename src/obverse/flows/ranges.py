"""Ranges: where in a log a time is, and what lies between two places."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from obverse.core.replays import Span, Wanted
from obverse.ports.event_log import Batch, EventLog, Stream, UnknownMark

_TRIES: Final = 3
"""Goes at a search while the log is trimmed beneath it."""


class BadRange(ValueError):
    """A range that is none; the message says why, and what to write."""


async def offset_at(log: EventLog, stream: Stream, partition: int, at: int) -> int:
    """
    Return the offset of the first record that was appended at this time or later (microseconds since 1970).

    That is the end, if there is none; and the first that is kept, if it was appended later. No log has to know times:
    some twenty looks at single batches find it among millions, since in a partition times never fall.

    Raises:
        Unreachable: the log cannot be read now.
        UnknownMark: it is trimmed again and again meanwhile.
        KeyError: the stream has no such partition.
    """
    for attempt in range(_TRIES):
        try:
            return await _search(log, stream, partition, at)
        except UnknownMark:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable: the last go returns or raises")


async def _search(log: EventLog, stream: Stream, partition: int, at: int) -> int:
    low, high = (await log.bounds(stream))[partition]
    while low < high:
        batch = await _batch_at(log, stream, partition, (low + high) // 2)
        if batch.appended_at >= at:
            high = max(low, batch.first)
        else:
            low = batch.end
    return low


async def _batch_at(log: EventLog, stream: Stream, partition: int, offset: int) -> Batch:
    """The batch that holds an offset."""
    reader = await log.open_reader(stream, {partition: offset})
    try:
        while True:
            for batch in await reader.next():
                if batch.end > offset:
                    return batch
    finally:
        await reader.close()


async def spans_of(log: EventLog, stream: Stream, wanted: Wanted) -> Mapping[int, Span]:
    """
    Return the part of a stream that is wanted, as far as it is kept, by partition.

    Raises:
        BadRange: there is no such partition, or nothing at these offsets.
        Unreachable, UnknownMark: as `offset_at`.
    """
    bounds = await log.bounds(stream)
    if wanted.partition is None:
        spans = {}
        for partition, (first, end) in sorted(bounds.items()):
            since = first if wanted.since is None else await offset_at(log, stream, partition, wanted.since)
            until = end if wanted.until is None else await offset_at(log, stream, partition, wanted.until)
            spans[partition] = Span(since, max(since, min(until, end)))
        return spans
    if wanted.partition not in bounds:
        known = f"partitions 0 to {len(bounds) - 1}" if len(bounds) > 1 else "one partition, 0"
        raise BadRange(f"the stream of {stream} has {known}, and no {wanted.partition}: name one of these")
    kept, end = bounds[wanted.partition]
    first = kept if wanted.first is None else wanted.first
    before = end if wanted.before is None else wanted.before
    if not kept <= first <= before <= end:
        raise BadRange(
            f"partition {wanted.partition} of the stream of {stream} holds offsets {kept} to {end}, and not all from "
            f"{first} to {before}: give offsets between these, --from not after --before"
        )
    return {wanted.partition: Span(first, before)}


async def batches_in(log: EventLog, stream: Stream, partition: int, span: Span) -> AsyncIterator[Batch]:
    """
    Read the batches that hold any record of a span, in order; the first and the last may hold others too.

    Raises:
        Unreachable: the log cannot be read now.
        UnknownMark, LogGap: it does not hold all of it.
    """
    at = span.first
    if not span.count:
        return
    reader = await log.open_reader(stream, {partition: at})
    try:
        while at < span.before:
            for batch in await reader.next():
                if batch.first >= span.before:
                    return
                at = batch.end
                if at > span.first:
                    yield batch
    finally:
        await reader.close()
