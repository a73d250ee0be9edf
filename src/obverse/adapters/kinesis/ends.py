"""Where the log ends, as PostgreSQL knows it; who waits for more is woken by the announcement of an append."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from obverse.adapters._postgres import FAILURES, Link, connect, from_micros, hang_up
from obverse.adapters.kinesis import queries
from obverse.adapters.kinesis.feed import Spot
from obverse.adapters.kinesis.settings import KinesisLogSettings
from obverse.ports.event_log import Stream
from obverse.ports.runtime import Runtime, Work

_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
_HOUR: Final = 3_600_000_000

Wake = Callable[[bool], None]
"""Called when a partition may have grown, with whether one must look though none is known to have."""


class Ends:
    """What is known of the ends of all partitions, and of where to begin reading."""

    def __init__(self, settings: KinesisLogSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._link = Link(settings.dsn, "reads where the log is")
        self._known: dict[tuple[str, int], int] = {}
        self._kept: dict[tuple[str, int], int] = {}
        self._sleepers: set[Wake] = set()
        self._work: Work | None = None

    def end(self, stream: Stream, partition: int) -> int:
        """The greatest end of a partition that was heard of; 0 if none was."""
        return self._known.get((stream, partition), 0)

    def kept(self, stream: Stream, partition: int) -> int:
        """The first offset of a partition that is kept, as far as was heard."""
        return self._kept.get((stream, partition), 0)

    async def ask(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """
        Ask for (first offset kept, offset after the last record) of each partition.

        Raises:
            Unreachable, AccessRefused: as PostgreSQL says.
        """
        rows = await self._link.fetch(queries.ENDS, self._settings.workspace, stream, self._expired(stream))
        found = dict.fromkeys(range(self._settings.partitions_of(stream)), (0, 0))
        found |= {partition: (kept, end) for partition, kept, end in rows if partition in found}
        for partition, (kept, end) in found.items():
            self._note(stream, partition, end)
            self._kept[stream, partition] = max(kept, self.kept(stream, partition))
        return found

    async def start(self, stream: Stream, partition: int, mark: int) -> tuple[int, int, str, Spot] | None:
        """
        Return where to begin reading so as to come to a mark: (offset, epoch, shard, spot); None if nothing is noted.

        Raises:
            Unreachable, AccessRefused: as PostgreSQL says.
        """
        place = self._settings.name_of(stream)
        rows = await self._link.fetch(queries.START, self._settings.workspace, stream, partition, mark, place)
        for first, shard, sequence, epoch in rows:
            return first, epoch, shard, Spot.at(sequence)
        return None

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> int | None:
        """
        Have empty partitions begin at offsets; returns one that is not empty, and changes none then.

        Raises:
            Unreachable, AccessRefused: as PostgreSQL says.
        """
        numbers, wanted = list(offsets), list(offsets.values())
        ((used,),) = await self._link.fetch(queries.BEGIN, self._settings.workspace, stream, numbers, wanted)
        await self.ask(stream)
        found: int | None = used
        return found

    async def trim(self, stream: Stream, before: int) -> None:
        """
        Show nothing any more of what was appended before a moment (microseconds since 1970).

        Raises:
            Unreachable, AccessRefused: as PostgreSQL says.
        """
        await self._link.fetch(queries.TRIM, self._settings.workspace, stream, from_micros(max(before, 0)))
        await self.prune(stream)
        await self.ask(stream)

    async def prune(self, stream: Stream) -> None:
        """
        Forget the positions of what has expired.

        Raises:
            Unreachable, AccessRefused: as PostgreSQL says.
        """
        await self._link.fetch(queries.PRUNE, self._settings.workspace, stream, self._expired(stream))

    def subscribe(self, wake: Wake) -> None:
        """Call `wake` for every append from now on, and whenever one may have been missed."""
        self._sleepers.add(wake)
        if self._work is None:
            self._work = self._runtime.spawn("listen to the log", self._listen())

    def unsubscribe(self, wake: Wake) -> None:
        """Call it no more."""
        self._sleepers.discard(wake)

    async def close(self) -> None:
        """Stop listening, and close the connections."""
        work, self._work = self._work, None
        if work is not None:
            await work.stop()
        await self._link.close()

    def _expired(self, stream: Stream) -> datetime:
        """Before when Kinesis may have forgotten what was appended."""
        return from_micros(max(self._runtime.now() - self._settings.retention_of(stream) * _HOUR, 0))

    async def _listen(self) -> None:
        pause = _PAUSE
        while True:
            try:
                connection = await connect(self._settings.dsn, "listens to the log")
                try:
                    await self._stay(connection)
                finally:
                    await hang_up(connection)
                pause = _PAUSE
            except FAILURES:
                pause = min(pause * 2, _LONGEST_PAUSE)
            await self._runtime.sleep(pause)

    async def _stay(self, connection: asyncpg.Connection) -> None:
        """Pass on what is announced until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(queries.CHANNEL, self._announced)
        # What was appended before we listened was announced to nobody.
        self._wake(anyway=True)
        if not connection.is_closed():
            await lost.wait()

    def _announced(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        stream, ends, workspace = payload.split(" ", 2)
        if workspace != self._settings.workspace:
            return
        for told in ends.split(","):
            partition, _, end = told.partition(":")
            self._note(stream, int(partition), int(end))
        self._wake(anyway=False)

    def _note(self, stream: str, partition: int, end: int) -> None:
        self._known[stream, partition] = max(end, self._known.get((stream, partition), 0))

    def _wake(self, *, anyway: bool) -> None:
        for wake in list(self._sleepers):
            wake(anyway)


def announcement(stream: Stream, ends: Sequence[tuple[int, int]], workspace: str) -> str:
    """Say that partitions end where they now do."""
    return f"{stream} {','.join(f'{partition}:{end}' for partition, end in ends)} {workspace}"
