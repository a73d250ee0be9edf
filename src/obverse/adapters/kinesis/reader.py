"""Reading the log from marks on: one cursor a partition, woken by the announcement of appends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from obverse.adapters.kinesis.assembly import Assembly, Missing
from obverse.adapters.kinesis.feed import Page
from obverse.adapters.kinesis.finding import Source, Walk
from obverse.adapters.kinesis.records import Place
from obverse.ports.event_log import Batch, LogGap, Stream, UnknownMark
from obverse.ports.runtime import Work

NEXT_BYTES: Final = 4 * 1024 * 1024
"""Bytes that one call of `next` returns, and at most one batch of each partition more."""

_PATIENCE: Final = 30.0
"""Seconds for which what was announced is looked for without a pause, should Kinesis not show it."""


class _Cursor:
    """Follows one partition in the background, a page ahead of whoever calls `next`."""

    def __init__(self, source: Source, stream: Stream, place: Place, mark: int) -> None:
        self._source = source
        self._stream = stream
        self.partition = place.partition
        self.place = place
        self.assembly = Assembly(place, mark)
        self._walk = Walk(source, stream, place)
        self._began = False
        self._page: Page | None = None
        self._next = 0
        """Which record of the page comes next."""
        self._tells = False
        self._wanted = asyncio.Event()
        """Set when the page was taken, or the failure told."""
        self._news = asyncio.Event()
        """Set when the partition may have grown."""
        self._missed = (0, 0.0)
        """An end that was announced and did not come, and since when."""
        self.failure: Exception | None = None

    @property
    def mark(self) -> int:
        """The offset that comes next."""
        return self.assembly.mark

    def wake(self, anyway: bool) -> None:  # noqa: FBT001 - a callback
        """Look, if something was appended, or in any case."""
        if anyway or self.mark < self._source.ends.end(self._stream, self.partition):
            self._news.set()

    async def follow(self, ready: asyncio.Event) -> None:
        """Fetch page after page, each when the one before it was taken."""
        while True:
            try:
                page = await self._fetch()
            except Exception as error:  # noqa: BLE001 - whatever it was, who waits must hear of it
                self.failure = error
            else:
                if not page.records:
                    continue
                self._page, self._next, self._tells = page, 0, self._walk.tells
            ready.set()
            self._wanted.clear()
            await self._wanted.wait()

    def take(self, most: int) -> list[Batch]:
        """
        Return the batches that are here, up to so many bytes but one if there is one.

        Raises:
            Missing: offsets are missing, and nothing is here that comes before them.
        """
        batches: list[Batch] = []
        while self._page is not None and most > 0:
            held = self._page.records[self._next]
            try:
                batch = self.assembly.take(held, owner=self._tells)
            except Missing:
                if batches:
                    break
                raise
            if batch is not None:
                batches.append(batch)
                most -= len(batch.body)
            self._next += 1
            if self._next == len(self._page.records):
                self._page = None
                self._wanted.set()
        return batches

    def told(self) -> None:
        """Try again what has failed, now that somebody knows of it."""
        self.failure = None
        self._wanted.set()

    async def _fetch(self) -> Page:
        """Return the next page, which is empty if there was none yet."""
        if not self._began:
            await self._begin()
        # Before looking: what is appended afterwards wakes us.
        self._news.clear()
        page = await self._walk.page()
        if page.at_tip:
            await self._rest()
        return page

    async def _begin(self) -> None:
        kept, end = (await self._source.ends.ask(self._stream))[self.partition]
        if self.mark < kept:
            raise UnknownMark(_unknown(self.place, kept, end, self.mark))
        self.assembly.epoch = max(self.assembly.epoch, await self._walk.begin(self.mark))
        self._began = True

    async def _rest(self) -> None:
        """Wait until there may be more."""
        ends, settings = self._source.ends, self._source.settings
        if not self.assembly.settled and self.mark > ends.end(self._stream, self.partition):
            # The database may be older than the log, so the log itself was asked, up to its tip.
            kept, end = (await ends.ask(self._stream))[self.partition]
            if self.mark > max(end, self.assembly.expected or 0):
                self._began = False
                raise UnknownMark(_unknown(self.place, kept, max(end, self.assembly.expected or 0), self.mark))
        announced, now = ends.end(self._stream, self.partition), self._source.runtime.elapsed()
        if self.mark < announced:
            # Kinesis does not show it yet; the feed sees to it that we do not look too often.
            self._missed = announced, self._missed[1] if self._missed[0] == announced else now
            if now - self._missed[1] < _PATIENCE:
                return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.look_ms / 1000):
                await self._news.wait()


class KinesisReader:
    """See `Reader`."""

    def __init__(self, source: Source, stream: Stream, marks: Mapping[int, int]) -> None:
        self._source = source
        self._stream = stream
        workspace = source.settings.workspace
        self._cursors = [
            _Cursor(source, stream, Place(workspace, stream, partition), mark)
            for partition, mark in sorted(marks.items())
        ]
        self._ready = asyncio.Event()
        self._closed = False
        self._works: list[Work] = []

    def begin(self) -> None:
        """Read from the marks on."""
        self._source.ends.subscribe(self._wake)
        for cursor in self._cursors:
            name = f"follow {self._stream} {cursor.partition}"
            self._works.append(self._source.runtime.spawn(name, cursor.follow(self._ready)))

    async def next(self) -> Sequence[Batch]:
        """See `Reader.next`."""
        while not self._closed:
            self._ready.clear()
            batches = await self._take()
            # Nothing is awaited between what moves a cursor and the return, so a cancelled call has moved nothing.
            if batches:
                return batches
            await self._ready.wait()
        raise asyncio.CancelledError("this reader of the log was closed")

    async def close(self) -> None:
        """See `Reader.close`."""
        self._closed = True
        self._ready.set()
        self._source.ends.unsubscribe(self._wake)
        works, self._works = self._works, []
        for work in works:
            await work.stop()

    def _wake(self, anyway: bool) -> None:  # noqa: FBT001 - a callback
        for cursor in self._cursors:
            cursor.wake(anyway)

    async def _take(self) -> list[Batch]:
        """Take what is here of every partition, the same share of each; what failed is told if there is nothing."""
        batches: list[Batch] = []
        missing: tuple[_Cursor, Missing] | None = None
        for cursor in self._cursors:
            if cursor.mark < self._source.ends.kept(self._stream, cursor.partition):
                missing = cursor, Missing(None, cursor.mark)
                continue
            try:
                batches += cursor.take(NEXT_BYTES // len(self._cursors))
            except Missing as error:
                missing = cursor, error
        if batches:
            return batches
        if missing is not None:
            await self._explain(*missing)
        for cursor in self._cursors:
            if cursor.failure is not None:
                failure = cursor.failure
                cursor.told()
                raise failure
        return batches

    async def _explain(self, cursor: _Cursor, missing: Missing) -> NoReturn:
        kept, end = (await self._source.ends.ask(self._stream))[cursor.partition]
        # What stands before all that is left has expired there, whatever was noted.
        kept = max(kept, missing.found) if missing.expected is None else kept
        if cursor.mark < kept:
            raise UnknownMark(_unknown(cursor.place, kept, end, cursor.mark)) from missing
        raise LogGap(
            f"{cursor.place.stream} partition {cursor.place.partition}: offset {cursor.mark} should follow, but the "
            f"next group begins at {missing.found}; Kinesis has lost what was between them: begin at {missing.found} "
            "to go on without it"
        ) from missing


def _unknown(place: Place, kept: int, end: int, mark: int) -> str:
    return (
        f"{place.stream} partition {place.partition} holds offsets {kept} to {end}, and nothing at {mark}: begin at "
        f"{kept} to read all that is kept"
    )
