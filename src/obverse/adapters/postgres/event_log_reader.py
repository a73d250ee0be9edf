"""Reading the log from marks on, woken by appends, proving every row."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn

from obverse.adapters.postgres import event_log_queries as queries
from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import Place, Row, from_micros, unseal
from obverse.adapters.postgres.event_log_wakeups import Wakeups
from obverse.ports.event_log import Batch, LogGap, Stream, UnknownMark
from obverse.ports.runtime import Runtime

NEXT_BYTES = 4 * 1024 * 1024
"""Stored bytes that one call of `next` returns, and at most two rows of each partition more."""

LOOK_ANYWAY = 5.0
"""Seconds after which a reader looks though nothing woke it: an announcement may be lost."""

_MOST_ROWS = 512
_FAR = from_micros(253_370_764_800_000_000)
"""The year 9999: no upper bound."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where reading stands in one partition."""

    mark: int
    """Offset that must come next."""

    after: int
    """First offset of the row before it: looking from there shows any row that breaks the sequence."""

    since: datetime
    """When that row was appended: no later row is older, so no older segment is looked into."""


class PostgresReader:
    """See `Reader`."""

    def __init__(
        self, link: Link, wakeups: Wakeups, where: tuple[str, Stream], segment: timedelta, runtime: Runtime
    ) -> None:
        self._link = link
        self._wakeups = wakeups
        self._workspace, self._stream = where
        self._window = 2 * segment
        self._runtime = runtime
        self._marks: dict[int, int | _Spot] = {}
        self._grown: set[int] = set()
        self._woken: asyncio.Future[None] | None = None
        self._closed = False

    def begin(self, marks: Mapping[int, int]) -> None:
        """Read from these marks on."""
        self._marks = dict(sorted(marks.items()))
        self._wakeups.subscribe(self._stream, self._wake)
        self._wake(None)

    async def next(self) -> Sequence[Batch]:
        """See `Reader.next`."""
        while not self._closed:
            batches, spots = await self._look()
            # Nothing is awaited between here and the return, so a cancelled call has moved nothing.
            self._marks.update(spots)
            if batches:
                return batches
            await self._sleep()
        raise asyncio.CancelledError("this reader of the log was closed")

    async def close(self) -> None:
        """See `Reader.close`."""
        self._closed = True
        self._wakeups.unsubscribe(self._wake)
        if self._woken is not None:
            self._woken.cancel()

    def _wake(self, grown: Collection[int] | None) -> None:
        self._grown.update(self._marks if grown is None else self._marks.keys() & grown)
        if self._grown and self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def _sleep(self) -> None:
        if self._grown or self._closed:
            return
        self._woken = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._woken], timeout=LOOK_ANYWAY)
        woken, self._woken = self._woken, None
        if not woken.done():
            self._grown.update(self._marks)
        elif woken.cancelled():
            raise asyncio.CancelledError("this reader of the log was closed")

    async def _look(self) -> tuple[list[Batch], dict[int, _Spot]]:
        """Read what follows in every partition that may have grown, the same share of each."""
        grown, self._grown = self._grown, set()
        batches: list[Batch] = []
        spots: dict[int, _Spot] = {}
        try:
            for partition in sorted(grown):
                found, spot, more = await self._read(partition, NEXT_BYTES // len(grown))
                batches += found
                spots[partition] = spot
                if more:
                    self._grown.add(partition)
        except BaseException:
            self._grown |= grown
            raise
        return batches, spots

    async def _read(self, partition: int, most: int) -> tuple[list[Batch], _Spot, bool]:
        """Return what follows in a partition, where that leaves it, and whether there may be more already."""
        place = Place(self._workspace, self._stream, partition)
        mark = self._marks[partition]
        spot = mark if isinstance(mark, _Spot) else await self._find(place, mark)
        until = spot.since + self._window
        if until >= from_micros(self._runtime.now()):
            until = _FAR
        rows = await self._fetch(place, spot, until, most)
        if not rows and until != _FAR:
            until = _FAR
            rows = await self._fetch(place, spot, until, most)
        if not rows:
            return [], spot, False
        batches = prove(place, rows, spot.mark)
        if not batches:
            await self._explain(place, spot.mark, rows[0].first)
        last = rows[len(batches) - 1]
        all_there_was = until == _FAR and len(batches) == len(rows) < _MOST_ROWS
        more = not all_there_was or sum(len(row.body) for row in rows) >= most
        return batches, _Spot(batches[-1].end, last.first, max(last.appended_at, spot.since)), more

    async def _fetch(self, place: Place, spot: _Spot, until: datetime, most: int) -> list[Row]:
        where = (place.workspace, place.stream, place.partition)
        rows = await self._link.fetch(queries.READ, *where, spot.after, spot.since, until, _MOST_ROWS, most)
        return [Row(*row) for row in rows]

    async def _find(self, place: Place, mark: int) -> _Spot:
        """Turn a mark into a spot: at the row that holds it, or after the one that ends there."""
        where = (place.workspace, place.stream, place.partition)
        ((_, kept, end, _),) = await self._link.fetch(queries.ENDS, *where[:2], [place.partition])
        if not kept <= mark <= end:
            raise UnknownMark(
                f"{place.stream} partition {place.partition} holds offsets {kept} to {end}, and nothing at {mark}: "
                f"begin at {kept} to read all that is kept, or restore the log from a backup"
            )
        found = await self._link.fetch(queries.FIND, *where, mark)
        if not found:
            return _Spot(mark, mark - 1, from_micros(0))
        ((first, count, appended_at),) = found
        if first + count > mark:
            return _Spot(first, first - 1, appended_at)
        # Should the row end before the mark, then what lies between is missing, and reading on will say so.
        return _Spot(mark, first, appended_at)

    async def _explain(self, place: Place, expected: int, found: int) -> NoReturn:
        ((_, kept, _, _),) = await self._link.fetch(queries.ENDS, place.workspace, place.stream, [place.partition])
        if expected < kept:
            raise UnknownMark(
                f"{place.stream} partition {place.partition}: offset {expected} was trimmed while it was still to be "
                f"read; begin at {kept} to read what is kept"
            )
        raise LogGap(
            f"{place.stream} partition {place.partition}: offset {expected} should follow, but the next row begins at "
            f"{found}; restore the rows between them from a backup, or begin at {found} to go on without them"
        )


def prove(place: Place, rows: Sequence[Row], mark: int) -> list[Batch]:
    """Return the batches of the rows up to the first that does not begin where the one before it ended."""
    batches: list[Batch] = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        if row.first != mark:
            break
        batch = unseal(place, row)
        if batch.damage:
            if following is not None and following.first > row.first:
                # The count may be what is damaged; the row after it is the better witness.
                batch = replace(batch, count=following.first - row.first)
            elif batches:
                # Read it again together with the row after it.
                break
        batches.append(batch)
        mark = batch.end
    return batches
