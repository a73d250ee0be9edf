"""What every engine must prove of a log that was damaged, or that others write into: that holds up nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from obverse.contracts.engine_steps import PATIENCE, EngineQuestions, append, expected, kept
from obverse.contracts.stories import tell
from obverse.core.events import STORED
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Appender, Batch, EventLog, Reader, Stream

_PLACES = (5, 20)
"""Offsets before which somebody wrote something."""
_FLIPPED = 5
"""Offset of the first event of the batch that was damaged."""
_DAMAGE = "events partition 0, offsets 5 to 9: the checksum does not fit the stored bytes"
_STORED = b"bits" * STORED


class ForeignPromises(EngineQuestions):
    """See `EngineContract`."""

    async def test_what_others_wrote_into_the_log_is_kept_as_rejected_once(self) -> None:
        parts = await self.open_parts(1)
        parts = replace(parts, log=_Intruded(parts.log))
        story = tell(seed=10, people=3, events=25)
        placed = await append(parts, story[:20], batch=5)

        # The one at the end does not move the mark, so the second run meets it again.
        async with self.running(parts):
            await _rejected(parts, 2)
        async with self.running(parts) as engine:
            placed += await append(parts, story[20:], batch=5)
            await asyncio.wait_for(engine.drain(), PATIENCE)

        reasons = [one.event.reason for one in await parts.store.rejected(limit=10)]
        assert sorted(reasons) == sorted(set(reasons))
        assert len(reasons) == 2
        assert all("Kafka offset" in reason and "see who writes there" in reason for reason in reasons)
        assert await kept(parts, placed) == expected(placed)

    async def test_a_batch_that_was_damaged_is_kept_as_rejected_once(self) -> None:
        parts = await self.open_parts(1)
        parts = replace(parts, log=_Damaged(parts.log))
        story = tell(seed=10, people=3, events=25)
        placed = await append(parts, story[:20], batch=5)
        await self.fold(parts)
        placed += await append(parts, story[20:], batch=5)
        await self.fold(parts)

        (one,) = await parts.store.rejected(limit=10)
        assert (one.event.code, one.event.source) == ("damaged_record", "log")
        assert one.event.reason == f"{_DAMAGE}; it stays in the log: see docs/logs.md for what to do"
        assert one.event.body == _STORED[:STORED]
        sound = [event for event in placed if not _FLIPPED <= event[1] < _FLIPPED + 5]
        assert await kept(parts, sound) == expected(sound)


async def _rejected(parts: EngineParts, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(await parts.store.rejected(limit=10)) < count:
            await parts.runtime.sleep(0.005)


class _Intruded:
    """A log into which others have written."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    @property
    def partitions(self) -> int:
        return self._log.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        return await self._log.open_appender(stream, partitions, most=most)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        reader = await self._log.open_reader(stream, marks)
        return _IntrudedReader(reader, marks[0]) if stream is Stream.EVENTS else reader

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        return await self._log.bounds(stream)

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        await self._log.begin(stream, offsets)

    async def trim(self, stream: Stream, before: int) -> None:
        await self._log.trim(stream, before)

    async def close(self) -> None:
        await self._log.close()


class _Damaged(_Intruded):
    """A log of which one batch has been damaged."""

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        reader = await self._log.open_reader(stream, marks)
        return _DamagedReader(reader) if stream is Stream.EVENTS else reader


class _DamagedReader:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def next(self) -> Sequence[Batch]:
        return [
            replace(one, body=b"", damage=_DAMAGE, stored=_STORED) if one.first == _FLIPPED else one
            for one in await self._reader.next()
        ]

    async def close(self) -> None:
        await self._reader.close()


class _IntrudedReader:
    def __init__(self, reader: Reader, mark: int) -> None:
        self._reader = reader
        self._met = [_foreign(place) for place in _PLACES if place == mark]

    async def next(self) -> Sequence[Batch]:
        met, self._met = self._met, []
        return met or [
            one
            for batch in await self._reader.next()
            for one in (batch, *(_foreign(place) for place in _PLACES if place == batch.end))
        ]

    async def close(self) -> None:
        await self._reader.close()


def _foreign(place: int) -> Batch:
    damage = f"Kafka offset {place + 7} holds no record of ours"
    return Batch(partition=0, first=place, count=0, body=b"", appended_at=0, damage=damage)
