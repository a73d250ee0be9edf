"""The topics by which engines send each other profiles, and tell what came of the fold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from obverse.adapters._kafka.clients import FAILURES, Topics, trouble
from obverse.adapters._kafka.fetching import Fetching
from obverse.adapters._kafka.scout import Scout
from obverse.adapters._kafka.settings import KafkaLogSettings

FOLDED: Final = "folded"
MOVES: Final = "moves"
"""The names of the topics, in the place of a stream's."""
KEEPER: Final = "keep"
"""The group whose offsets say how far what was folded is kept."""
MOST_MESSAGE: Final = 32 << 20
"""Bytes of one record: a profile that moves is whole."""
_LONG: Final = str(2**63 - 1)
_WEEK: Final = str(7 * 24 * 3600 * 1000)
_AT_ONCE: Final = 4 << 20
"""Bytes that one call of `next` returns, and one record more."""
_TRIM: Final = 100
"""Checkpoints between two times that what is kept is let go of."""


async def make_topics(settings: KafkaLogSettings, partitions: int) -> None:
    """
    See that the topics are there; of each bucket all is in one partition.

    Raises:
        Unreachable, AccessRefused: they cannot be made.
    """
    common = {
        "cleanup.policy": "delete",
        "min.insync.replicas": str(settings.min_insync),
        "max.message.bytes": str(MOST_MESSAGE),
        "unclean.leader.election.enable": "false",
    }
    if settings.flushes:
        common["flush.messages"] = "1"
    # Engines begin anew from a checkpoint, and need what moved since; what was folded is let go of once it is kept.
    kept = {settings.topic(MOVES): _WEEK, settings.topic(FOLDED): _LONG}
    configs = {topic: common | {"retention.ms": time, "retention.bytes": "-1"} for topic, time in kept.items()}
    try:
        await Topics(settings).ensure(dict.fromkeys(kept, partitions), configs)
    except FAILURES as error:
        raise trouble(error, "make the topics of engines", settings) from error


class KafkaFoldedSource:
    """See `FoldedSource`. Reads from where it noted last, else from the beginning."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = replace(settings, reader=KEEPER)
        self._topic = settings.topic(FOLDED)
        self._scout = Scout(self._settings)
        self._topics = Topics(self._settings)
        self._fetching: Fetching | None = None
        self._woken = asyncio.Event()
        self._kept = 0

    async def next(self) -> Sequence[tuple[int, int, bytes]]:
        """See `FoldedSource.next`."""
        while True:
            fetching = self._fetching or await self._begin()
            failure, fetching.failure = fetching.failure, None
            if failure is not None:
                raise trouble(failure, "read what was folded", self._settings) from failure
            if fetching.moved:
                # It was let go of because it is kept: what follows is there.
                self._stop()
                continue
            found = self._take(fetching)
            if found:
                return found
            self._woken.clear()
            if not any(fetching.waiting.values()):
                await self._woken.wait()

    @staticmethod
    def _take(fetching: Fetching) -> list[tuple[int, int, bytes]]:
        found: list[tuple[int, int, bytes]] = []
        room = _AT_ONCE
        for number, waiting in fetching.waiting.items():
            while waiting and room > 0:
                message = fetching.take(number)
                room -= len(message)
                found.append((number, message.offset() or 0, message.value() or b""))
        return found

    async def ends(self) -> Mapping[int, int]:
        """See `FoldedSource.ends`."""
        return {number: end for number, (start, end) in (await self._bounds()).items() if start < end}

    async def _begin(self) -> Fetching:
        starts = {number: start for number, (start, _) in (await self._bounds()).items()}
        self._fetching = Fetching(self._settings, self._topic, starts, self._woken.set)
        return self._fetching

    async def _bounds(self) -> Mapping[int, tuple[int, int]]:
        """By partition, what is read first, and where the topic ends."""
        try:
            partitions = range(await self._topics.partitions(self._topic))
            noted = await self._scout.noted(self._topic, partitions)
            found: dict[int, tuple[int, int]] = {}
            for number in partitions:
                low, high = await self._scout.bounds(self._topic, number)
                found[number] = min(max(low, noted.get(number, low)), high), high
        except FAILURES as error:
            raise trouble(error, "read what was folded", self._settings) from error
        return found

    async def keep(self, offsets: Mapping[int, int]) -> None:
        """See `FoldedSource.keep`. A failure is no harm: more comes again."""
        if not offsets:
            return
        try:
            await self._scout.note({(self._topic, number): at for number, at in offsets.items()})
            self._kept += 1
            if self._kept % _TRIM == 0:
                for number, at in offsets.items():
                    await self._topics.trim(self._topic, number, at)
        except FAILURES as error:
            raise trouble(error, "note how far what was folded is kept", self._settings) from error

    def _stop(self) -> None:
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.stop()

    async def close(self) -> None:
        """See `FoldedSource.close`."""
        self._stop()
        await self._scout.close()
