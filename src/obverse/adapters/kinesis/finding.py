"""Going through a partition's records, from shard to shard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from obverse.adapters.kinesis.assembly import Assembly
from obverse.adapters.kinesis.client import Kinesis, PlaceGone
from obverse.adapters.kinesis.ends import Ends
from obverse.adapters.kinesis.feed import Feeds, Page, Spot
from obverse.adapters.kinesis.records import Kind, Part, Place, read
from obverse.adapters.kinesis.settings import KinesisLogSettings
from obverse.adapters.kinesis.shards import Shard, Shards, following, oldest
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

_BEYOND: Final = 1 << 62
"""An offset that no partition comes to."""
_LOOK: Final = 0.2
_SEEN_WITHIN: Final = 10.0
"""Seconds within which Kinesis must show what it has taken."""


@dataclass(slots=True)
class Source:
    """What all readers and appenders of one log share."""

    settings: KinesisLogSettings
    runtime: Runtime
    kinesis: Kinesis
    feeds: Feeds
    ends: Ends
    _shards: dict[Stream, Shards] = field(default_factory=dict)

    async def shards(self, stream: Stream, *, lacking: str = "") -> Shards:
        """
        Return the shards of a stream, asked for anew if one that is named is not among those known.

        Raises:
            Unreachable, AccessRefused: as Kinesis says.
        """
        if stream not in self._shards or (lacking and lacking not in self._shards[stream]):
            await self.renew_shards(stream)
        return self._shards[stream]

    async def renew_shards(self, stream: Stream) -> Shards:
        """
        Ask for the shards of a stream anew.

        Raises:
            Unreachable, AccessRefused: as Kinesis says.
        """
        await self.kinesis.ensure(stream)
        self._shards[stream] = await self.kinesis.shards(stream)
        return self._shards[stream]


class Walk:
    """Goes through one partition, page by page. A cancelled call has not moved it."""

    def __init__(self, source: Source, stream: Stream, place: Place) -> None:
        self._source = source
        self._stream = stream
        self._place = place
        self._shard: Shard | None = None
        self._spot = Spot()
        self._ended = False

    async def begin(self, mark: int) -> int:
        """
        Stand at the last known position before a mark; returns the epoch that was in force there, or 0.

        Not at the mark: what others wrote between the record before it and its own is told too.

        Raises:
            Unreachable, AccessRefused: as Kinesis or PostgreSQL says.
        """
        ends, partition = self._source.ends, self._place.partition
        before = max(mark - 1, ends.kept(self._stream, partition))
        found = await ends.start(self._stream, partition, before) if mark else None
        if found is not None:
            _, epoch, shard, spot = found
            shards = await self._source.shards(self._stream, lacking=shard)
            if shard in shards:
                self._shard, self._spot = shards[shard], spot
                return epoch
        self._stand_at_oldest(await self._source.shards(self._stream))
        return 0 if found is None else found[1]

    @property
    def tells(self) -> bool:
        """Whether this partition is the one to tell of records in its shard that are nobody's."""
        shard = self._shard
        count = self._source.settings.partitions_of(self._stream)
        places = (Place(self._place.workspace, self._place.stream, number) for number in range(count))
        first = next((one.partition for one in places if shard is not None and shard.covers(one.hash_key)), -1)
        return first == self._place.partition

    async def page(self) -> Page:
        """
        Return what follows, and stand behind it.

        Raises:
            Unreachable, AccessRefused: as Kinesis says; calling again goes on.
        """
        if self._ended:
            await self._go_on()
        shard = self._shard
        if shard is None:
            raise Unreachable(f"{self._place.stream}: Kinesis lists no shard that holds its partition")
        try:
            page = await self._source.feeds.of(self._stream, shard.name).read(self._spot)
        except PlaceGone:
            # The record at which we stood has expired, or the whole shard: what is left begins later.
            before = (shard.name, self._spot)
            self._stand_at_oldest(await self._source.renew_shards(self._stream))
            if self._shard is None or (self._shard.name, self._spot) == before:
                raise
            return Page((), self._spot)
        self._spot, self._ended = page.next, page.ended
        return page

    async def _go_on(self) -> None:
        """Go from a shard that was closed into the one that holds the partition now."""
        shard = self._shard
        if shard is None:
            return
        shards = await self._source.shards(self._stream)
        child = following(shards, shard.name, self._place.hash_key)
        if child is None:
            shards = await self._source.renew_shards(self._stream)
            child = following(shards, shard.name, self._place.hash_key)
        if child is None and shard.name not in shards:
            child = oldest(shards, self._place.hash_key)
        if child is None:
            raise Unreachable(
                f"Kinesis does not list yet what follows {shard.name} of {self._place.stream}", after=_LOOK
            )
        self._shard, self._spot, self._ended = child, Spot(), False

    def _stand_at_oldest(self, shards: Shards) -> None:
        self._shard, self._spot, self._ended = oldest(shards, self._place.hash_key), Spot(), False


async def find_end(source: Source, stream: Stream, place: Place, epoch: int) -> Assembly:
    """
    Read up to the claim with which an epoch was begun; returns what is known there.

    Raises:
        Unreachable, AccessRefused: as Kinesis or PostgreSQL says, or because it does not show the claim.
    """
    walk, claim = Walk(source, stream, place), Part(kind=Kind.CLAIM, partition=place.partition, epoch=epoch)
    assembly = Assembly(place, _BEYOND)
    assembly.epoch = await walk.begin(_BEYOND)
    nothing_since = source.runtime.elapsed()
    while True:
        page = await walk.page()
        for held in page.records:
            assembly.take(held, owner=False)
            if read(place.workspace, place.stream, held.data) == claim:
                return assembly
        if page.records:
            nothing_since = source.runtime.elapsed()
        elif source.runtime.elapsed() - nothing_since > _SEEN_WITHIN:
            raise Unreachable(f"Kinesis does not show the claim that it has taken for {place.stream}")
