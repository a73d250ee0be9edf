"""One loop of looks at a shard, shared by all who read it in this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from obverse.adapters.kinesis.assembly import Held
from obverse.adapters.kinesis.client import Answer, IteratorExpired, Kinesis, Throttled
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

_KEPT_BYTES: Final = 4 << 20
"""Of the pages of a shard that were read, for those who come a little later; one page in any case."""
_MOST_ITERATORS: Final = 64
_FRESH: Final = 240.0
"""Seconds for which an iterator is used: Kinesis forgets it after 300."""
_MOST_TRIES: Final = 12
_LONGEST_PAUSE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a shard: before its oldest record, at one, or after one."""

    kind: str = "TRIM_HORIZON"
    sequence: str = ""

    @staticmethod
    def at(sequence: str) -> Spot:
        """Before the record of this sequence number."""
        return Spot("AT_SEQUENCE_NUMBER", sequence)

    @staticmethod
    def after(sequence: str) -> Spot:
        """Behind it."""
        return Spot("AFTER_SEQUENCE_NUMBER", sequence)

    @property
    def order(self) -> int:
        """Orders the spots of one shard, of which every record's is before the one behind it."""
        return 0 if not self.sequence else 2 * int(self.sequence) + (self.kind == "AFTER_SEQUENCE_NUMBER")


@dataclass(frozen=True, slots=True)
class Page:
    """What follows a spot."""

    records: Sequence[Held]
    next: Spot
    at_tip: bool = False
    """Whether nothing follows now."""
    ended: bool = False
    """Whether nothing will follow: the shard was closed."""


class Feed:
    """
    Reads one shard, for all its readers.

    Those who stand at the same spot share a look; and all who have come to the end of a shard stand at the same spot.
    """

    def __init__(self, kinesis: Kinesis, stream: Stream, shard: str, interval: float, runtime: Runtime) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._shard = shard
        self._interval = interval
        self._runtime = runtime
        self._turn = asyncio.Lock()
        self._ready_at = 0.0
        self._pages: OrderedDict[Spot, Page] = OrderedDict()
        self._bytes = 0
        self._iterators: dict[Spot, tuple[str, float]] = {}
        self._nothing_at: dict[Spot, float] = {}
        """Until when it is known that nothing followed a spot."""

    async def read(self, spot: Spot) -> Page:
        """
        Return what follows a spot, as soon as Kinesis may be asked.

        Raises:
            PlaceGone: the shard or the record has expired.
            Unreachable, AccessRefused: as Kinesis says.
        """
        asked = self._runtime.elapsed()
        page = self._pages.get(spot)
        if page is not None:
            return page
        async with self._turn:
            page = self._pages.get(spot)
            if page is not None:
                return page
            if self._nothing_at.get(spot, -1.0) >= asked:
                # Somebody else has just looked there, while we waited for our turn.
                return Page((), spot, at_tip=True)
            return self._noted(spot, await self._look(spot))

    async def _look(self, spot: Spot) -> Answer:
        pause, told = self._interval, Unreachable("")
        for _ in range(_MOST_TRIES):
            wait = self._ready_at - self._runtime.elapsed()
            if wait > 0:
                await self._runtime.sleep(wait)
            try:
                iterator = await self._iterator(spot)
                self._ready_at = self._runtime.elapsed() + self._interval
                return await self._kinesis.records(self._stream, self._shard, iterator)
            except IteratorExpired as error:
                self._iterators.pop(spot, None)
                told = error
            except Throttled as error:
                # Other processes read the shard too: each waits for another while, so that they do not meet again.
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._ready_at = self._runtime.elapsed() + self._runtime.random.uniform(self._interval / 2, pause)
                told = error
        raise Unreachable(f"{told}, {_MOST_TRIES} times one after another") from told

    async def _iterator(self, spot: Spot) -> str:
        iterator, made_at = self._iterators.get(spot, ("", 0.0))
        if not iterator or self._runtime.elapsed() - made_at > _FRESH:
            iterator = await self._kinesis.iterator(self._stream, self._shard, spot.kind, spot.sequence)
            self._iterators[spot] = iterator, self._runtime.elapsed()
        return iterator

    def _noted(self, spot: Spot, answer: Answer) -> Page:
        """Remember what was answered, and with which iterator it goes on."""
        following = Spot.after(answer.records[-1].sequence) if answer.records else spot
        self._iterators.pop(spot, None)
        if answer.iterator is not None:
            while len(self._iterators) >= _MOST_ITERATORS:
                self._iterators.pop(next(iter(self._iterators)))
            self._iterators[following] = answer.iterator, self._runtime.elapsed()
        ended = answer.iterator is None
        page = Page(answer.records, following, at_tip=answer.at_tip and not ended, ended=ended)
        if page.records or ended:
            self._keep(spot, page)
        else:
            self._nothing_at = {spot: self._runtime.elapsed()} if page.at_tip else {}
        return page

    def _keep(self, spot: Spot, page: Page) -> None:
        self._pages[spot] = page
        self._bytes += _size(page)
        while self._bytes > _KEPT_BYTES and len(self._pages) > 1:
            _, oldest = self._pages.popitem(last=False)
            self._bytes -= _size(oldest)


class Feeds:
    """The feeds of one log, each made when it is first read."""

    def __init__(self, kinesis: Kinesis, interval: float, runtime: Runtime) -> None:
        self._kinesis = kinesis
        self._interval = interval
        self._runtime = runtime
        self._feeds: dict[tuple[Stream, str], Feed] = {}

    def of(self, stream: Stream, shard: str) -> Feed:
        """Return the feed of a shard."""
        key = (stream, shard)
        if key not in self._feeds:
            self._feeds[key] = Feed(self._kinesis, stream, shard, self._interval, self._runtime)
        return self._feeds[key]


def _size(page: Page) -> int:
    return sum(len(held.data) for held in page.records)
